"""The page of `understudy compare`, at any width."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles, read_runs
from understudy.streams.replay.file_comparison import compare_runs, default_policy
from understudy.streams.replay.report import report
from understudy.streams.terminal.comparison_page import Page, RunLine, comparison_page
from understudy.streams.terminal.consoles import SafeConsole


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder: Path = tmp_path_factory.mktemp("page")
    stable, candidate = folder / "s.csv", folder / "c.csv"
    languages = ("de", "ja")
    rows = [f'{n},"{{""a"": {n}}}",{languages[n % 2]}' for n in range(200)]
    stable.write_text("id,answer,language\n" + "\n".join(rows))
    candidate.write_text("id,answer,language\n" + "\n".join(r.replace("}", "") for r in rows))
    runs = read_runs(AnswerFiles((stable,), (candidate,)))
    compared = compare_runs(runs, default_policy("", ""), PairingPolicy())
    return Page(
        runs=(
            RunLine("stable", "s.csv", "a table", "", 200),
            RunLine("candidate", "c.csv", "a table", "\x1b[2J", 200),
        ),
        notes=["a note"],
        report=report(compared.result.rows, compared.result.tally.read),
        verdict=compared.verdict,
        examples=compared.examples,
        unjudged=["no durations in these files"],
    )


def shown(page: Page, width: int, *, all_slices: bool = False, color: bool = False) -> str:
    file = io.StringIO()
    console = SafeConsole(file=file, width=width, force_terminal=color, no_color=not color)
    console.print(comparison_page(page, all_slices=all_slices))
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(page: Page, width: int) -> None:
    assert max(len(line.rstrip()) for line in shown(page, width).splitlines()) <= width


def test_the_verdict_comes_last_with_cases_to_look_at(page: Page) -> None:
    text = shown(page, 200)
    tail = text[text.index("ROLLBACK  200 cases") :]
    assert "JSON validity" in tail
    assert "look at (JSON validity in all requests): 0 (" in tail
    assert tail.rstrip().endswith("no durations in these files")


def test_slices_are_shown_where_there_are_several(page: Page) -> None:
    text = shown(page, 200)
    assert "\nde " in text
    assert "\nja " in text
    assert "simil." in text
    assert "p95 s" not in text, "nobody knows the durations"


def test_breaches_come_first_and_all_shows_the_rest(page: Page) -> None:
    text = shown(page, 200)
    rows = text[text.index("One look") :].splitlines()
    assert rows[3].startswith("json_valid_rate")
    assert "more slices without a finding; --all shows them" in text
    assert "--all" not in shown(page, 200, all_slices=True)


def test_nothing_in_a_name_acts_on_the_terminal(page: Page) -> None:
    assert "\x1b[2J" not in shown(page, 80)
    assert "\x1b[" in shown(page, 80, color=True)
