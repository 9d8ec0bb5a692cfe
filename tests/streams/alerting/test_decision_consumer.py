"""From the topic to ClickHouse and the receivers, through restarts and an absent ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.brokers.bomb import bomb
from tests.brokers.contract import Broker
from tests.streams.alerting.alerting_bench import Bench, alerting, bench_on, eventually
from tests.streams.alerting.http_receiver import HttpReceiver, Reply
from tests.streams.alerting.samples import decision, message, tombstone
from tests.waiting import stays_true
from understudy.schemas.decisions import encode_decision
from understudy.schemas.topics import Topics
from understudy.streams.alerting.decision_consumer import DecisionConsumer
from understudy.streams.alerting.drift_alerts import Assignment
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.settings import ClickHouseSettings, Settings

NOWHERE = "clickhouse://127.0.0.1:9/understudy"


@pytest.fixture
def bench(embedded_broker: EmbeddedBroker, clickhouse_url: str, clickhouse_database: str) -> Bench:
    servers = embedded_broker.bootstrap_servers
    return bench_on(servers, "understudy.", clickhouse_url, clickhouse_database)


def rows(url: str) -> list[str]:
    client: Client = connect(url)
    try:
        if not client.command("EXISTS TABLE decisions"):
            return []
        query = "SELECT verdict FROM decisions FINAL ORDER BY decided_at, sequence"
        return [row[0] for row in client.query(query).result_rows]
    finally:
        client.close()


def verdicts(server: HttpReceiver) -> list[str]:
    return [json.loads(one.body)["decision"]["verdict"] for one in server.received]


def test_the_rollouts_of_a_worker_are_those_of_its_partitions() -> None:
    consumer = DecisionConsumer(Settings(), cast(Loader, None), [])
    first, other = Assignment(0, 1), Assignment(3, 2)
    both = [message(decision(rollout_id="a")), message(decision(rollout_id="b"))]
    consumer._note_rollouts(both, first)
    consumer._note_rollouts([message(decision(rollout_id="c"), partition=3)], other)
    consumer._note_rollouts([tombstone("a")], first)
    assert consumer.rollouts == {"b": first, "c": other}


def test_a_partition_that_comes_back_is_another_assignment() -> None:
    class Kafka:
        def committed(self, partitions: list[TopicPartition], timeout: float) -> Any:
            return [TopicPartition(one.topic, one.partition, 7) for one in partitions]

        def incremental_assign(self, partitions: list[TopicPartition]) -> None: ...

        def resume(self, partitions: list[TopicPartition]) -> None: ...

    loader = SimpleNamespace(put=lambda *_: None, clear=lambda _: None)
    consumer = DecisionConsumer(Settings(), cast(Loader, loader), [])
    payload = encode_decision(decision(rollout_id="a"))
    read: Any = SimpleNamespace(
        key=lambda: b"a", value=lambda: payload, partition=lambda: 0, offset=lambda: 0
    )
    partitions, found = [TopicPartition("decisions", 0)], []
    for _ in range(2):
        consumer._on_assign(cast(Consumer, Kafka()), partitions)
        consumer._pass_on(0, consumer._assigned[0], [read])
        found.append(consumer.rollouts["a"])
        consumer._on_lost(cast(Consumer, Kafka()), partitions)
        assert consumer.rollouts == {}
    assert found == [Assignment(0, 1), Assignment(0, 2)]


@pytest.mark.embedded
def test_decisions_reach_everybody_and_are_not_told_again(bench: Bench) -> None:
    _reach_everybody(bench)


@pytest.mark.integration
def test_the_same_on_a_real_broker(
    kafka_broker: Broker,
    topics: Callable[..., Topics],
    clickhouse_url: str,
    clickhouse_database: str,
) -> None:
    prefix = topics().decisions.name.removesuffix("decisions")
    _reach_everybody(
        bench_on(kafka_broker.bootstrap_servers, prefix, clickhouse_url, clickhouse_database)
    )


@pytest.mark.integration
def test_a_batch_that_cannot_be_unpacked_stops_no_alert(
    kafka_broker: Broker,
    topics: Callable[..., Topics],
    clickhouse_url: str,
    clickhouse_database: str,
) -> None:
    servers, topic = kafka_broker.bootstrap_servers, topics(rollout_partitions=1).decisions.name
    prefix = topic.removesuffix("decisions")
    bench = bench_on(servers, prefix, clickhouse_url, clickhouse_database)
    with HttpReceiver() as hook:
        settings = bench.with_receivers(webhook_url=hook.url)
        bench.emit(decision())
        bomb(servers, topic, key=b"bomb")
        bench.emit(decision("rollback", minute=1))
        with alerting(settings):
            hook.wait_for(2)
            eventually(lambda: bench.committed() == 8)
        assert verdicts(hook) == ["hold", "rollback"]


def _reach_everybody(bench: Bench) -> None:
    with HttpReceiver() as manager, HttpReceiver() as hook:
        settings = bench.with_receivers(alertmanager_url=manager.url, webhook_url=hook.url)
        bench.emit(decision(), b"no decision")
        with alerting(settings):
            hook.wait_for(1)
            bench.emit(decision("rollback", minute=1))
            hook.wait_for(2)
            manager.wait_for(2)
            eventually(lambda: bench.committed() == 3)
        assert verdicts(hook) == ["hold", "rollback"]
        assert rows(bench.clickhouse_url) == ["hold", "rollback"]
        so_far = len(manager.received)
        with alerting(settings):
            manager.wait_for(so_far + 2)  # what stood before is repeated
            bench.emit(decision(minute=2))
            hook.wait_for(3)
            eventually(lambda: bench.committed() == 4)
        assert verdicts(hook) == ["hold", "rollback", "hold"]
        assert rows(bench.clickhouse_url) == ["hold", "rollback", "hold"]
        first, last = (json.loads(manager.received[n].body)[0] for n in (0, -1))
        assert first["labels"] == last["labels"]


@pytest.mark.embedded
def test_people_are_told_while_clickhouse_is_away(bench: Bench) -> None:
    with HttpReceiver() as hook:
        settings = bench.with_receivers(webhook_url=hook.url)
        away = msgspec.structs.replace(settings, clickhouse=ClickHouseSettings(url=NOWHERE))
        bench.emit(decision("rollback"))
        with alerting(away):
            hook.wait_for(1)
            stays_true(lambda: bench.committed() < 1, "nothing is committed", for_s=1.5)
        with alerting(settings):
            eventually(lambda: bench.committed() == 1)
        assert rows(bench.clickhouse_url) == ["rollback"]


@pytest.mark.embedded
def test_what_a_receiver_has_not_taken_is_not_committed(bench: Bench) -> None:
    with HttpReceiver(always=Reply(500)) as dead, HttpReceiver() as slack:
        settings = bench.with_receivers(webhook_url=dead.url, slack_webhook_url=slack.url)
        bench.emit(decision("rollback"))
        with alerting(settings):
            slack.wait_for(1)
            eventually(lambda: rows(bench.clickhouse_url) == ["rollback"])
            stays_true(lambda: bench.committed() < 1, "nothing is committed", for_s=1.5)
    with HttpReceiver() as mended, alerting(bench.with_receivers(webhook_url=mended.url)):
        mended.wait_for(1)
        eventually(lambda: bench.committed() == 1)


class FatalMessage:
    """What a consumer returns once when its group has fenced it, and nothing after that."""

    def error(self) -> KafkaError:
        return KafkaError(KafkaError._FATAL, "fenced by another consumer", fatal=True)


def test_a_consumer_that_is_fenced_ends_its_process_rather_than_stand_still() -> None:
    consumer = object.__new__(DecisionConsumer)
    consumer._topic, consumer._needed = "understudy.decisions", ()
    with pytest.raises(KafkaException, match="fenced"):
        consumer._process([cast(Any, FatalMessage())])
