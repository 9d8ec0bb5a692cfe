"""Tables in files are not cut; on a terminal its width counts."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from understudy.streams.terminal.consoles import WIDTH_IN_FILES, SafeConsole, table_console


def test_a_file_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert table_console(io.StringIO()).width == WIDTH_IN_FILES


def test_a_terminal_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert table_console(io.StringIO()).width == 40


def test_no_character_of_a_text_acts_and_colours_stay() -> None:
    screen = io.StringIO()
    console = SafeConsole(file=screen, force_terminal=True, color_system="standard", width=80)
    console.print(Text("a\x1b]0;owned\x07\x9b1m\u202eb\nc", "red"))
    assert screen.getvalue() == "\x1b[31ma\\x1b]0;owned\\x9b1m\\u202eb\x1b[0m\n\x1b[31mc\x1b[0m\n"
