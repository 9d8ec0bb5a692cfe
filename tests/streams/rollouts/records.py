"""Policies, decisions and raw messages for tests of rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Message, Producer

from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollouts import RolloutManifest, compile_manifest
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import KafkaSettings

ROLLOUTS, DECISIONS = "understudy.rollouts", "understudy.decisions"


def manifest(rollout_id: str = "checkout", more: str = "") -> RolloutManifest:
    return read_manifest(policy(rollout_id, more))


def policy(rollout_id: str = "checkout", more: str = "") -> str:
    return f"""
rollout_id: {rollout_id}
models: {{stable: a, candidate: b}}
stages: [shadow, 5%, 25%]
guardrails: [{{metric: error_rate, max_increase: 1pp}}]
{more}
"""


def evaluator(rollout_id: str = "checkout") -> RolloutEvaluator:
    return RolloutEvaluator(compile_manifest(manifest(rollout_id)))


def killed(why: str = "tone", rollout_id: str = "checkout") -> Decision:
    decision = evaluator(rollout_id).kill(why)
    assert decision is not None
    return decision


class Kafka:
    """A mock cluster with topics, a store, and messages as they are."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        ensure_topics(broker.client_config, topics(self.settings))
        self.store = RolloutRegistry(self.settings)

    def write(self, topic: str, *messages: tuple[str, bytes | None]) -> None:
        producer = Producer(producer_config(self.settings))
        for key, value in messages:
            producer.produce(topic, value, key.encode())
        assert producer.flush(10) == 0

    def messages(self, topic: str) -> list[Message]:
        with self._reader(topic) as reader:
            return list(reader.read(reader.bounds()))

    @contextmanager
    def _reader(self, topic: str) -> Iterator[TopicReader]:
        with TopicReader(self.settings, topic) as reader:
            yield reader
