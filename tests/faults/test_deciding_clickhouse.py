"""ClickHouse is away: regressions are rolled back all the same, and later it has every decision."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.faults.clickhouse_server import Fault
from tests.faults.harness import Run
from tests.faults.processes import wait_until
from tests.faults.workload import Message
from tests.streams.alerting.http_receiver import HttpReceiver
from understudy.schemas.decisions import Decision, decode_decision
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
REQUESTS_PER_S: Final = 50
DECIDED_S: Final = 30.0
STORED_S: Final = 60.0


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

    def flow_until(self, done: Callable[[], bool], within_s: float, *, broken: bool) -> None:
        """Send until something is so."""
        deadline = time.monotonic() + within_s
        while not done():
            assert time.monotonic() < deadline, self._run.workers[-1].log[-5000:]
            self._run.publish(requests(self._sent, REQUESTS_PER_S // 5, broken=broken))
            self._sent += REQUESTS_PER_S // 5
            time.sleep(0.2)


def decisions(run: Run) -> list[Decision]:
    return [decode_decision(value) for value in payloads(run)]


def payloads(run: Run) -> list[bytes]:
    """What stands in the topic of decisions."""
    logs = run.read(run.topics.decisions.name).values()
    return [record.value for log in logs for record in log if record.value]


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG])
def test_a_regression_while_clickhouse_is_away(run: Callable[..., Run], fault: Fault) -> None:
    with HttpReceiver() as people:
        away = run(
            role="all", rollout_partitions=4, alerting_webhook_url=people.url, api_enabled=False
        )
        worker = away.worker()
        record = RolloutRecord(manifest=read_manifest(POLICY))
        away.write(away.topics.rollouts.name, ROLLOUT.encode(), encode_rollout_record(record))
        away.flush()
        traffic = Traffic(away)
        traffic.flow_until(lambda: "deciding.applied" in worker.log, DECIDED_S, broken=False)
        traffic.flow_until(lambda: away.clickhouse.inserts(away.name) > 2, DECIDED_S, broken=False)
        away.fault(fault)
        inserts = away.clickhouse.inserts(away.name)
        begun_s = time.monotonic()
        traffic.flow_until(
            lambda: decisions(away)[-1].verdict == "rollback", DECIDED_S, broken=True
        )
        print(f"rolled back {time.monotonic() - begun_s:.1f} s after the candidate broke")
        wait_until(lambda: told(people, "rollback"), "people are told", 20, worker)
        assert away.clickhouse.inserts(away.name) == inserts, "ClickHouse was not away"
        away.fault(Fault.NONE)
        wait_until(lambda: stored(away) == set(payloads(away)), "stored", STORED_S, worker)
        away.wait_until_settled()
        away.stop_workers()
        away.check()
        assert stored(away) == set(payloads(away))


def told(people: HttpReceiver, verdict: str) -> bool:
    """Whether the webhook got a decision with a verdict."""
    bodies = [json.loads(one.body) for one in list(people.received)]
    return any(body["decision"]["verdict"] == verdict for body in bodies)


def stored(run: Run) -> set[bytes]:
    """Decisions in ClickHouse, as they stand in the topic."""
    rows = run.sql("SELECT decision FROM decisions FINAL")
    return {row["decision"].encode() for row in rows}
