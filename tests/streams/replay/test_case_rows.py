"""A row for each case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.case_rows import case_documents
from understudy.streams.replay.file_comparison import compare_runs, default_policy


def documents(tmp_path: Path, stable: str, candidate: str) -> list[dict[str, Any]]:
    paths = tmp_path / "s.csv", tmp_path / "c.csv"
    for path, rows in zip(paths, (stable, candidate), strict=True):
        path.write_text(f"id,answer,expects,latency_ms,error\n{rows}")
    runs = read_runs(AnswerFiles(paths[:1], paths[1:]))
    compared = compare_runs(runs, default_policy("", ""), PairingPolicy())
    return list(case_documents(compared.cases, compared.comparisons))


def test_both_sides_of_a_case_with_their_places(tmp_path: Path) -> None:
    (case,) = documents(tmp_path, '1,"{""a"": 1}",json,100,\n', '1,"{""a"": 2}",json,250,\n')
    assert case["stable_at"] == f"{tmp_path}/s.csv:2"
    assert (case["identical"], case["json_equal"]) == (False, False)
    assert (case["stable_json"], case["candidate_json"]) == ("valid", "valid")
    assert (case["stable_duration_ms"], case["candidate_duration_ms"]) == (100.0, 250.0)
    assert case["candidate_cost_usd"] is None
    assert case["tool_calls_match"] is None


def test_what_is_wrong_with_an_answer(tmp_path: Path) -> None:
    stable = "1,so,text,,\n2,{},json,,\n3,so,text,,\n"
    candidate = "1,,text,,\n2,{,json,,\n3,,text,,timeout\n"
    empty, broken, failed = documents(tmp_path, stable, candidate)
    assert empty["candidate_findings"] == "empty"
    assert broken["candidate_json"] == "truncated"
    assert failed["candidate_error"] == "timeout"
    assert failed["stable_error"] == failed["stable_findings"] == ""


def test_a_case_that_one_side_lacks_says_so(tmp_path: Path) -> None:
    rows = documents(tmp_path, "1,a,,,\n2,b,,,\n", "1,a,,,\n3,c,,,\n")
    assert [(row["id"], row["missing"]) for row in rows] == [
        ("1", ""),
        ("2", "candidate"),
        ("3", "stable"),
    ]
    assert rows[1]["candidate_at"] == ""
