"""Poison ends in dead letters; where they cannot be written, nothing more is read."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.faults.harness import Run
from tests.faults.processes import wait_until, wait_until_logged
from tests.faults.workload import Message, Workload
from tests.waiting import stays_true

pytestmark = [pytest.mark.faults, pytest.mark.integration]

POISONED = """
import sys
from understudy.streams.commands.main import main
from understudy.streams.pairing import event_partition

honest = event_partition.compare_requests

def compare(entries, partitions, options):
    for entry in entries:
        for side in entry.sides.values():
            if side.event.response and "POISON" in (side.event.response.output or ""):
                raise ZeroDivisionError("an analyzer\\nfell over")
    return honest(entries, partitions, options)

event_partition.compare_requests = compare
sys.exit(main(["worker", "--role", "pairing"]))
"""
TOO_LARGE = 12 * 1024 * 1024


def poison(number: int, among: list[Message]) -> list[Message]:
    """A pair that no analyzer can take, requested when the newest of the others was."""
    valid = [
        json.loads(message.value or b"")
        for message in among
        if b"pair_id" in (message.value or b"")
    ]
    # Not of a clock that runs ahead; late in no partition, whatever pauses came before.
    now = dt.datetime.now(dt.UTC).isoformat()
    newest = max(event["request_time"] for event in valid if event["request_time"] < now)
    event = {
        "schema_version": 1, "rollout_id": "r1", "pair_id": f"poison{number}", "mode": "shadow",
        "sides": ["stable", "candidate"], "request_time": newest,
        "language": "en",
        "response": {"output": "POISON"},
    }  # fmt: skip
    key = f"r1/poison{number}".encode()
    return [
        Message(key, json.dumps({**event, "side": s}).encode()) for s in ("stable", "candidate")
    ]


def test_poison(run: Callable[..., Run]) -> None:
    """The pair goes to dead letters with the error's last line, all else goes on."""
    poisoned = run()
    worker = poisoned.command_worker(script=POISONED)
    messages = Workload(51, 400).messages
    middle = len(messages) // 2
    for number in range(3):
        messages[middle:middle] = poison(number, messages[:middle])
    poisoned.publish(messages)
    poisoned.wait_until_complete()
    worker.kill()
    second = poisoned.command_worker(script=POISONED)
    wait_until_logged(second, "partitions.assigned")
    poisoned.publish(Workload(50, 20).messages)
    poisoned.wait_until_complete()
    poisoned.stop_workers()
    letters = poisoned.headers(poisoned.topics.dead_letters.name)
    told = {
        (int(h["partition"]), int(h["offset"])): (h["detail"], json.loads(r.value or b"")["side"])
        for r, h in letters
        if h["reason"] == "analyzer_failed"
    }
    assert Counter(told.values()) == {
        ("ZeroDivisionError: an analyzer\nfell over", side): 3 for side in ("candidate", "stable")
    }
    rows = poisoned.sql("SELECT * FROM windows FINAL")
    found = sum(v for row in rows for k, v in row.items() if k.startswith("events_"))
    waiting = sum(c.waiting_sides for c in poisoned.committed().values())
    assert found + waiting == poisoned.published
    invalid = sum(row["events_invalid"] for row in rows)
    assert invalid == len(poisoned.truth().invalid) + 6


def test_an_event_that_only_compression_made_small(run: Callable[..., Run]) -> None:
    """Larger than any message that may be written: its dead letter keeps the beginning."""
    huge = run()
    huge.worker()
    messages = Workload(52, 200).messages
    huge.publish(messages[:100])
    producer = Producer(
        {"bootstrap.servers": huge.broker.bootstrap_servers, "compression.type": "zstd",
         "message.max.bytes": 2 * TOO_LARGE}
    )  # fmt: skip
    producer.produce(huge.topics.events.name, b"x" * TOO_LARGE, b"r1/huge", partition=0)
    assert producer.flush(30) == 0
    huge.publish(messages[100:])
    huge.wait_until_complete()
    huge.stop_workers()
    huge.check()
    cut = [h for _, h in huge.headers(huge.topics.dead_letters.name) if "cut_from_bytes" in h]
    assert [h["cut_from_bytes"] for h in cut] == [str(TOO_LARGE)]


def test_the_topic_is_deleted(run: Callable[..., Run]) -> None:
    """Nothing is committed past what could not be written; a restart makes the topic again."""
    broken = run(kafka_client_topic_metadata_propagation_max_ms=1000)
    worker = broken.worker(instance="one")
    chunks = Workload(53, 900).chunks(2)
    broken.publish(chunks[0])
    broken.wait_until_complete()
    name = broken.topics.dead_letters.name
    admin = AdminClient({"bootstrap.servers": broken.broker.bootstrap_servers})
    admin.delete_topics([name])[name].result(10)
    before = {n: c.position for n, c in broken.committed().items()}
    broken.publish(chunks[1])
    wait_until(
        lambda: worker.exit_code is not None or "kafka.undelivered" in worker.log,
        "it stops reading", worker=worker,
    )  # fmt: skip
    invalid = broken.truth().invalid

    def nothing_skipped() -> bool:
        written = {n: c.position for n, c in broken.committed().items()}
        return not any(before[n] <= offset < written[n] for n, offset in invalid)

    stays_true(nothing_skipped, "nothing is committed past a dead letter", for_s=1.0)
    if worker.exit_code is None:
        worker.kill()
    broken.workers.remove(worker)
    broken.worker(instance="one")
    broken.wait_until_complete()
    broken.stop_workers()
    letters = {(int(h["partition"]), int(h["offset"])) for _, h in broken.headers(name)}
    assert {one for one in invalid if one[1] >= before[one[0]]} <= letters


def test_the_topic_refuses(run: Callable[..., Run]) -> None:
    """The worker ends rather than go on; once the topic takes them again, all are there."""
    refused = run()
    worker = refused.worker(instance="one")
    chunks = Workload(54, 900).chunks(2)
    refused.publish(chunks[0])
    refused.wait_until_complete()
    before = {n: c.position for n, c in refused.committed().items()}
    refused.limit(refused.topics.dead_letters.name, 10)
    refused.publish(chunks[1])
    wait_until(lambda: worker.exit_code is not None, "it ends", worker=worker)
    assert worker.exit_code == 1
    assert f", topic {refused.topics.dead_letters.name}: " in worker.log
    invalid = refused.truth().invalid
    for number, committed in refused.committed().items():
        passed = {o for n, o in invalid if n == number and before[n] <= o < committed.position}
        assert not passed, f"committed past dead letters {passed}"
    refused.workers.remove(worker)
    refused.limit(refused.topics.dead_letters.name, 8 * 1024 * 1024)
    refused.worker(instance="one")
    refused.wait_until_complete()
    refused.stop_workers()
    refused.check()
