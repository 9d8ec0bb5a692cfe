"""Two runs, paired, measured and judged once."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from understudy.schemas.adapters.recording import ReadingOptions
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.file_comparison import FileComparison, compare_runs, default_policy

CASES = 200


def table(path: Path, answers: list[str | None], more: str = "") -> Path:
    rows = [
        json.dumps({"id": n, "output": answer, **json.loads(more or "{}")})
        for n, answer in enumerate(answers)
        if answer is not None
    ]
    path.write_text("\n".join(rows))
    return path


def documents() -> list[str | None]:
    return [json.dumps({"total": n, "tax": n // 5}) for n in range(CASES)]


def broken(answers: list[str | None], share: float) -> list[str | None]:
    chance = random.Random(5)
    return [a[:-4] if a and chance.random() < share else a for a in answers]


def compared(
    tmp_path: Path, stable: list[str | None], candidate: list[str | None]
) -> FileComparison:
    files = table(tmp_path / "s.jsonl", stable), table(tmp_path / "c.jsonl", candidate)
    runs = read_runs(AnswerFiles(files[:1], files[1:]))
    return compare_runs(runs, default_policy("", "wren-2"), PairingPolicy())


def test_a_tenth_of_broken_json_is_rolled_back_and_shown(tmp_path: Path) -> None:
    candidate = broken(documents(), 0.1)
    result = compared(tmp_path, documents(), candidate)
    assert result.is_json_inferred
    assert result.verdict.verdict == "rollback"
    assert result.verdict.cases == CASES
    (name,) = result.examples
    assert name == "json_valid_rate/all"
    bad = [str(n) for n, (a, b) in enumerate(zip(documents(), candidate, strict=True)) if a != b]
    assert [case.id for case in result.examples[name]] == bad[:3]


def test_the_same_answers_are_not_rolled_back(tmp_path: Path) -> None:
    result = compared(tmp_path, documents(), documents())
    assert result.verdict.verdict != "rollback"
    assert result.examples == {}


def test_answers_that_never_came_are_the_candidates_failures(tmp_path: Path) -> None:
    lost = [None if n % 5 == 0 else answer for n, answer in enumerate(documents())]
    result = compared(tmp_path, documents(), lost)
    assert result.verdict.lost_candidate == CASES / 5
    assert result.verdict.verdict == "rollback"
    assert sum(row.pair.lost_candidate for row in result.result.rows) == CASES / 5


def test_text_is_no_json_that_is_broken(tmp_path: Path) -> None:
    texts: list[str | None] = [f"The total is {n}." for n in range(CASES)]
    result = compared(tmp_path, texts, texts)
    assert not result.is_json_inferred
    assert "json_valid_rate" in result.verdict.not_measured


def test_turns_of_a_conversation_are_one_unit(tmp_path: Path) -> None:
    rows = [json.dumps({"id": n, "output": "a", "session_id": f"s{n // 4}"}) for n in range(40)]
    file = tmp_path / "t.jsonl"
    file.write_text("\n".join(rows))
    runs = read_runs(AnswerFiles((file,), (file,)))
    verdict = compare_runs(runs, default_policy("", ""), PairingPolicy()).verdict
    assert (verdict.cases, verdict.units) == (40, 10)


@pytest.mark.parametrize("schema", [{"required": ["total"]}, {"required": ["sum"]}])
def test_schemas_that_requests_carry_are_checked(tmp_path: Path, schema: dict[str, object]) -> None:
    body = {
        "messages": [],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "bill", "schema": schema},
        },
    }
    asked = "\n".join(json.dumps({"custom_id": str(n), "body": body}) for n in range(20))
    (tmp_path / "input.jsonl").write_text(asked)
    file = table(tmp_path / "s.jsonl", documents()[:20])
    runs = read_runs(AnswerFiles((file,), (file,), (tmp_path / "input.jsonl",)))
    rows = compare_runs(runs, default_policy("", ""), PairingPolicy()).result.rows
    valid = sum(row.candidate.json_schema_valid for row in rows)
    assert valid == (20 if schema == {"required": ["total"]} else 0)


def test_spans_without_content_are_judged_by_the_rest(tmp_path: Path) -> None:
    spans = [
        {
            "name": "chat wren",
            "spanId": f"s{n}",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "case": n,
                "gen_ai.output.type": "json",
            },
            "start_time": "2026-03-02T12:00:00Z",
            "end_time": "2026-03-02T12:00:01Z",
        }
        for n in range(40)
    ]
    file = tmp_path / "spans.jsonl"
    file.write_text("\n".join(map(json.dumps, spans)))
    runs = read_runs(AnswerFiles((file,), (file,), options=ReadingOptions({"id": "case"})))
    verdict = compare_runs(runs, default_policy("", ""), PairingPolicy()).verdict
    assert {"json_valid_rate", "language_match_rate"} <= set(verdict.not_measured)
    empty = next(one for one in verdict.findings if one.guardrail == "empty_rate")
    assert (empty.stable, empty.candidate) == (0.0, 0.0)
