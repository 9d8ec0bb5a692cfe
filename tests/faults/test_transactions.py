"""A producer that writes in transactions: its marks are no events, for the accounting either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from confluent_kafka import Producer

from tests.faults.harness import Run
from tests.faults.workload import Message, Workload
from tests.waiting import wait_until
from understudy.schemas.windows import SOURCES
from understudy.streams.diagnostics.accounts import Account, read_accounts
from understudy.streams.pairing.group_positions import positions_of
from understudy.streams.settings import load_settings

pytestmark = [pytest.mark.faults, pytest.mark.integration]

PER_TRANSACTION: Final = 25
TIMEOUT_S: Final = 30.0


def publish(run: Run, messages: list[Message], *, abort: bool = False) -> None:
    """Write a few messages at a time, each few in a transaction."""
    producer = Producer(
        {
            "bootstrap.servers": run.broker.bootstrap_servers,
            "transactional.id": run.name,
            "partitioner": "murmur2_random",
        }
    )
    producer.init_transactions(TIMEOUT_S)
    for start in range(0, len(messages), PER_TRANSACTION):
        producer.begin_transaction()
        for message in messages[start : start + PER_TRANSACTION]:
            producer.produce(run.topics.events.name, message.value, message.key)
        if abort:
            producer.flush(TIMEOUT_S)
            producer.abort_transaction(TIMEOUT_S)
        else:
            producer.commit_transaction(TIMEOUT_S)


def test_marks_are_not_counted_as_events(run: Callable[..., Run]) -> None:
    """Nor are they after a kill, nor what a transaction that was aborted had written."""
    transactional = run()
    settings = load_settings(None, transactional.environment())
    chunks = Workload(61, 400).chunks(2)

    def all_is_read() -> bool:
        positions = positions_of(settings.kafka, "events")
        return all(one.committed is not None and one.lag == 0 for one in positions)

    def accounts() -> list[Account]:
        found = read_accounts(settings, transactional.clickhouse.url(transactional.name))
        return [account for account in found if account.source == SOURCES[0]]

    worker = transactional.worker()
    publish(transactional, chunks[0])
    wait_until(all_is_read, "the first half is read")
    worker.kill()
    publish(transactional, chunks[1][:50], abort=True)
    publish(transactional, chunks[1])
    transactional.worker()
    wait_until(all_is_read, "everything is read")
    transactional.stop_workers()
    written = len(chunks[0]) + len(chunks[1])
    assert sum(transactional.ends().values()) > written + 50
    assert sum(one.written for one in accounts()) == written
    assert sum(one.read for one in accounts()) == written
    assert [one.difference for one in accounts()] == [0, 0, 0]
