"""`understudy doctor` and `understudy accounting` on a real broker, whole and broken."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.brokers.contract import Broker
from tests.streams.diagnostics.brokers import (
    Headers,
    MakeTopics,
    event,
    feedback,
    key,
    settings_for,
    write,
)
from understudy.schemas.topics import Topics
from understudy.schemas.windows import Source
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.commands.main import main
from understudy.streams.diagnostics.examination import examine
from understudy.streams.diagnostics.findings import Finding, Level
from understudy.streams.pairing.group_positions import positions_of
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import Settings
from understudy.streams.worker import pairing

pytestmark = pytest.mark.integration
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def url(clickhouse_url: str, clickhouse_database: str) -> str:
    """A migrated database of the test's own."""
    client = connect(clickhouse_url, database=clickhouse_database)
    migrate(client)
    client.close()
    return f"{clickhouse_url}?database={clickhouse_database}"


def levels(findings: list[Finding]) -> dict[str, Level]:
    """The worst level of each check."""
    order = list(Level)
    worst: dict[str, Level] = {}
    for one in findings:
        worst[one.check] = max(one.level, worst.get(one.check, Level.OK), key=order.index)
    return worst


def pairs(count: int, *, first: int = 0) -> list[tuple[bytes, bytes, Headers]]:
    now = dt.datetime.now(dt.UTC)
    return [
        (key(n), event(n, side, at=now), [])
        for n in range(first, first + count)
        for side in ("stable", "candidate")
    ]


@contextmanager
def working(settings: Settings) -> Iterator[None]:
    """A worker in threads."""
    stop = threading.Event()
    with pairing(settings, PairingPolicy.from_settings(settings)) as readers:
        threads = [threading.Thread(target=reader.run, args=(stop,)) for reader in readers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def wait_for_commit(settings: Settings, source: Source, records: int) -> None:
    """Until a group has read and stored so many, and told so."""
    pause = threading.Event()
    for _ in range(300):
        if sum(one.position for one in positions_of(settings.kafka, source)) >= records:
            return
        pause.wait(0.1)
    raise AssertionError(f"{records} records of {source} were not read")


def opinions(count: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    return [(key(n), feedback(n), []) for n in range(count)]


def quick(settings: Settings) -> Settings:
    pairing_settings = msgspec.structs.replace(settings.pairing, flush_interval_s=0.2)
    clickhouse = msgspec.structs.replace(settings.clickhouse, batch_age_s=0.2)
    return msgspec.structs.replace(settings, pairing=pairing_settings, clickhouse=clickhouse)


def test_a_healthy_installation(kafka_broker: Broker, topics: MakeTopics, url: str) -> None:
    specs = topics(event_partitions=12, rollout_partitions=4)
    settings = quick(settings_for(kafka_broker, specs, url))
    write(kafka_broker, specs.events.name, pairs(100))
    write(kafka_broker, specs.feedback.name, opinions(30))
    with working(settings):
        wait_for_commit(settings, "events", 200)
        wait_for_commit(settings, "feedback", 30)
        findings = examine(settings, newest=500)
    assert levels(findings) == dict.fromkeys(
        ("settings", "broker", "topics", "partitioner", "keys", "clocks", "sides",
         "request times", "dead letters",
         "workers", "lag", "clickhouse"),
        Level.OK,
    ), findings  # fmt: skip


def test_a_broken_installation(kafka_broker: Broker, topics: MakeTopics, url: str) -> None:
    specs = topics(event_partitions=3)
    settings = settings_for(kafka_broker, specs, url)
    now = dt.datetime.now(dt.UTC)
    name = specs.events.name
    stable = [(key(n), event(n, at=now), []) for n in range(100)]
    candidate = [(key(n), event(n, "candidate", at=now + 300 * SECOND), []) for n in range(60)]
    write(kafka_broker, name, stable)
    write(kafka_broker, name, candidate, partitioner="consistent_random")
    write(kafka_broker, name, [(None, event(n, at=now, rollout="search"), []) for n in range(50)])
    write(kafka_broker, specs.feedback.name, opinions(20))
    why: Headers = [("reason", b"schema"), ("topic", name.encode()), ("partition", b"0"),
                    ("offset", b"1")]  # fmt: skip
    write(kafka_broker, specs.dead_letters.name, [(None, b"{", why)])
    _delete_topic(kafka_broker, specs.rollouts.name)
    _set(kafka_broker, name, "cleanup.policy", "compact")
    findings = examine(settings, newest=500)
    assert levels(findings) == {
        "settings": Level.OK,
        "broker": Level.OK,
        "topics": Level.FAIL,
        "partitioner": Level.FAIL,
        "keys": Level.FAIL,
        "clocks": Level.FAIL,
        "sides": Level.FAIL,
        "request times": Level.OK,
        "dead letters": Level.WARN,
        "workers": Level.FAIL,
        "lag": Level.FAIL,
        "clickhouse": Level.OK,
    }
    seen = " ".join(one.seen for one in findings)
    for part in ("never joined", "50 events have no key", "by rollout helpdesk", "search (shadow)",
                 "20 feedback records wait and no worker",
                 "210 events wait and no worker", specs.rollouts.name, "1 × schema"):  # fmt: skip
        assert part in seen


def _delete_topic(broker: Broker, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.delete_topics([name])[name].result(10)


def _set(broker: Broker, topic: str, name: str, value: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(10)


def test_nothing_is_made(kafka_broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": "nobody-has-this.",
        "UNDERSTUDY_CLICKHOUSE_URL": f"chdb://{folder}",
    }
    result = CliRunner().invoke(main, ["doctor", "--json"], env=environment)
    document = json.loads(result.stdout)
    found = {one["check"]: one["level"] for one in document["findings"]}
    assert result.exit_code == 1
    assert (document["status"], found["topics"], found["clickhouse"]) == ("fail",) * 3
    assert not folder.exists()
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap_servers})
    known = admin.list_topics(timeout=10).topics
    assert not [name for name in known if name.startswith("nobody")]


def test_without_a_broker(url: str) -> None:
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "UNDERSTUDY_CLICKHOUSE_URL": url,
    }
    result = CliRunner().invoke(main, ["doctor"], env=environment)
    assert result.exit_code == 3
    assert "Kafka at 127.0.0.1:1 cannot be reached: Connect to" in result.stdout


def test_without_clickhouse(kafka_broker: Broker, topics: MakeTopics) -> None:
    prefix = topics().events.name.removesuffix("events")
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka_broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": prefix,
        "UNDERSTUDY_CLICKHOUSE_URL": "clickhouse://somebody:secret@127.0.0.1:1/understudy",
    }
    result = CliRunner().invoke(main, ["doctor"], env=environment)
    assert result.exit_code == 3
    assert "cannot be reached" in result.stdout
    assert "secret" not in result.output


def test_a_worker_that_stands_still(kafka_broker: Broker, topics: MakeTopics, url: str) -> None:
    specs = topics(event_partitions=1)
    settings = settings_for(kafka_broker, specs, url)
    write(kafka_broker, specs.events.name, pairs(5))
    consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap_servers,
                         "group.id": settings.kafka.group_id})  # fmt: skip
    consumer.subscribe([specs.events.name])
    while not consumer.assignment():
        consumer.poll(0.1)
    findings = examine(settings, newest=10)
    consumer.close()
    workers = [one.level for one in findings if one.check == "workers"]
    assert workers == [Level.OK, Level.FAIL, Level.FAIL], "none for feedback and evaluations"
    assert "have not moved" in next(one for one in findings if one.check == "lag").seen


def test_pending_migrations(
    kafka_broker: Broker, topics: MakeTopics, clickhouse_url: str, clickhouse_database: str
) -> None:
    url = f"{clickhouse_url}?database={clickhouse_database}"
    findings = examine(settings_for(kafka_broker, topics(), url), newest=10)
    (found,) = [one for one in findings if one.check == "clickhouse"]
    assert "0001_comparisons" in found.seen
    assert "understudy migrate" in found.advice


# Accounting


def _account(
    broker: Broker, specs: Topics, url: str, source: str = "events"
) -> list[dict[str, int]]:
    settings = settings_for(broker, specs, url)
    environment = {
        "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "UNDERSTUDY_KAFKA_TOPIC_PREFIX": settings.kafka.topic_prefix,
        "UNDERSTUDY_KAFKA_GROUP_ID": settings.kafka.group_id,
        "UNDERSTUDY_CLICKHOUSE_URL": url,
    }
    result = CliRunner().invoke(main, ["accounting", "--json"], env=environment)
    assert result.exit_code == 0, result.output
    table = CliRunner().invoke(main, ["accounting"], env=environment)
    assert "difference" in table.stdout
    return [one for one in json.loads(result.stdout) if one["source"] == source]


def test_every_event_read_is_accounted_for(
    kafka_broker: Broker, topics: MakeTopics, url: str
) -> None:
    specs = topics(event_partitions=3)
    once = pairs(40)
    some = [*once, *once[:6], (key(99), event(99), []), (key(98), b"{", [])]
    write(kafka_broker, specs.events.name, some)
    said = [*opinions(9), *opinions(2), (key(9), b"{", [])]
    write(kafka_broker, specs.feedback.name, said)
    settings = quick(settings_for(kafka_broker, specs, url))
    with working(settings):
        wait_for_commit(settings, "events", len(some))
        wait_for_commit(settings, "feedback", len(said))
    accounts = _account(kafka_broker, specs, url)
    assert [one["difference"] for one in accounts] == [0, 0, 0]
    assert sum(one["read"] for one in accounts) == len(some)
    assert sum(one["waiting"] for one in accounts) == 1
    outcomes = [one["outcomes"] for one in accounts]
    sums = {name: sum(some[name] for some in outcomes) for name in outcomes[0]}  # type: ignore[index]
    assert sums == {"paired": 80, "single": 0, "unmatched": 0, "duplicate": 6,
                    "superseded": 0, "late": 0, "invalid": 1}  # fmt: skip
    apart = _account(kafka_broker, specs, url, "feedback")
    assert [one["difference"] for one in apart] == [0, 0, 0]
    ended = Counter[str]()
    for one in apart:
        ended.update(one["outcomes"])  # type: ignore[arg-type]
    assert +ended == {"single": 9, "duplicate": 2, "invalid": 1}


def test_what_is_missing_shows_as_a_difference(
    kafka_broker: Broker, topics: MakeTopics, url: str
) -> None:
    specs = topics(event_partitions=1)
    write(kafka_broker, specs.events.name, pairs(10))
    settings = settings_for(kafka_broker, specs, url)
    consumer = Consumer({"bootstrap.servers": kafka_broker.bootstrap_servers,
                         "group.id": settings.kafka.group_id})  # fmt: skip
    consumer.commit(offsets=[TopicPartition(specs.events.name, 0, 15)], asynchronous=False)
    consumer.close()
    (account,) = _account(kafka_broker, specs, url)
    assert (account["written"], account["read"], account["difference"]) == (20, 15, 15)
