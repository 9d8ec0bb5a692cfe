"""`understudy compare`, as a new user runs it."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from understudy.streams.commands.main import main
from understudy.streams.pairing import captures

ROOT = Path(__file__).parents[3]
PROMPTFOO = Path(__file__).parents[2] / "schemas/adapters/files/promptfoo-0.123.json"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two hundred answers in JSON, of which the candidate breaks a tenth."""
    chance = random.Random(5)
    stable, candidate = ["id,answer"], ["id,answer"]
    for n in range(200):
        document = f'{{""invoice"": {n}, ""total"": {n * 3}}}'
        stable.append(f'{n},"{document}"')
        candidate.append(f'{n},"{document[:-2] if chance.random() < 0.1 else document}"')
    paths = tmp_path / "stable.csv", tmp_path / "candidate.csv"
    for path, lines in zip(paths, (stable, candidate), strict=True):
        path.write_text("\n".join(lines))
    return paths


def test_two_files_and_nothing_else_give_a_verdict(files: tuple[Path, Path]) -> None:
    result = run(*files)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    verdict = next(n for n, line in enumerate(lines) if line.startswith("ROLLBACK  200 cases"))
    assert "JSON validity" in lines[verdict + 1]
    assert f") in {files[1]}" in result.stdout
    assert "no durations in these files" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(("fail_on", "code"), [("rollback", 4), ("hold", 4)])
def test_the_exit_code_follows_the_verdict(
    files: tuple[Path, Path], fail_on: str, code: int
) -> None:
    assert run(*files, "--fail-on", fail_on).exit_code == code
    same = run(files[0], files[0], "--fail-on", fail_on)
    assert same.exit_code == (4 if fail_on == "hold" else 0), same.output


def test_a_policy_says_what_is_judged(files: tuple[Path, Path], tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "rollout_id: bills\nmodels: {stable: wren-1, candidate: wren-2}\n"
        "guardrails: [{metric: error_rate, max: 5%}]\n"
    )
    document = json.loads(run(*files, "--policy", policy, "--json").stdout)
    assert document["verdict"]["verdict"] == "promote"
    assert {one["guardrail"] for one in document["verdict"]["findings"]} == {"error_rate"}


def test_json_holds_all_that_the_page_says(files: tuple[Path, Path]) -> None:
    document = json.loads(run(*files, "--json").stdout)
    assert document["verdict"]["verdict"] == "rollback"
    assert document["report"]["pairs"] == 200
    assert document["stable"]["answers"] == document["candidate"]["answers"] == 200
    (example, *_) = document["examples"]["json_valid_rate/all"]
    assert example["candidate"]["file"] == str(files[1])
    assert document["candidate"]["files"] == str(files[1])
    assert document["unjudged"]
    assert document["problems"] == []


def test_what_cannot_be_read_is_told_on_stderr(files: tuple[Path, Path]) -> None:
    with files[1].open("a") as file:
        file.write("\n,no id\n,none either\n")
    result = run(*files)
    assert f"{files[1]}:202: has no id (2 like this)" in result.stderr
    assert "2 records could not be read" in result.stdout


def test_one_file_of_promptfoo() -> None:
    result = run(PROMPTFOO, "--providers", "steady", "newcomer")
    assert result.exit_code == 0, result.output
    assert "HOLD  3 cases" in result.stdout
    result = run(PROMPTFOO)
    assert result.exit_code == 1
    assert "--providers newcomer steady" in result.stderr


def test_two_columns_of_one_table(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("question,old,new\n" + "".join(f"Why {n}?,so,so\n" for n in range(9)))
    result = run(file, "--outputs", "old", "new")
    assert result.exit_code == 0, result.output
    assert "9 cases" in result.stdout
    assert "old" in result.stdout


def test_requests_that_one_side_lacks(files: tuple[Path, Path]) -> None:
    lines = files[0].read_text().splitlines()
    files[1].write_text("\n".join(lines[:150]))
    result = run(*files)
    assert "candidate's files lack 51 requests: failures of candidate" in result.stdout
    assert "ROLLBACK" in result.stdout
    common = run(*files, "--only-common")
    assert "candidate's files lack 51 requests: left out" in common.stdout
    assert "ROLLBACK" not in common.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--column", "durations=x"], "did you mean duration_ms"),
        (["--output", "text"], "has no column text; there are: id, answer"),
        (["--id", "key"], "has no column key"),
    ],
)
def test_mistakes_are_told(files: tuple[Path, Path], arguments: list[str], message: str) -> None:
    result = run(*files, *arguments)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.split())


def test_the_slices_as_csv(files: tuple[Path, Path]) -> None:
    result = run(*files, "--csv", "--language", "de")
    header, first, *_ = result.stdout.splitlines()
    assert header.startswith("rollout_id,")
    assert first.startswith("compare,")


def test_a_row_for_each_case(files: tuple[Path, Path], tmp_path: Path) -> None:
    lines = files[1].read_text().splitlines()
    files[1].write_text("\n".join(lines[:-1]))
    file = tmp_path / "cases.csv"
    assert run(*files, "--cases", file).exit_code == 0
    rows = list(csv.DictReader(file.open()))
    assert [row["id"] for row in rows] == [str(n) for n in range(200)]
    assert rows[-1]["missing"] == "candidate"
    assert rows[0]["candidate_at"] == f"{files[1]}:2"
    broken = [row for row in rows if row["candidate_json"] == "truncated"]
    assert 5 < len(broken) < 40
    assert all(row["stable_json"] == "valid" for row in rows[:-1])
    assert run(*files, "--cases", tmp_path / "no" / "such.csv").exit_code == 1


def test_more_than_two_files_are_refused(files: tuple[Path, Path]) -> None:
    result = run(*files, files[0])
    assert result.exit_code == 2
    assert "--candidate" in result.stderr


@pytest.mark.parametrize("page", ["README.md", "docs/compare.md"])
def test_the_screen_in_the_documentation(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("examples/compare/stable.csv", "examples/compare/candidate.csv")
    text = (ROOT / page).read_text("utf-8")
    begin = text.index("ROLLBACK  150 cases")
    for line in text[begin : text.index("```", begin)].splitlines():
        assert line in result.stdout, line


def test_the_examples_end_in_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    both = run("examples/compare/both.csv", "--outputs", "old_model", "new_model")
    assert "ROLLBACK  60 cases" in both.stdout, both.output


def test_a_report_is_written_beside_what_is_printed(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    result = run(*files, "--html", file, "--fail-on", "rollback")
    assert result.exit_code == 4
    assert "ROLLBACK" in result.stdout
    text = file.read_text()
    verdict = json.loads(run(*files, "--json").stdout)["verdict"]
    assert verdict["reasons"][0] in text
    assert "stable.csv and candidate.csv" in text
    assert "look" in text


def test_a_report_shows_pairs_unless_it_is_told_not_to(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    run(*files, "--html", file)
    text = file.read_text()
    assert "Worst pairs" in text
    assert "Texts of pairs are redacted and cut" in text
    assert "2001-09-09" not in text, "two files have no times"
    run(*files, "--html", file, "--pairs", "0")
    text = file.read_text()
    assert "Worst pairs" not in text
    assert "--pairs 0 left it out" in text


def test_a_report_says_that_pairs_could_not_be_redacted(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a recognizer that fails")

    monkeypatch.setattr(captures, "redacted_pair", fail)
    run(*files, "--html", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "since their texts could not be redacted: " in text
    assert "in no pair is the candidate" not in text
