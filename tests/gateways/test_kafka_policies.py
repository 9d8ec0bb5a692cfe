"""The policies in force, as routes of a gateway."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import Producer

from tests.waiting import wait_until
from understudy.gateways.kafka_policies import KafkaPolicies
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded

TOPIC = "understudy.rollouts"


def write(broker: EmbeddedBroker, rollout_id: str, value: bytes | None) -> None:
    producer = Producer(broker.client_config)
    producer.produce(TOPIC, value, rollout_id)
    assert producer.flush(60) == 0


def record(rollout_id: str, *workflows: str, stable: str = "heron-4") -> bytes:
    manifest = read_manifest(
        f"rollout_id: {rollout_id}\nmodels: {{stable: {stable}, candidate: heron-5}}\n"
        f"workflows: [{', '.join(workflows)}]"
    )
    return encode_rollout_record(RolloutRecord(manifest=manifest))


def test_routes_follow_the_policies(
    embedded_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    write(embedded_broker, "a", record("a", "checkout"))
    policies = KafkaPolicies(
        {**embedded_broker.client_config, "fetch.wait.max.ms": 20}, default_model="heron-4"
    )
    assert policies.wait_until_read(60)
    table = policies.table()
    assert [route.rollout_id for route in table.routes("checkout")] == ["a"]
    assert table.default_model == "heron-4"
    assert policies.table() is table

    write(embedded_broker, "b", record("b", "search"))
    wait_until(lambda: policies.table().routes("search"), "the second policy")

    write(embedded_broker, "b", record("b", "checkout", stable="crane"))
    wait_until(lambda: policies.table() and "The routes stay" in caplog.text, "the refusal")
    assert policies.table().routes("search"), "as it was"

    write(embedded_broker, "b", b"{")
    wait_until(lambda: "The newest policy of b cannot be read" in caplog.text, "the error")
    write(embedded_broker, "a", None)
    wait_until(lambda: not policies.table().routes("search"), "what is left")
    assert [route.rollout_id for route in policies.table().routes("checkout")] == ["b"]
    policies.close()


def test_before_all_was_read_no_table_is_complete(embedded_broker: EmbeddedBroker) -> None:
    away = KafkaPolicies({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    assert not away.table().is_complete
    away._stop.set()
    write(embedded_broker, "a", record("a", "checkout"))
    policies = KafkaPolicies({**embedded_broker.client_config, "fetch.wait.max.ms": 20})
    wait_until(lambda: policies.table().is_complete, "the end of the topic")
    assert policies.table().routes("checkout")
    policies.close()


def test_child_of_a_fork_goes_on_with_the_routes_that_its_parent_had(
    embedded_broker: EmbeddedBroker,
) -> None:
    write(embedded_broker, "a", record("a", "checkout"))
    policies = KafkaPolicies({**embedded_broker.client_config, "fetch.wait.max.ms": 20})
    assert policies.wait_until_read(60)
    table = policies.table()
    stop, threads = policies._stop, list(policies._threads.values())
    policies.begin_in_child()
    assert policies.table() is table
    stop.set()
    for thread in threads:
        thread.join()
    assert policies.wait_until_read(60)
    assert policies.table() is table, "nothing has changed"
    policies.close()
