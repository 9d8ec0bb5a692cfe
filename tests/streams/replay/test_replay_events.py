"""Replay: recorded events through the code of the service, without Kafka."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration import oracle
from tests.integration.bad_input import event, pair
from tests.integration.processes import report_of, understudy, window_rows
from tests.streams.pairing.test_recovery import random_log
from understudy.analyzers.compare.language import detect_language
from understudy.analyzers.windows import drawn_rows
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.records import BatchOutput
from understudy.streams.replay.from_events import MAX_LINES
from understudy.streams.replay.replay_events import CLOCK_ALLOWANCE_MS, replay
from understudy.streams.replay.report import ReportSums, report, report_of_sums

POLICY = PairingPolicy(window_s=2, join_timeout_s=6, allowed_lateness_s=7)
RULES = oracle.Rules(join_timeout_ms=6000, window_ms=2000)
COUNTED = ("comparisons", "unmatched")
NOW_MS = 1_800_000_000_000


ORACLE = oracle.Report(detect_language)


@pytest.mark.parametrize("seed", range(40))
def test_replay_is_what_the_oracle_says(seed: int) -> None:
    """Logs with disorder, loss, copies, late copies and garbage."""
    lines = [line for line in random_log(random.Random(seed), 150) if line]
    expected = ORACLE.document(oracle.join(lines, RULES))
    result = replay(lines, POLICY, NOW_MS)
    assert oracle.differences(expected, report(result.rows, result.tally.read)) == []
    assert result.tally.accounted() == result.tally.read == len(lines)


@pytest.mark.parametrize("seed", range(5))
def test_windows_that_are_summed_without_rows_have_the_sums_of_their_rows(seed: int) -> None:
    lines = [line for line in random_log(random.Random(seed), 150) if line]
    result, sums = replay(lines, POLICY, NOW_MS), ReportSums()
    alone = replay(lines, POLICY, NOW_MS, sums=sums)
    of_rows = ReportSums()
    of_rows.add(result.rows)
    assert repr(sums.whole()) == repr(of_rows.whole())
    assert report_of_sums(sums, alone.tally.read) == report(result.rows, result.tally.read)
    assert alone.rows == []


class Collecting:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.outcomes: list[BatchOutput] = []
        self.rows: list[DrawnRow] = []
        self.positions: list[int] = []

    def put(self, outcome: BatchOutput, rows: list[DrawnRow], position: int) -> None:
        self.outcomes.append(outcome)
        self.rows.extend(rows)
        self.positions.append(position)


def test_the_sink_gets_all_that_the_result_counts() -> None:
    lines = [line for n in range(MAX_LINES) for line in pair(f"p{n}")] + [b"{", event("alone")]
    sink = Collecting()
    result = replay(lines, PairingPolicy(), NOW_MS, sink)
    assert drawn_rows.window_rows(sink.rows) == result.rows
    assert sum(len(some) for o in sink.outcomes for some in o.comparisons) == MAX_LINES
    assert sum(len(outcome.unmatched) for outcome in sink.outcomes) == 1
    assert sink.positions == sorted(sink.positions)
    assert sink.positions[-1] == len(lines)
    assert result.invalid.reasons == {"not_json": 1}


def test_lines_are_taken_as_they_come() -> None:
    """A recording larger than memory must not be read at once."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            if taken > 3 * MAX_LINES:
                raise InterruptedError
            yield event(f"p{taken}", mode="canary", sides=["stable"])

    sink = Collecting()
    with pytest.raises(InterruptedError):
        replay(endless(), PairingPolicy(), NOW_MS, sink)
    assert sink.positions == [MAX_LINES, 2 * MAX_LINES, 3 * MAX_LINES]


def test_only_a_clock_more_than_a_year_ahead_is_wrong() -> None:
    import datetime as dt

    def at(ms: int) -> bytes:
        moment = dt.datetime.fromtimestamp(ms / 1000, dt.UTC)
        return event("x", request_time=moment.isoformat())

    limit = NOW_MS + CLOCK_ALLOWANCE_MS + PairingPolicy().max_clock_skew_ms
    assert replay([at(limit)], PairingPolicy(), NOW_MS).invalid.reasons == {}
    assert replay([at(limit + 1)], PairingPolicy(), NOW_MS).invalid.reasons == {"clock_ahead": 1}


@pytest.mark.slow
def test_replay_into_clickhouse_twice_is_once(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    lines = [line for n in range(50) for line in pair(f"p{n}")] + [b"{", event("alone")]
    file.write_bytes(b"\n".join(lines))
    url = f"chdb://{tmp_path / 'results'}"
    documents: list[dict[str, Any]] = []
    for _ in range(2):
        done = understudy("replay", "--json", "--clickhouse", url, file, folder=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        documents.append(json.loads(done.stdout))
    assert documents[0] == documents[1] == report_of(file, folder=tmp_path)
    sql = "SELECT * FROM windows FINAL"
    done = understudy("query", "--json", "--clickhouse", url, sql, folder=tmp_path)
    rows = window_rows([json.loads(line) for line in done.stdout.splitlines()])
    assert report(rows, len(lines)).items() <= documents[0].items()
    counts = (f"(SELECT count() FROM {name} FINAL) AS {name}" for name in COUNTED)
    sql = f"SELECT {', '.join(counts)}"
    done = understudy("query", "--json", "--clickhouse", url, sql, folder=tmp_path)
    assert json.loads(done.stdout) == {"comparisons": 50, "unmatched": 1}


def test_json_schemas_judge_the_answers(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "order.json").write_text('{"required": ["id"]}')
    request = {"expects": "json_schema", "schema_id": "order"}
    unknown = {"expects": "json_schema", "schema_id": "nobody-knows"}
    lines = [
        event("a", request=request, response={"output": '{"id": 1}'}),
        event("a", "candidate", request=request, response={"output": '{"di": 1}'}),
        event("b", request=request, response={"output": '{"id": 2}'}),
        event("b", "candidate", request=request, response={"output": '{"id": 2}'},
              error={"type": "late"}),
        event("c", request=unknown, response={"output": "{}"}),
        event("c", "candidate", request=unknown, response={"output": "no"}),
    ]  # fmt: skip
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(lines))
    done = understudy("replay", "--json", "--json-schemas", schemas, file, folder=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    whole = json.loads(done.stdout)["rollouts"][0]["slices"][0]
    stable, candidate = whole["stable"], whole["candidate"]
    names = ("json_expected", "json_valid", "json_schema_valid")
    assert [stable[name] for name in names] == [3, 3, 2]
    assert [candidate[name] for name in names] == [2, 1, 0]
    assert whole["delta"]["json_valid_only_stable"] == 1
