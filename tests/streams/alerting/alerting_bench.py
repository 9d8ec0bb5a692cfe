"""A topic of decisions, a database, and the alerting service between them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.waiting import DEADLINE_S, wait_until
from understudy.schemas.decisions import Decision, encode_decision
from understudy.streams.alerting.decision_consumer import run_alerting
from understudy.streams.kafka.client_config import topics as topics_of
from understudy.streams.settings import (
    AlertingSettings,
    ClickHouseSettings,
    KafkaSettings,
    Settings,
)


@dataclass(frozen=True)
class Bench:
    """A topic of decisions, a database, and settings that name both."""

    settings: Settings
    clickhouse_url: str

    def emit(self, *decisions: Decision | bytes) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka.bootstrap_servers})
        topic = topics_of(self.settings.kafka).decisions.name
        for one in decisions:
            payload = one if isinstance(one, bytes) else encode_decision(one)
            producer.produce(topic, payload, b"helpdesk", partition=0)
        assert producer.flush(DEADLINE_S) == 0

    def committed(self) -> int:
        consumer = Consumer(
            {
                "bootstrap.servers": self.settings.kafka.bootstrap_servers,
                "group.id": self.settings.alerting.group_id,
            }
        )
        try:
            topic = topics_of(self.settings.kafka).decisions.name
            return consumer.committed([TopicPartition(topic, 0)], timeout=10)[0].offset
        finally:
            consumer.close()

    def with_receivers(self, **urls: str) -> Settings:
        alerting = msgspec.structs.replace(self.settings.alerting, **urls)
        return msgspec.structs.replace(self.settings, alerting=alerting)


def bench_on(servers: str, prefix: str, url: str, database: str) -> Bench:
    located = f"{url}?database={database}"
    settings = Settings(
        kafka=KafkaSettings(
            bootstrap_servers=servers,
            topic_prefix=prefix,
            client={"group.protocol": "consumer"},
        ),
        clickhouse=ClickHouseSettings(url=located, batch_age_s=0.1),
        alerting=AlertingSettings(group_id=f"alerting-{uuid.uuid4().hex[:8]}", repeat_s=0.5),
    )
    return Bench(settings, located)


@contextmanager
def alerting(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_alerting, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def eventually(holds: Callable[[], bool]) -> None:
    wait_until(holds, "the alerting service has got so far")
