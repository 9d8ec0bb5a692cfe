"""Texts go where they may and nowhere else, from Kafka to ClickHouse; all hold secrets."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from structlog.testing import capture_logs

from tests.schemas.redaction.secrets import Planted, planted
from tests.streams.pairing.test_capture_follower import record
from tests.waiting import wait_until
from understudy.schemas.clickhouse.relations import TABLES
from understudy.schemas.events import (
    Event,
    Request,
    Response,
    ToolCall,
    encode_event,
    event_key,
)
from understudy.streams.clickhouse.connect import connect
from understudy.streams.kafka.client_config import producer_config, topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.producer import BufferedProducer, send_and_wait
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.kafka.topic_reader import TopicReader
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import (
    CaptureSettings,
    ClickHouseSettings,
    KafkaSettings,
    PairingSettings,
    Settings,
)
from understudy.streams.worker import pairing

pytestmark = pytest.mark.embedded
PAIRS = 60
SECRETS = list(planted(7, 4 * PAIRS))
START = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=2)


def sides(number: int) -> list[Event]:
    """Two sides with a secret in each of their texts; the candidate breaks off."""
    prompt, left, right, call = SECRETS[4 * number : 4 * number + 4]
    common: dict[str, Any] = {
        "schema_version": 1, "rollout_id": "r", "pair_id": f"p{number}", "mode": "shadow",
        "sides": ("stable", "candidate"), "request_time": START + dt.timedelta(seconds=number / 2),
        "conversation_id": "c", "language": "en", "attributes": {"note": prompt.text},
        "request": Request(prompt=prompt.text),
    }  # fmt: skip
    calls = (ToolCall("mail", msgspec.Raw(msgspec.json.encode({"to": call.text}))),)
    stable = Response(output=left.text, reasoning=prompt.text, finish_reason="stop")
    candidate = Response(output=right.text, tool_calls=calls, finish_reason="length")
    return [
        Event(side="stable", response=stable, **common),
        Event(side="candidate", response=candidate, **common),
    ]


def write(settings: Settings) -> None:
    """A policy that captures, the pairs, and one that closes their windows."""
    kafka = settings.kafka
    ensure_topics(dict(producer_config(kafka)), topics(kafka))
    name = topics(kafka).rollouts.name
    send_and_wait(producer_config(kafka), name, record("r", "worst"), "r", timeout_s=30.0)
    producer = BufferedProducer(producer_config(kafka))
    last = [
        msgspec.structs.replace(
            event, pair_id="last", request_time=START + dt.timedelta(minutes=1),
            request=None, response=Response(output="the end"), attributes=None,
        )
        for event in sides(0)
    ]  # fmt: skip
    for event in [*(event for number in range(PAIRS) for event in sides(number)), *last]:
        producer.send(topics(kafka).events.name, encode_event(event), event_key(event).encode())
    assert producer.flush(30.0) == 0


def settings_of(broker: EmbeddedBroker, clickhouse: str, group: str) -> Settings:
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, group_id=group,
            client={"log_level": 0, "fetch.wait.max.ms": 20, "group.protocol": "consumer"},
        ),
        clickhouse=ClickHouseSettings(url=clickhouse, batch_age_s=0.1),
        pairing=PairingSettings(
            window_s=2, join_timeout_s=5, allowed_lateness_s=5, flush_interval_s=0.1
        ),
        capture=CaptureSettings(pairs_per_kind=4),
    )  # fmt: skip


def pair_all(settings: Settings) -> int:
    """Read all with the group of the settings, and return how many pairs were captured."""
    stop = threading.Event()
    policy = PairingPolicy.from_settings(settings)
    with pairing(settings, policy, sources=("events",)) as (consumer,):
        thread = threading.Thread(target=consumer.run, args=(stop,))
        thread.start()
        try:
            wait_until(lambda: consumer.progress()["read"] >= 2 * PAIRS + 2, "all is read")
        finally:
            stop.set()
            thread.join()
        return sum(state.tally.captured for state in consumer.partitions.values()) or -1


def stored(client: Client) -> list[tuple[Any, ...]]:
    sql = "SELECT * FROM captured_pairs FINAL ORDER BY pair_id, kind"
    return [tuple(map(repr, row)) for row in client.query(sql).result_rows]


def test_secrets_are_nowhere_but_in_the_topic_of_events(
    embedded_broker: EmbeddedBroker, clickhouse_url: str, clickhouse_database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    url = f"{clickhouse_url}?database={clickhouse_database}"
    settings = settings_of(embedded_broker, url, "first")
    write(settings)
    with capture_logs() as logs:
        pair_all(settings)
        client = connect(url, create=False)
        once = stored(client)
        # Another group reads all again, as after a lost commit: the same rows.
        pair_all(settings_of(embedded_broker, url, "second"))
    assert len(once) > PAIRS / 4
    assert stored(client) == once
    for table in TABLES:
        rows = client.raw_query(f"SELECT * FROM {table.name} FORMAT TSVRaw").decode()
        assert (table.name, left_in(rows)) == (table.name, [])
    [(names,)] = client.query(
        "SELECT groupUniqArrayArray(redacted) FROM captured_pairs"
    ).result_rows
    assert {"email", "card", "token", "private_key"} <= set(names)
    client.close()
    assert left_in(messages(settings, topics(settings.kafka).windows.name)) == []
    assert messages(settings, topics(settings.kafka).dead_letters.name) == ""
    assert left_in(repr(logs) + caplog.text) == []
    assert len(left_in(messages(settings, topics(settings.kafka).events.name))) > PAIRS


def messages(settings: Settings, topic: str) -> str:
    with TopicReader(settings.kafka, topic) as reader:
        found = [message.value() or b"" for message in reader.read(reader.bounds())]
    return b"\n".join(map(bytes, found)).decode("utf-8", "replace")


def left_in(text: str) -> list[Planted]:
    """The secrets that stand in a text as they were planted."""
    return [one for one in SECRETS if len(one.secret) >= 8 and one.secret in text]
