"""The report as tables: at any width, and whole in a file."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.streams.replay.test_report import paired
from understudy.streams.replay.report import report
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.report_table import report_tables


@pytest.mark.parametrize("width", [20, 60, 100, 200])
def test_the_table_prints_at_any_width(width: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    odd = paired(2, rollout_id="[bold]odd[/]", language="xx", workflow="w[/]")
    console.print(report_tables(report([paired(3), odd], 10)))
    assert "5 pairs" in screen.getvalue().replace("\n", " ")
    assert "10 events" in screen.getvalue()


def test_the_table_in_a_file_is_whole() -> None:
    screen = io.StringIO()
    hostile = paired(3, rollout_id="[red]hostile[/red]\x1b]0;owned\x07", workflow="\x1b[2J\u202e")
    table_console(screen).print(report_tables(report([paired(3), hostile], 6)))
    text = screen.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Rollout [red]hostile[/red]" in text
    assert "cost" in text
    assert "en/chat" in text
