"""What a person is told about how two runs were read."""

from __future__ import annotations

from pathlib import Path

from understudy.schemas.adapters.recording import ReadingOptions
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.runs_report import MAX_PROBLEMS, notes, problems_text


def said(tmp_path: Path, stable: str, candidate: str, *, only_common: bool = False) -> list[str]:
    paths = tmp_path / "s.csv", tmp_path / "c.csv"
    for path, text in zip(paths, (stable, candidate), strict=True):
        path.write_text(text)
    files = AnswerFiles(paths[:1], paths[1:], only_common=only_common)
    runs = read_runs(files)
    return [*notes(runs, files, is_json_inferred=False), *problems_text(runs)]


def test_nothing_to_say_of_files_that_match(tmp_path: Path) -> None:
    assert said(tmp_path, "id,answer\n1,a\n", "id,answer\n1,b\n") == []


def test_each_kind_of_loss_is_told(tmp_path: Path) -> None:
    stable = "id,answer\n1,a\n1,a\n1,b\n2,c\n,d\n,e\n"
    lines = said(tmp_path, stable, "id,answer\n1,b\n3,x\n")
    assert lines == [
        "candidate's files lack 1 request: failures of candidate",
        "stable's files lack 1 request: failures of stable",
        "1 record of stable say the same again",
        "1 attempt of stable under ids with an answer",
        f"1 id of stable with several answers; the last counts: 1 stands at {tmp_path}/s.csv:2 "
        f"and {tmp_path}/s.csv:4",
        "2 records could not be read, or not whole",
        f"{tmp_path}/s.csv:6: has no id (2 like this)",
    ]
    common = said(tmp_path, stable, "id,answer\n1,b\n3,x\n", only_common=True)
    assert common[0] == "candidate's files lack 1 request: left out"


def test_records_that_are_no_answers_are_counted_by_kind(tmp_path: Path) -> None:
    span = (
        '{"name": "s", "spanId": "1", "attributes": {"gen_ai.operation.name": "%s", "case": 1}}\n'
    )
    files = tmp_path / "spans.jsonl", tmp_path / "other.jsonl"
    for file in files:
        file.write_text(span % "chat" + span % "execute_tool")
    given = AnswerFiles(files[:1], files[1:], options=ReadingOptions({"id": "case"}))
    (left_out,) = notes(read_runs(given), given, is_json_inferred=False)
    assert left_out == "left out, since they are no answers of a model: 2 execute_tool spans"


def test_rows_without_ids_are_paired_by_what_was_asked(tmp_path: Path) -> None:
    lines = said(tmp_path, "prompt,answer\nWhy?,a\n", "prompt,answer\nWhy?,b\n")
    assert lines == ["nothing names the requests, so they are paired by what was asked"]


def test_a_screenful_of_problems_is_enough(tmp_path: Path) -> None:
    rows = "".join(f"{n},a" + ",x" * (n + 1) + "\n" for n in range(MAX_PROBLEMS + 5))
    lines = said(tmp_path, "id,answer\n99,a\n" + rows, "id,answer\n99,b\n")
    assert lines[-1] == "5 more kinds of problems"
