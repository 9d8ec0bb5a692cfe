"""ClickHouse is away: regressions are rolled back all the same, and later it has every decision."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.faults.clickhouse_server import Fault
from tests.faults.harness import Run
from tests.faults.workload import Message
from tests.streams.alerting.http_receiver import HttpReceiver
from tests.waiting import DEADLINE_S, wait_until
from understudy.schemas.decisions import decode_decision
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record

pytestmark = [pytest.mark.faults, pytest.mark.integration]

ROLLOUT: Final = "helpdesk"
POLICY: Final = f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
independent_requests: true
guardrails: [{{metric: error_rate, max_increase: 1pp}}]
"""
REQUESTS_PER_BATCH: Final = 10
BATCH_INTERVAL_S: Final = 0.2


def requests(first: int, count: int, *, broken: bool) -> Iterator[Message]:
    """Mirrored requests of this moment; all answers of the candidate fail, or none."""
    for number in range(first, first + count):
        common = {
            "schema_version": 1,
            "rollout_id": ROLLOUT,
            "pair_id": f"p{number}",
            "mode": "shadow",
            "sides": ["stable", "candidate"],
            "request_time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
            "language": "en",
        }
        for side in ("stable", "candidate"):
            fails = broken and side == "candidate"
            answer: dict[str, Any] = (
                {"error": {"type": "server_error", "status": 503}}
                if fails
                else {"response": {"model": side, "output": "yes", "finish_reason": "stop"}}
            )
            value = json.dumps({**common, "side": side, **answer}).encode()
            yield Message(f"{ROLLOUT}/p{number}".encode(), value)


class Traffic:
    """Requests as they come."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._sent = 0

    def flow_until(self, condition: Callable[[], bool], reason: str, *, broken: bool) -> None:
        """Send until something is so."""

        def send_and_ask() -> bool:
            assert self._run.living, f"the worker has ended:\n{self._log()}"
            self._run.publish(requests(self._sent, REQUESTS_PER_BATCH, broken=broken))
            self._sent += REQUESTS_PER_BATCH
            return condition()

        wait_until(send_and_ask, reason, details=self._log, poll_s=BATCH_INTERVAL_S)

    def _log(self) -> str:
        return self._run.workers[-1].log[-6000:]


def last_verdict(run: Run) -> str | None:
    """The verdict that stands in the topic of decisions."""
    found = payloads(run)
    return decode_decision(found[-1]).verdict if found else None


def payloads(run: Run) -> list[bytes]:
    """Decisions as they are in their topic, all of one rollout and so of one partition."""
    logs = run.read(run.topics.decisions.name).values()
    return [record.value for log in logs for record in log if record.value]


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG])
def test_a_regression_while_clickhouse_is_away(run: Callable[..., Run], fault: Fault) -> None:
    with HttpReceiver() as receiver:
        away = run(role="all", rollout_partitions=4, alerting_webhook_url=receiver.url)
        worker = away.worker()
        record = RolloutRecord(manifest=read_manifest(POLICY))
        away.write(away.topics.rollouts.name, ROLLOUT.encode(), encode_rollout_record(record))
        away.flush()
        traffic = Traffic(away)
        traffic.flow_until(lambda: last_verdict(away) is not None, "a policy", broken=False)
        traffic.flow_until(
            lambda: away.clickhouse.inserts(away.name) > 2, "rows in ClickHouse", broken=False
        )
        away.fault(fault)
        inserts = away.clickhouse.inserts(away.name)
        begun_s = time.monotonic()
        traffic.flow_until(lambda: last_verdict(away) == "rollback", "a rollback", broken=True)
        print(f"rolled back {time.monotonic() - begun_s:.1f} s after the candidate broke")
        wait_until(
            lambda: is_notified(receiver, "rollback"), "the webhook has the rollback",
            details=lambda: worker.log[-6000:],
        )  # fmt: skip
        assert away.clickhouse.inserts(away.name) == inserts, "ClickHouse was not away"
        away.fault(Fault.NONE)
        away.wait_until_complete(DEADLINE_S)
        wait_until(lambda: committed_windows(away) == window_ends(away), "windows are decided on")
        wait_until(
            lambda: stored(away) == set(payloads(away)), "all decisions are in ClickHouse",
            details=lambda: worker.log[-6000:], poll_s=0.5,
        )  # fmt: skip
        away.stop_workers()
        away.check()
        assert stored(away) == set(payloads(away))


def is_notified(receiver: HttpReceiver, verdict: str) -> bool:
    """Whether the webhook got a decision with a verdict."""
    bodies = [json.loads(one.body) for one in list(receiver.received)]
    return any(body["decision"]["verdict"] == verdict for body in bodies)


def stored(run: Run) -> set[bytes]:
    """Decisions in ClickHouse, as they are in the topic."""
    rows = run.sql("SELECT decision FROM decisions FINAL")
    return {row["decision"].encode() for row in rows}


def committed_windows(run: Run) -> dict[int, int]:
    """Offsets that the deciding group has committed, where there are any."""
    asker = Consumer(
        {"bootstrap.servers": run.broker.bootstrap_servers, "group.id": run.deciding_group}
    )
    try:
        topic = run.topics.windows
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        found = asker.committed(places, timeout=DEADLINE_S)
    finally:
        asker.close()
    return {place.partition: place.offset for place in found if place.offset > 0}


def window_ends(run: Run) -> dict[int, int]:
    """The offset after the last message of each partition that has some."""
    logs = run.read(run.topics.windows.name)
    return {number: log[-1].offset + 1 for number, log in logs.items() if log}
