"""Deciding on a real broker: windows in, decisions out, through kills, poison and commands."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.brokers.contract import Broker
from tests.integration.processes import COMMAND, Worker, settings
from tests.integration.topic_log import Record, read_topic
from tests.streams.deciding.fake_port import write
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, decode_decision, encode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.schemas.rollouts import compile_manifest
from understudy.schemas.topics import PARTITIONER, ROLLOUT_PARTITIONS, Topics, understudy_topics
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.snapshots import snapshot_in
from understudy.streams.kafka.topic_admin import ensure_topics

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MANIFEST = read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
guardrails: [{{metric: error_rate, max_increase: 1pp}}]
""")
RECORD = RolloutRecord(manifest=MANIFEST)
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))
HEALTHY = World(requests=100)
LATENCY_S = 5.0
"""Two seconds are the aim; machines under test share their cores."""
TIMEOUT_S = 60.0
AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


class Bench:
    """Topics, and a producer like that of pairing."""

    def __init__(self, broker: Broker, topics: Topics, folder: Path) -> None:
        self.broker, self.topics, self._folder = broker, topics, folder
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap_servers,
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
            }
        )
        self._workers = 0

    @contextmanager
    def worker(
        self, arguments: Sequence[str] = (*COMMAND, "worker", "--role", "deciding")
    ) -> Iterator[Worker]:
        self._workers += 1
        own = self._folder / f"worker-{self._workers}"
        own.mkdir()
        environment = settings(
            self.broker,
            self.topics,
            UNDERSTUDY_HTTP_ENABLED="false",
            UNDERSTUDY_DECIDING_SESSION_TIMEOUT_S="6",
        )
        with Worker(own, environment, arguments) as worker:
            yield worker

    def write(self, topic: str, *values: bytes | None) -> None:
        for value in values:
            self._producer.produce(topic, value, ROLLOUT.encode())
        assert self._producer.flush(TIMEOUT_S) == 0

    def apply(self, record: RolloutRecord, worker: Worker) -> None:
        """Write a record and wait until it counts."""
        before = worker.log.count('"deciding.record_applied"')
        self.write(self.topics.rollouts.name, encode_rollout_record(record))
        worker.wait_until(lambda: worker.log.count('"deciding.record_applied"') > before, "applied")

    def apply_anywhere(self, record: RolloutRecord, *workers: Worker) -> None:
        """The same, whichever worker has the rollout."""
        self.write(self.topics.rollouts.name, encode_rollout_record(record))
        workers[0].wait_until(
            lambda: any('"deciding.record_applied"' in worker.log for worker in workers), "applied"
        )

    def has_kept(self) -> bool:
        """Whether the table holds what an undisturbed evaluator would."""
        prefix = self.topics.events.name.removesuffix("events")
        found = self.records(f"{prefix}{prefix}deciding-rollouts-changelog")
        table: dict[bytes, bytes] = {}
        for record in found:
            write(table, {record.key or b"": record.value})
        snapshot = snapshot_in(table, ROLLOUT.encode())
        if snapshot is None:
            return False
        evaluator = RolloutEvaluator(compile_manifest(MANIFEST))
        evaluator.advance_clock(snapshot.record_timestamp_ms)
        evaluator.announce()
        for record in self.records(self.topics.windows.name):
            message = msgspec.json.decode(record.value or b"", type=WindowsMessage)
            evaluator.add(message, record.timestamp_ms)
        return bytes(snapshot.state) == evaluator.encode_state()

    def undisturbed(self, messages: Sequence[WindowsMessage]) -> list[bytes]:
        """What one evaluator tells that is never interrupted, from the first record on."""
        evaluator = RolloutEvaluator(compile_manifest(MANIFEST))
        evaluator.advance_clock(self.records(self.topics.rollouts.name)[0].timestamp_ms)
        begun = evaluator.announce()
        taken = [evaluator.take(message) for message in messages]
        return [encode_decision(one) for one in (begun, *taken) if one is not None]

    def send(self, messages: Sequence[WindowsMessage]) -> None:
        self.write(self.topics.windows.name, *map(msgspec.json.encode, messages))

    def records(self, topic: str) -> list[Record]:
        return [record for log in read_topic(self.broker, topic) for record in log]

    def decisions(self) -> list[Decision]:
        """Without their causes: the evaluators here know no places in the log."""
        found = self.records(self.topics.decisions.name)
        decoded = [decode_decision(record.value) for record in found if record.value]
        return [msgspec.structs.replace(one, cause=None) for one in decoded]

    def wait_for(self, worker: Worker, done: Callable[[list[Decision]], bool]) -> list[Decision]:
        def is_emitted() -> bool:
            emitted = self.decisions()
            return bool(emitted) and done(emitted)

        worker.wait_until(is_emitted, "a decision")
        return self.decisions()


@pytest.fixture
def bench(kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path) -> Bench:
    return Bench(kafka_broker, topics(rollout_partitions=ROLLOUT_PARTITIONS), tmp_path)


def tipping(messages: Sequence[WindowsMessage]) -> int:
    """How many messages it takes until the rollback."""
    evaluator = RolloutEvaluator(compile_manifest(MANIFEST))
    for number, message in enumerate(messages, 1):
        decision = evaluator.take(message)
        if decision is not None and decision.verdict == "rollback":
            return number
    raise AssertionError("no rollback")


def test_a_regression_is_rolled_back_within_seconds(bench: Bench) -> None:
    messages = BROKEN.messages(5, 40)
    last = tipping(messages)
    with bench.worker() as worker:
        bench.apply(RECORD, worker)
        bench.send(messages[: last - 1])
        expected = bench.undisturbed(messages[: last - 1])
        bench.wait_for(worker, lambda emitted: len(emitted) == len(expected))
        time.sleep(2.0)
        started_ms = 1000 * time.time()
        bench.send(messages[last - 1 : last])
        bench.wait_for(worker, lambda emitted: emitted[-1].verdict == "rollback")
        emitted_ms = bench.records(bench.topics.decisions.name)[-1].timestamp_ms
        assert worker.terminate() == 0, worker.log
    latency_s = (emitted_ms - started_ms) / 1000
    print(f"\nfrom the tipping message to the rollback: {latency_s:.3f} s")
    assert latency_s < LATENCY_S


def test_a_killed_worker_decides_what_an_undisturbed_one_would(bench: Bench) -> None:
    messages = BROKEN.messages(6, 200)
    with bench.worker() as worker:
        bench.apply(RECORD, worker)
        expected = bench.undisturbed(messages)
        bench.send(messages)
        bench.wait_for(worker, lambda emitted: len(emitted) > 1)
        worker.kill()
    with bench.worker() as worker:
        bench.wait_for(worker, lambda emitted: encode_decision(emitted[-1]) == expected[-1])
        worker.wait_until(bench.has_kept, "the same state")
        assert worker.terminate() == 0, worker.log
    found = [encode_decision(decision) for decision in bench.decisions()]
    assert found[-1] == expected[-1]
    assert list(dict.fromkeys(found)) == expected


def test_another_worker_takes_over(bench: Bench) -> None:
    messages = BROKEN.messages(9, 40)
    with bench.worker() as first, bench.worker() as second:
        bench.apply_anywhere(RECORD, first, second)
        bench.send(messages[:3])
        first.kill()
        bench.send(messages[3:])
        second.wait_until(bench.has_kept, "the same state")
        assert second.terminate() == 0, second.log
    expected = bench.undisturbed(messages)
    found = [encode_decision(decision) for decision in bench.decisions()]
    assert list(dict.fromkeys(found)) == expected


def test_a_broker_may_restart(own_broker: Broker, tmp_path: Path) -> None:
    specs = understudy_topics("own.")
    ensure_topics({"bootstrap.servers": own_broker.bootstrap_servers}, specs)
    bench = Bench(own_broker, specs, tmp_path)
    messages = BROKEN.messages(9, 40)
    with bench.worker() as worker:
        bench.apply(RECORD, worker)
        expected = bench.undisturbed(messages)
        bench.send(messages[:3])
        own_broker.restart()
        bench.send(messages[3:])
        bench.wait_for(worker, lambda emitted: encode_decision(emitted[-1]) == expected[-1])
    found = [encode_decision(decision) for decision in bench.decisions()]
    assert list(dict.fromkeys(found)) == expected


def test_poison_becomes_a_dead_letter_and_deciding_goes_on(bench: Bench) -> None:
    messages = BROKEN.messages(7, 40)
    with bench.worker() as worker:
        bench.apply(RECORD, worker)
        bench.send(messages[:2])
        bench.write(bench.topics.windows.name, b'{"rollout_id": "helpdesk", "rows": 7}')
        bench.send(messages[2:])
        expected = bench.undisturbed(messages)
        emitted = bench.wait_for(worker, lambda emitted: len(emitted) >= len(expected))
        assert worker.terminate() == 0, worker.log
    (letter,) = bench.records(bench.topics.dead_letters.name)
    assert letter.headers["reason"] == b"invalid_windows"
    assert letter.headers["topic"] == bench.topics.windows.name.encode()
    assert letter.key == ROLLOUT.encode()
    assert [encode_decision(decision) for decision in emitted] == expected


def test_commands_and_a_deletion_are_applied(bench: Bench) -> None:
    with bench.worker([*COMMAND, "worker"]) as worker:
        bench.apply(RECORD, worker)
        bench.wait_for(worker, lambda emitted: emitted[-1].verdict == "hold")
        bench.send(HEALTHY.messages(8, 5))
        bench.wait_for(worker, lambda emitted: len(emitted) > 1)
        killed = RECORD.with_command("kill", AT, reason="users complain", by="anna")
        bench.apply(killed, worker)
        emitted = bench.wait_for(worker, lambda emitted: emitted[-1].verdict == "rollback")
        assert emitted[-1].is_latched
        assert "users complain" in " ".join(emitted[-1].reasons)
        bench.apply(killed.with_command("resume", AT, reason="", by="anna"), worker)
        emitted = bench.wait_for(worker, lambda emitted: emitted[-1].verdict != "rollback")
        assert not emitted[-1].is_latched
        bench.write(bench.topics.rollouts.name, None)
        worker.wait_for_log('"deciding.rollout_deleted"')
        assert worker.terminate() == 0, worker.log
    assert bench.records(bench.topics.decisions.name)[-1].value == b""
