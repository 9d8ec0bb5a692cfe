"""Files of two runs, read and brought together."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from understudy.schemas.adapters.recording import ReadingOptions
from understudy.streams.replay.answer_files import AnswerFiles, NoCases, RecordedRuns, read_runs
from understudy.streams.replay.recordings import RecordingError

PROMPTFOO = Path(__file__).parents[2] / "schemas/adapters/files/promptfoo-0.123.json"


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


def read(stable: Path, *candidate: Path, **more: Any) -> RecordedRuns:
    return read_runs(AnswerFiles((stable,), candidate, **more))


def batch(named: str, output: str | None) -> str:
    if output is None:
        return json.dumps(
            {"custom_id": named, "response": None, "error": {"code": "batch_expired"}}
        )
    body = {"model": "wren-1", "choices": [{"message": {"content": output}}]}
    return json.dumps({"custom_id": named, "response": {"status_code": 200, "body": body}})


def asked(named: str) -> str:
    body = {
        "messages": [{"role": "user", "content": "Wie?"}],
        "response_format": {"type": "json_object"},
    }
    return json.dumps({"custom_id": named, "body": body})


def test_what_one_side_lacks_is_counted_and_stays(tmp_path: Path) -> None:
    stable = write(tmp_path, "s.csv", "id,answer\n1,a\n2,b\n3,c\n")
    candidate = write(tmp_path, "c.csv.gz", "id,answer\n2,b\n1,a\n4,d\n")
    runs = read(stable, candidate)
    assert [case.id for case in runs.cases] == ["1", "2", "3", "4"]
    assert (runs.only_stable, runs.only_candidate) == (1, 1)
    common = read(stable, candidate, only_common=True)
    assert [case.id for case in common.cases] == ["1", "2"]
    assert (common.only_stable, common.only_candidate) == (1, 1)
    assert str(runs.cases[0].stable and runs.cases[0].stable.place) == f"{stable}:2"


def test_a_batch_is_output_errors_and_requests(tmp_path: Path) -> None:
    stable = write(tmp_path, "s.jsonl", "\n".join(batch(n, "{}") for n in "abc"))
    candidate = write(tmp_path, "c.jsonl", batch("a", "{}"))
    errors = write(tmp_path, "c-errors.jsonl", batch("b", None))
    requests = write(tmp_path, "input.jsonl", "\n".join(map(asked, "abcd")))
    runs = read_runs(AnswerFiles((stable,), (candidate, errors), (requests,)))
    failed = next(case for case in runs.cases if case.id == "b").candidate
    assert failed is not None
    assert failed.answer.error is not None
    assert failed.answer.error.type == "batch_expired"
    assert (runs.only_stable, runs.unanswered) == (1, 1)
    for case in runs.cases:
        for answer in case.answers:
            assert answer.request is not None
            assert (answer.request.prompt, answer.request.expects) == ("Wie?", "json")
    assert runs.stable.models == ["wren-1"]


def test_one_file_holds_both_providers(tmp_path: Path) -> None:
    runs = read(PROMPTFOO, sources=("wren-1", "newcomer"))
    assert len(runs.cases) == 3
    assert all(case.is_common for case in runs.cases)
    with pytest.raises(NoCases, match="--providers newcomer steady"):
        read(PROMPTFOO)
    with pytest.raises(NoCases, match="--providers newcomer steady"):
        read(PROMPTFOO, PROMPTFOO)
    with pytest.raises(NoCases, match="of wren-3; there are answers of newcomer, steady"):
        read(PROMPTFOO, sources=("wren-1", "wren-3"))


def test_one_table_holds_both_sides(tmp_path: Path) -> None:
    table = write(tmp_path, "t.csv", "question,old,new\nWhy?,so,because\n")
    runs = read(table, options=ReadingOptions(outputs=("old", "new")))
    (case,) = runs.cases
    assert [one.response and one.response.output for one in case.answers] == ["so", "because"]
    plain = write(tmp_path, "p.csv", "id,answer\n1,a\n")
    with pytest.raises(NoCases, match="--outputs STABLE CANDIDATE"):
        read(plain)


@pytest.mark.parametrize("language", ["de", "DE-de"])
def test_a_language_may_be_that_of_all(tmp_path: Path, language: str) -> None:
    table = write(tmp_path, "t.csv", "id,answer,de\n1,a,fr\n")
    (case,) = read(table, table, language=language).cases
    assert {answer.language for answer in case.answers} <= {"de", "de-DE"}


def test_a_language_may_be_a_column(tmp_path: Path) -> None:
    table = write(tmp_path, "t.csv", "id,answer,spoken\n1,a,fr\n")
    options = ReadingOptions({"language": "spoken"})
    (case,) = read(table, table, options=options, language="spoken").cases
    assert {answer.language for answer in case.answers} == {"fr"}
    with pytest.raises(NoCases, match="--language Klingonisch names no column"):
        read(table, table, language="Klingonisch")


def test_what_callers_parse_may_be_said_for_all(tmp_path: Path) -> None:
    table = write(tmp_path, "t.csv", "id,answer\n1,{}\n")
    (case,) = read(table, table, expects="json").cases
    assert all(answer.request and answer.request.expects == "json" for answer in case.answers)


def test_files_without_a_common_id_are_refused(tmp_path: Path) -> None:
    stable = write(tmp_path, "s.csv", "id,answer\n1,a\n")
    candidate = write(tmp_path, "c.csv", "id,answer\nx,a\n")
    with pytest.raises(NoCases, match=r"stable has 1; candidate has x\. Name with --id"):
        read(stable, candidate)


def test_files_without_answers_are_refused(tmp_path: Path) -> None:
    stable = write(tmp_path, "s.csv", "id,answer\n,a\n")
    with pytest.raises(NoCases, match=r"no answers of a model; .*s\.csv:2 has no id"):
        read(stable, stable)
    with pytest.raises(RecordingError, match=r"e\.csv holds no records"):
        read(write(tmp_path, "e.csv", "\n"), stable)
    with pytest.raises(RecordingError, match=r"gone\.csv: No such file"):
        read(tmp_path / "gone.csv", stable)
    with pytest.raises(RecordingError, match="is Parquet"):
        read(write(tmp_path, "p.csv", "PAR1xx"), stable)
