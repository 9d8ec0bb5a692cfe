"""What a person is told about how two runs were read."""

from __future__ import annotations

from pathlib import Path

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
        "1 requests that candidate's files lack: failures of candidate",
        "1 requests that stable's files lack: failures of stable",
        "1 records of stable say the same again",
        "1 attempts of stable were followed by others, which count",
        f"1 ids of stable have several answers; the last counts: 1 stands at {tmp_path}/s.csv:2 "
        f"and {tmp_path}/s.csv:4",
        "2 records could not be read, or not whole",
        f"{tmp_path}/s.csv:6: has no id (2 like this)",
    ]
    common = said(tmp_path, stable, "id,answer\n1,b\n3,x\n", only_common=True)
    assert common[0] == "1 requests that candidate's files lack: left out"


def test_rows_without_ids_are_paired_by_what_was_asked(tmp_path: Path) -> None:
    lines = said(tmp_path, "prompt,answer\nWhy?,a\n", "prompt,answer\nWhy?,b\n")
    assert lines == ["nothing names the requests, so they are paired by what was asked"]


def test_a_screenful_of_problems_is_enough(tmp_path: Path) -> None:
    rows = "".join(f"{n},a" + ",x" * (n + 1) + "\n" for n in range(MAX_PROBLEMS + 5))
    lines = said(tmp_path, "id,answer\n99,a\n" + rows, "id,answer\n99,b\n")
    assert lines[-1] == "5 more kinds of problems"
