"""Tables in files are not cut; on a terminal its width counts."""

from __future__ import annotations

import io

import pytest

from understudy.streams.terminal.consoles import WIDTH_IN_FILES, table_console


def test_a_file_is_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert table_console(io.StringIO()).width == WIDTH_IN_FILES
    monkeypatch.setenv("COLUMNS", "300")
    assert table_console(io.StringIO()).width == 300


def test_a_terminal_keeps_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert table_console(io.StringIO()).width == 40
