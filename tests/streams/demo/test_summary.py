"""The summary says what was decided and why, and whether that is what the simulator did."""

from __future__ import annotations

import datetime as dt
import io
import shlex
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.streams.demo.decisions import (
    AT,
    PROMOTED,
    REASON,
    ROLLED_BACK,
    SUSPICIOUS,
    at_multiple,
    decision,
    evidence,
)
from understudy.schemas.decisions import Decision
from understudy.schemas.window_measures import SideSums
from understudy.schemas.windows import WindowRow
from understudy.streams.demo.gateway import AppliedRollback
from understudy.streams.demo.screen import DemoStatus
from understudy.streams.demo.simulator import Regression
from understudy.streams.demo.summary import (
    DemoResult,
    Summary,
    names,
    program_as_called,
    summarise,
)

STATUS = DemoStatus(40.0, 1_000.0, 41_000, 20_000, 53, 39, 16, 12, 0, 1.0)
SINCE = AT - dt.timedelta(seconds=118)
INJECTED = Regression("json", "json_valid_rate", "zh-Hans", "extract", 0.12, SINCE)


class Gateway:
    """Mirrored ten requests a second."""

    def __init__(self, rollback: AppliedRollback | None = None) -> None:
        self.rollback = rollback

    def requests_between(self, since: dt.datetime, until: dt.datetime) -> int:
        return int(10 * (until - since).total_seconds())


APPLIED_ROLLBACK = AppliedRollback(AT + dt.timedelta(seconds=3), 0.12)


def row(after_s: float, workflow: str = "extract", *, asked: int = 10, valid: int = 9) -> WindowRow:
    """A window of the candidate's JSON answers in zh-Hans, so long after the beginning."""
    return WindowRow(
        rollout_id="r",
        mode="shadow",
        language="zh-Hans",
        workflow=workflow,
        window_start=INJECTED.since + dt.timedelta(seconds=after_s),
        window_s=10,
        partition=0,
        version=1,
        candidate=SideSums(json_expected=asked, json_valid=valid),
    )


ROWS = [
    row(-10.0, asked=1000),
    row(-5.0),
    row(5.0, valid=7),
    row(5.0, "classify", asked=1000),
    row(115.0, valid=8),
    row(120.0, asked=1000),
]


def summary(
    some: Decision | None,
    injected: Regression | None = None,
    rollback: AppliedRollback | None = None,
    url: str = "chdb://./demo data",
) -> Summary:
    result = DemoResult(STATUS, some, ROWS, injected, Gateway(rollback))
    return summarise(result, clickhouse_url=url)


def test_a_rollback_is_shown_with_its_reason_and_how_long_it_took() -> None:
    shown = summary(ROLLED_BACK, INJECTED, APPLIED_ROLLBACK)
    assert shown.headline == f"ROLLBACK: {REASON}"
    assert "The verdict names it." in shown.text
    assert "That took 118 s of the log and 1,180 requests, 30 of which came there" in shown.text
    assert "6 of the candidate's answers to these were broken" in shown.text
    assert "The gateway read it 120 ms after it was written" in shown.text
    assert "no user had seen" in shown.text
    assert not shown.is_wrong


def test_a_promotion_says_what_comes_next() -> None:
    shown = summary(PROMOTED)
    assert shown.headline.startswith("PROMOTE: every required guardrail")
    assert "next stage, 1%, to an operator" in shown.text
    assert "What the simulator broke: nothing. Right." in shown.text
    assert not shown.is_wrong


@pytest.mark.parametrize("injected", [None, INJECTED])
def test_holding_is_described_as_it_is(injected: Regression | None) -> None:
    shown = summary(SUSPICIOUS, injected)
    assert shown.headline == "HOLD: 4,000 of 8,000 requests in closed windows"
    assert f"\n– harm is suspected: {REASON}\n" in shown.text
    assert "More requests (--pairs) would decide it" in shown.text
    assert ("Not found in this run." in shown.text) == (injected is not None)
    assert not shown.is_wrong


def test_nothing_compared_is_no_verdict() -> None:
    shown = summary(None)
    assert shown.headline == "Nothing was decided, since nothing was compared."
    assert not shown.is_wrong


OTHER = decision("rollback", evidence("language:ja", at_multiple(3.0)))
ERRORS = decision("rollback", evidence("language:zh-Hans", at_multiple(3.0), metric="error_rate"))
TOO_SOON = decision(
    "rollback",
    evidence("language:zh-Hans", at_multiple(3.0)),
    since=INJECTED.since - dt.timedelta(seconds=1),
)
WORKFLOW = decision("rollback", evidence("language:zh-Hans,workflow:extract", at_multiple(3.0)))


@pytest.mark.parametrize(
    ("some", "is_named"),
    [
        (ROLLED_BACK, True),
        (WORKFLOW, True),
        (OTHER, False),
        (ERRORS, False),
        (TOO_SOON, False),
        (SUSPICIOUS, False),
        (PROMOTED, False),
    ],
)
def test_what_was_broken_is_named_or_not(some: Decision, is_named: bool) -> None:
    assert names(some, INJECTED) is is_named


@pytest.mark.parametrize(
    ("some", "injected", "words"),
    [
        (ROLLED_BACK, None, "A false alarm."),
        (OTHER, INJECTED, "The verdict names something else."),
        (TOO_SOON, INJECTED, "The verdict names something else."),
        (PROMOTED, INJECTED, "Not found in this run."),
    ],
)
def test_a_wrong_verdict_is_called_wrong(
    some: Decision, injected: Regression | None, words: str
) -> None:
    shown = summary(some, injected)
    assert words in shown.text
    assert "That took" not in shown.text
    assert shown.is_wrong


def test_commands_can_be_pasted_and_look_at_the_accused_language() -> None:
    *queries, policy = summary(ROLLED_BACK, INJECTED, APPLIED_ROLLBACK).commands
    for command in queries:
        words = shlex.split(command)
        assert words[:4] == ["understudy", "query", "--clickhouse", "chdb://./demo data"]
        assert len(words) == 5
    assert sum("WHERE language = 'zh-Hans'" in command for command in queries) == 2
    assert "FROM decisions" in queries[0]
    assert policy == "understudy demo --print-policy"
    assert not any("WHERE language" in command for command in summary(PROMOTED).commands)


def test_hostile_labels_reach_neither_sql_nor_the_terminal() -> None:
    hostile = decision(
        "rollback",
        evidence("language:x' OR \"$(reboot)`\x1b[2J", at_multiple(3.0)),
        reasons=("JSON validity in `\x1b[2J` fell", "errors in `\x1b[2J` rose"),
    )
    shown = summary(hostile, INJECTED)
    assert all("reboot" not in command for command in shown.commands)
    assert "\x1b" not in shown.text
    file = io.StringIO()
    shown.print(Console(file=file, width=160))
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [80, 100, 160])
@pytest.mark.parametrize("some", [ROLLED_BACK, PROMOTED, SUSPICIOUS])
def test_prints_within_the_console_and_commands_whole(
    some: Decision, width: int, encoding: str
) -> None:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    shown = summary(some, INJECTED, APPLIED_ROLLBACK)
    shown.print(Console(file=file, width=width))
    file.flush()
    lines = buffer.getvalue().decode(encoding).splitlines()
    commands = [line for line in lines if line.startswith("understudy ")]
    assert commands == list(shown.commands)
    rest = [line.rstrip() for line in lines if line not in commands]
    assert all(len(line) <= width for line in rest)
    assert not any("…" in line for line in rest)
    if encoding == "utf-8":
        assert any(line.startswith("guardrail") for line in rest)


def test_on_a_terminal_the_verdict_is_also_the_last_line() -> None:
    shown = summary(ROLLED_BACK)
    screen = io.StringIO()
    shown.print(Console(file=screen, width=80, force_terminal=True, color_system=None))
    last = screen.getvalue().rstrip().splitlines()[-2:]
    assert " ".join(last).replace("  ", " ").endswith(shown.headline)
    shown.print(Console(file=(file := io.StringIO()), width=80))
    assert file.getvalue().count(shown.headline.split(";")[0]) == 1


def test_printed_commands_work_as_they_stand(tmp_path: Path) -> None:
    program = tmp_path / "my bin" / "understudy"
    program.parent.mkdir()
    program.touch()
    assert program_as_called(str(program), str(program)) == "understudy"
    assert program_as_called(str(program), None) == f"'{program}'"
    assert program_as_called(str(program), "/usr/bin/understudy") == f"'{program}'"
    assert program_as_called("main.py", "/usr/bin/understudy") == "understudy"
    module = f"{sys.executable} -m understudy.streams.commands.main"
    assert program_as_called("main.py", None) == module
    run = DemoResult(STATUS, ROLLED_BACK, [], None, Gateway())
    shown = summarise(run, clickhouse_url="chdb:///tmp/x", program=module)
    assert all(command.startswith(module) for command in shown.commands)
