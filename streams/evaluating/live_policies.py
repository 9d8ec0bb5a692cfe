"""Which rollouts are to be evaluated: the policies in force, followed in their compacted topic."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import structlog
from confluent_kafka import KafkaException

from understudy.schemas.evaluation_sampling import EvaluationSampling
from understudy.schemas.rollouts import (
    PolicyError,
    compile_manifest,
    evaluation_sampling,
    policy_hash,
)
from understudy.streams.kafka.client_config import topics
from understudy.streams.kafka.compacted_topic import FellBehind, TopicFollower, key_text
from understudy.streams.rollouts.record_decoding import read_record
from understudy.streams.settings import KafkaSettings

log = structlog.get_logger(__name__)


class EvaluatedRollout(NamedTuple):
    """What the policy of one rollout says about evaluation."""

    samplings: tuple[EvaluationSampling, ...]
    policy_hash: str
    keeps_text: bool
    """Whether it captures answers."""


class LivePolicies:
    """Follows the topic of rollouts.

    Raises `MissingTopic`, and `KafkaException` when no broker answers.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._names = (topics(kafka).rollouts.name,)
        self._follower = TopicFollower(kafka, self._names)
        self._found: dict[str, EvaluatedRollout] = {}
        """What the follower has read since it began."""
        self._rollouts: Mapping[str, EvaluatedRollout] = {}
        self.has_caught_up = False
        """Whether all policies that there were when the follower began have been read."""

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    @property
    def rollouts(self) -> Mapping[str, EvaluatedRollout]:
        """Those that have evaluators, by name."""
        return self._rollouts

    def follow(self, wait_s: float = 0.0) -> bool:
        """Read what is new; whether anything changed.

        A follower that was cut off begins again; what was known before counts until all is read.
        Else a policy that was replaced would count for a moment.
        """
        for message in self._follower.take(wait_s):
            key, value = key_text(message), message.value()
            found = _evaluated(key, value) if isinstance(value, bytes) else None
            self._found.pop(key, None)
            if found is not None:
                self._found[key] = found
        try:
            self.has_caught_up |= self._follower.has_caught_up(time.monotonic())
        except FellBehind as error:
            self._begin_again(error)
        if not self.has_caught_up or self._found == self._rollouts:
            return False
        self._rollouts = dict(self._found)
        return True

    def _begin_again(self, error: FellBehind) -> None:
        log.warning("kafka.unavailable", error=str(error))
        try:
            follower = TopicFollower(self._kafka, self._names)
        except (KafkaException, LookupError):
            return  # at the next look
        self._follower.close()
        self._follower = follower
        self._found, self.has_caught_up = {}, False


def _evaluated(key: str, value: bytes) -> EvaluatedRollout | None:
    """Read what a record says; None for no evaluators, and for what this release cannot read."""
    try:
        manifest = read_record(key, value).manifest
        samplings = evaluation_sampling(manifest)
        if not samplings:
            return None
        compiled = compile_manifest(manifest)
    except (ValueError, PolicyError) as error:
        log.warning("rollouts.record_unreadable", rollout_id=key, error=str(error))
        return None
    return EvaluatedRollout(samplings, policy_hash(compiled), manifest.capture != "none")
