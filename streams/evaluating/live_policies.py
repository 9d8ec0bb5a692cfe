"""Which rollouts are to be evaluated: the policies in force, followed in their compacted topic."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

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

_POLL_S: Final = 0.1


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
        self._rollouts: dict[str, EvaluatedRollout] = {}
        self._unconfirmed: set[str] = set()
        """Known before the follower began again, and not read since."""
        self.has_caught_up = False
        """Whether all policies that there were at the start have been read."""

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    @property
    def rollouts(self) -> Mapping[str, EvaluatedRollout]:
        """Those that have evaluators, by name."""
        return self._rollouts

    def follow(self, wait_s: float = 0.0) -> bool:
        """Read what is new; whether anything changed.

        A follower that was cut off begins again, with the policies that it knows.
        """
        changed = False
        for message in self._follower.take(wait_s):
            key, value = key_text(message), message.value()
            found = _evaluated(key, value) if isinstance(value, bytes) else None
            changed |= found != self._rollouts.get(key)
            self._unconfirmed.discard(key)
            if found is None:
                self._rollouts.pop(key, None)
            else:
                self._rollouts[key] = found
        try:
            if self._follower.has_caught_up(time.monotonic()):
                self.has_caught_up = True
                changed |= self._forget_unconfirmed()
        except FellBehind as error:
            self._begin_again(error)
        return changed

    def _forget_unconfirmed(self) -> bool:
        """Forget rollouts that were deleted while the follower was cut off; whether there are."""
        gone, self._unconfirmed = self._unconfirmed, set()
        for name in gone:
            self._rollouts.pop(name, None)
        return bool(gone)

    def _begin_again(self, error: FellBehind) -> None:
        log.warning("kafka.unavailable", error=str(error))
        try:
            follower = TopicFollower(self._kafka, self._names)
        except (KafkaException, LookupError):
            return  # at the next look
        self._follower.close()
        self._follower = follower
        self._unconfirmed = set(self._rollouts)


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
