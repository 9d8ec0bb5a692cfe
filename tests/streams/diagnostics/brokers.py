"""What tests of this folder write to and read from a real broker."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Message, Producer

from tests.brokers.contract import Broker
from understudy.schemas.topics import Topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.settings import ClickHouseSettings, KafkaSettings, Settings

MakeTopics = Callable[..., Topics]
Headers = list[tuple[str, str | bytes | None]]


def settings_for(
    broker: Broker, specs: Topics, clickhouse_url: str = "chdb://:memory:"
) -> Settings:
    """Settings under the prefix of these topics."""
    prefix = specs.events.name.removesuffix("events")
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            topic_prefix=prefix,
            group_id=f"{prefix}pairing",
        ),
        clickhouse=ClickHouseSettings(url=clickhouse_url),
    )


def read_all(broker: Broker, topic: str) -> list[Message]:
    """Everything in a topic."""
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    with TopicReader(kafka, topic) as reader:
        return list(reader.read(reader.bounds()))


def write(
    broker: Broker,
    topic: str,
    records: Iterable[tuple[bytes | None, bytes | None, Headers]],
    **config: Any,
) -> None:
    """Write keys, values and headers."""
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random", **config}
    )
    for key, value, headers in records:
        producer.produce(topic, value, key, headers=headers)
    assert producer.flush(20) == 0


def event(
    pair: int,
    side: str = "stable",
    *,
    rollout: str = "helpdesk",
    at: dt.datetime | None = None,
    **more: Any,
) -> bytes:
    """A minimal event of a shadow rollout."""
    time = at or dt.datetime.now(dt.UTC)
    return json.dumps(
        {
            "schema_version": 1,
            "rollout_id": rollout,
            "pair_id": f"pair-{pair}",
            "mode": "shadow",
            "side": side,
            "sides": ["stable", "candidate"],
            "request_time": time.isoformat(),
            "response": {"output": f"answer {pair}"},
            "timing": {"duration_ms": 12.5},
            **more,
        }
    ).encode()


def feedback(
    pair: int, side: str = "candidate", *, at: dt.datetime | None = None, **more: Any
) -> bytes:
    """What a user thought of an answer of a canary rollout."""
    time = at or dt.datetime.now(dt.UTC)
    return json.dumps(
        {
            "schema_version": 1,
            "rollout_id": "helpdesk",
            "pair_id": f"pair-{pair}",
            "mode": "canary",
            "side": side,
            "request_time": (time - dt.timedelta(minutes=5)).isoformat(),
            "feedback_time": time.isoformat(),
            "name": "thumbs",
            "score_value": 1,
            **more,
        }
    ).encode()


def key(pair: int, rollout: str = "helpdesk") -> bytes:
    """The key that goes with `event`."""
    return f"{rollout}/pair-{pair}".encode()
