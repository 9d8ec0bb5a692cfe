"""Feedback on a real broker: one worker reads it beside events, counts both, and rolls back by it.

What is expected is computed by a plain reading of the same JSON, with none of the service's code.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT
from tests.brokers.contract import Broker
from tests.integration.path import running
from tests.integration.processes import COMMAND, flushed_positions, settings, understudy
from tests.integration.test_deciding import Bench
from tests.integration.test_two_workers import QUICK_REBALANCES
from tests.integration.topic_log import ends_of, read_topic
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.topics import ROLLOUT_PARTITIONS, Topics
from understudy.schemas.windows import Source, WindowRow, WindowsMessage

pytestmark = [pytest.mark.integration, pytest.mark.slow]

RECORD = RolloutRecord(
    manifest=read_manifest(f"""
rollout_id: {ROLLOUT}
models: {{stable: a, candidate: b}}
mode: canary
stages: [{{share: 50%}}]
independent_requests: true
guardrails:
  - {{metric: feedback, max_drop: 5pp, required: if_measured}}
  - {{metric: error_rate, max_increase: 2pp}}
""")
)
REQUESTS = 800
WRITTEN: tuple[Source, ...] = ("events", "feedback")
Counts = dict[tuple[str, str, str], list[float]]
"""Language, start of the window and side to ratings, positive ones and the sum of scores."""
SUMS = ("feedback_score_count", "feedback_positive", "feedback_score_sum")


def recordings(seed: int) -> tuple[list[bytes], list[bytes]]:
    """Events of two equal arms, and opinions that are worse of the candidate in one language."""
    rng = random.Random(seed)
    begin = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)
    events, opinions = [], []
    for number in range(REQUESTS):
        side = rng.choice(("stable", "candidate"))
        language = rng.choice(("en", "ja"))
        at = begin + dt.timedelta(seconds=number * 60 / REQUESTS)
        common = {
            "schema_version": 1, "rollout_id": ROLLOUT, "pair_id": f"p{number}", "mode": "canary",
            "side": side, "language": language, "request_time": at.isoformat(),
        }  # fmt: skip
        events.append({**common, "sides": [side], "response": {"output": "hello"}})
        is_harmed = side == "candidate" and language == "ja"
        score = rng.choice((0.6, 1.0) if rng.random() < (0.3 if is_harmed else 0.9) else (0, 0.25))
        told = at + dt.timedelta(seconds=rng.random() * 50)
        opinions.append({**common, "feedback_time": told.isoformat(), "name": "stars",
                         "score_value": score})  # fmt: skip
    opinions.sort(key=lambda one: str(one["feedback_time"]))
    return [_line(one) for one in events], [_line(one) for one in opinions]


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def counted(lines: list[bytes]) -> Counts:
    """Ratings as anyone would count them."""
    counts: Counts = defaultdict(lambda: [0, 0, 0.0])
    for line in lines:
        one = json.loads(line)
        told = dt.datetime.fromisoformat(one["feedback_time"])
        start = told.replace(second=told.second // 10 * 10, microsecond=0)
        here = counts[one["language"], f"{start:%H:%M:%S}", one["side"]]
        here[0] += 1
        here[1] += one["score_value"] >= 0.5
        here[2] += one["score_value"]
    return counts


def stored(rows: list[dict[str, Any]]) -> Counts:
    """The same from rows of ClickHouse, partitions added up."""
    counts: Counts = defaultdict(lambda: [0, 0, 0.0])
    for row in rows:
        for side in ("stable", "candidate"):
            here = counts[row["language"], row["window_start"][11:19], side]
            for place, name in enumerate(SUMS):
                here[place] += float(row[f"{side}_{name}"])
    return {key: value for key, value in counts.items() if value[0]}


def test_what_users_thought_rolls_a_candidate_back(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    specs = topics(rollout_partitions=ROLLOUT_PARTITIONS)
    bench = Bench(kafka_broker, specs, tmp_path)
    events, opinions = recordings(7)
    copies, garbage = opinions[5:12], [b"{", _line({"rollout_id": ROLLOUT})]
    with bench.worker((*COMMAND, "worker")) as worker:
        bench.apply(RECORD, worker)
        environment = settings(kafka_broker, specs)
        for source, lines in (("events", events), ("feedback", opinions + copies + garbage)):
            file = tmp_path / f"{source}.ndjson"
            file.write_bytes(b"\n".join(lines))
            done = understudy("publish", "--to", source, file, folder=tmp_path,
                              environment=environment)  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()
        told = bench.wait_for(worker, lambda told: told[-1].verdict == "rollback")
        for source in WRITTEN:
            worker.wait_until(lambda s=source: has_stored(kafka_broker, specs, s), source)
        assert worker.terminate() == 0, worker.log

    assert told[-1].reasons[0].startswith("positive feedback in `ja` fell ")
    assert told[-1].stage.requests <= REQUESTS / 2 + 100
    assert set(told[-1].feedback_partitions) <= set(range(specs.feedback.partitions))
    assert told[-1].feedback_partitions

    rows = worker.rows("SELECT * FROM windows FINAL WHERE source = 'feedback'")
    assert_equal_counts(stored(rows), counted(opinions))
    assert all(row["stable_requests"] == row["candidate_requests"] == 0 for row in rows)
    of_events = worker.rows("SELECT sum(stable_requests + candidate_requests) AS requests, "
                            "sum(stable_feedback_score_count) + "
                            "sum(candidate_feedback_score_count) AS ratings "
                            "FROM windows FINAL WHERE source = 'events'")  # fmt: skip
    assert of_events == [{"requests": REQUESTS, "ratings": 0}]
    account = worker.rows("SELECT source, sum(single) AS single, sum(duplicate) AS duplicate, "
                          "sum(late) AS late, sum(invalid) AS invalid, sum(events) AS events "
                          "FROM accounting GROUP BY source ORDER BY source")  # fmt: skip
    assert account == [
        {"source": "events", "single": REQUESTS, "duplicate": 0, "late": 0, "invalid": 0,
         "events": REQUESTS},
        {"source": "feedback", "single": REQUESTS, "duplicate": 7, "late": 0, "invalid": 2,
         "events": REQUESTS + 9},
    ]  # fmt: skip

    letters = [one for log in read_topic(kafka_broker, specs.dead_letters.name) for one in log]
    assert {one.headers["topic"] for one in letters} == {specs.feedback.name.encode()}
    assert sorted(one.headers["reason"] for one in letters) == [b"not_json", b"schema"]
    messages = [json.loads(one.value) for log in read_topic(kafka_broker, specs.windows.name)
                for one in log]  # fmt: skip
    assert {one["source"] for one in messages} == set(WRITTEN)


def test_a_killed_worker_loses_and_doubles_no_opinion(
    kafka_broker: Broker, topics: Callable[..., Topics], tmp_path: Path
) -> None:
    """Two kills in the middle of the log; the topic of windows holds what one worker would say."""
    specs = topics()
    environment = settings(kafka_broker, specs, **QUICK_REBALANCES)
    _, opinions = recordings(8)
    third = len(opinions) // 3
    parts = [opinions[:third], opinions[third : 2 * third], opinions[2 * third :]]
    for number, part in enumerate(parts):
        file = tmp_path / f"{number}.ndjson"
        file.write_bytes(b"\n".join([*part, part[0]]))
        told = ratings_told(kafka_broker, specs) if number else 0
        with running(tmp_path, environment, f"worker-{number}") as worker:
            done = understudy("publish", "--to", "feedback", file, folder=tmp_path,
                              environment=environment)  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()
            if number < 2:
                worker.wait_until(
                    lambda told=told: ratings_told(kafka_broker, specs) > told, "first rows"
                )
                worker.kill()
            else:
                worker.wait_until(lambda: has_stored(kafka_broker, specs, "feedback"), "the end")
                assert worker.terminate() == 0, worker.log
    rows = latest(rows_told(kafka_broker, specs))
    assert {row.source for row in rows} == {"feedback"}
    documents = [msgspec.to_builtins(row, order="deterministic") for row in rows]
    assert_equal_counts(stored([flat(one) for one in documents]), counted(opinions))
    ended = msgspec.to_builtins(total(rows).events)
    assert ended == {"single": len(opinions), "duplicate": len(parts)}


def rows_told(broker: Broker, specs: Topics) -> list[WindowRow]:
    """Rows of all messages of windows, whatever their version."""
    return [
        row
        for log in read_topic(broker, specs.windows.name)
        for record in log
        for row in msgspec.json.decode(record.value, type=WindowsMessage).rows
    ]


def ratings_told(broker: Broker, specs: Topics) -> int:
    return total(latest(rows_told(broker, specs))).events.single


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the topic with the columns that ClickHouse has."""
    sides = {
        f"{side}_{name}": row.get(side, {}).get(name, 0)
        for side in ("stable", "candidate")
        for name in SUMS
    }
    return {"language": row["language"], "window_start": str(row["window_start"]), **sides}


def has_stored(broker: Broker, specs: Topics, source: Source) -> bool:
    """Whether everything of a source has been read and stored."""
    by_source = {
        "events": specs.events, "feedback": specs.feedback, "evaluations": specs.evaluations
    }  # fmt: skip
    spec = by_source[source]
    group = f"{specs.events.name.removesuffix('events')}pairing"
    group += "" if source == "events" else f"-{source}"
    return flushed_positions(broker, spec, group) == ends_of(broker, spec.name)


def assert_equal_counts(found: Counts, expected: Counts) -> None:
    assert found.keys() == expected.keys()
    for key, (ratings, positive, score) in expected.items():
        assert found[key] == [ratings, positive, pytest.approx(score, abs=1e-6)], key
