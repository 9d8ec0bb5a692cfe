"""Evaluations on a real broker: a job that runs twice changes nothing, nor do workers killed.

What is expected is computed by a plain reading of the same JSON, with none of the service's code.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.analyzers.guardrails.world import ROLLOUT
from tests.brokers.contract import Broker
from tests.integration.path import running
from tests.integration.processes import COMMAND, settings, understudy
from tests.integration.test_deciding import Bench
from tests.integration.test_feedback import has_stored, rows_told
from tests.integration.test_two_workers import QUICK_REBALANCES
from understudy.analyzers.windows.histogram import merge
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.topics import ROLLOUT_PARTITIONS, Topics

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORD = RolloutRecord(
    manifest=read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
independent_requests: true
guardrails:
  - {{metric: quality_preference, evaluator: helpfulness@1, max_drop: 2pp}}
  - {{metric: error_rate, max_increase: 2pp, required: none}}
""")
)
PAIRS = 900


def judged(seed: int) -> list[bytes]:
    """What a nightly job writes: worse answers in one language, some of the pairs a day old."""
    rng = random.Random(seed)
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)
    lines = []
    for number in range(PAIRS):
        at = begin + dt.timedelta(seconds=number * 60 / PAIRS)
        language = rng.choice(("en", "ja"))
        share = 0.2 if language == "ja" else 0.5
        requested = at - dt.timedelta(seconds=rng.choice((3, 86_400)))
        lines.append({
            "schema_version": 1, "rollout_id": ROLLOUT, "pair_id": f"p{number}", "mode": "shadow",
            "language": language, "request_time": requested.isoformat(),
            "evaluation_time": at.isoformat(), "evaluator": "helpfulness", "evaluator_version": "1",
            "usage": {"cost_usd": 0.001},
            "preferences": [{
                "preferred": "candidate" if rng.random() < share else "stable",
                "first": rng.choice(("stable", "candidate")),
            }],
        })  # fmt: skip
    return [_line(one) for one in lines]


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def preferences(lines: list[bytes]) -> dict[int, int]:
    """Pairs by whose answer was preferred, on the scale of windows."""
    chosen = Counter(json.loads(line)["preferences"][0]["preferred"] for line in lines)
    return {-10: chosen["stable"], 10: chosen["candidate"]}


def publish(folder: Path, environment: dict[str, str], name: str, lines: list[bytes]) -> None:
    file = folder / f"{name}.ndjson"
    file.write_bytes(b"\n".join(lines))
    done = understudy("publish", "--to", "evaluations", file, folder=folder,
                      environment=environment)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def test_a_job_that_runs_twice_judges_once(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    bench = Bench(kafka_broker, specs, tmp_path)
    lines = judged(3)
    environment = settings(kafka_broker, specs)
    with bench.worker((*COMMAND, "worker")) as worker:
        bench.apply(RECORD, worker)
        publish(tmp_path, environment, "once", lines)
        told = bench.wait_for(worker, lambda told: told[-1].verdict == "rollback")
        publish(tmp_path, environment, "twice", lines)
        worker.wait_until(lambda: has_stored(kafka_broker, specs, "evaluations"), "all is stored")
        assert worker.terminate() == 0, worker.log
    assert told[-1].reasons[0].startswith("answers preferred to stable's in `ja` fell ")
    assert told[-1].evaluation_partitions

    rows = worker.rows(
        "SELECT sumMap(quality_preference_histogram) AS found, sum(events_single) AS single, "
        "sum(events_duplicate) AS duplicate FROM windows FINAL WHERE source = 'evaluations'"
    )
    (row,) = rows
    found = {int(tenth): int(count) for tenth, count in row["found"].items()}
    assert found == preferences(lines)
    assert (int(row["single"]), int(row["duplicate"])) == (PAIRS, PAIRS)
    (stored,) = worker.rows(
        "SELECT count() AS pairs, round(sum(cost_usd), 3) AS cost, "
        "round(avg(preference), 4) AS preferred FROM evaluations FINAL"
    )
    share = preferences(lines)[10] / PAIRS
    assert int(stored["pairs"]) == PAIRS
    assert (stored["cost"], stored["preferred"]) == (0.9, round(share, 4))


def test_killed_workers_lose_and_double_no_judgement(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    """Each part is written with all before it once more, and its worker killed in the middle."""
    specs = topics()
    environment = settings(kafka_broker, specs, **QUICK_REBALANCES)
    lines = judged(4)
    third = PAIRS // 3
    for number in range(3):
        with running(tmp_path, environment, f"worker-{number}") as worker:
            before = counted(kafka_broker, specs)
            publish(tmp_path, environment, str(number), lines[: (number + 1) * third])
            if number < 2:
                worker.wait_until(
                    lambda before=before: counted(kafka_broker, specs) > before, "first rows"
                )
                worker.kill()
            else:
                worker.wait_until(lambda: has_stored(kafka_broker, specs, "evaluations"), "the end")
                assert worker.terminate() == 0, worker.log
    rows = latest(rows_told(kafka_broker, specs))
    assert merge(*(row.quality.preference_histogram for row in rows)) == preferences(lines)
    ended = total(rows).events
    assert (ended.single, ended.duplicate) == (PAIRS, 3 * third)


def counted(broker: Broker, specs: Topics) -> int:
    ended = total(latest(rows_told(broker, specs))).events
    return ended.single + ended.duplicate
