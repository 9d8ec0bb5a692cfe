"""Whatever is written, in whichever way: nothing in it acts on a terminal."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.text import Text

from understudy.streams.terminal.output import (
    say,
    say_csv,
    say_documents_as_csv,
    say_json,
    say_raw,
    show,
)

ANY_TEXT = st.text(st.characters(), max_size=50)
WAYS: dict[str, Callable[[str], object]] = {
    "say": say,
    "say on stderr": lambda text: say(text, err=True),
    "json": lambda text: say_json({text: [text]}),
    "csv": lambda text: say_csv([text], [[text], [{text: text}]]),
    "documents": lambda text: say_documents_as_csv([{text: {text: text}}]),
    "show": lambda text: show(Text(text), text),
}


@pytest.mark.parametrize("way", WAYS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=ANY_TEXT)
def test_nothing_that_is_written_acts(
    way: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    WAYS[way](text)
    assert all(line.isprintable() for line in "".join(capsys.readouterr()).split("\n"))


@given(text=ANY_TEXT.filter(lambda text: text.isprintable()))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_says_the_same(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": text})
    assert json.loads(capsys.readouterr().out) == {"a": text}


def test_json_escapes_what_cannot_be_seen_and_keeps_what_can(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say_json({"a": "返品\x9b31m\u202e\U000e0001", "b": 2**70})
    out = capsys.readouterr().out
    assert json.loads(out)["a"] == "返品\x9b31m\u202e\U000e0001"
    assert "\\u009b31m\\u202e\\udb40\\udc01" in out
    say_json({"a": "返品", "c": float("nan"), 7: dt.datetime(2026, 3, 2)})
    assert capsys.readouterr().out == '{"a":"返品","c":null,"7":"2026-03-02T00:00:00+00:00"}\n'


def test_csv_has_one_row_a_line_and_parts_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    say_csv(["a", "b"], [[None, 'x,"y"\n'], [True, {1: [2]}], [1.5, 10**20]])
    out = capsys.readouterr().out
    assert list(csv.reader(io.StringIO(out))) == [
        ["a", "b"], ["", 'x,"y"\\x0a'], ["true", '{"1":[2]}'], ["1.5", "1" + 20 * "0"],
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")'])
def test_csv_texts_are_no_formulas_of_a_spreadsheet(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say_csv([text], [[text], [-1.5], [-2], ["1-2"], [""]])
    out = capsys.readouterr().out
    assert list(csv.reader(io.StringIO(out))) == [
        [f"'{text}"], [f"'{text}"], ["-1.5"], ["-2"], ["1-2"], [""],
    ]  # fmt: skip


def test_documents_as_csv_have_the_columns_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": {"c": 2}}, {"a": 3, "b": {"d": 4}}]
    say_documents_as_csv(rows)
    assert capsys.readouterr().out == "a,b_c,b_d\n1,2,\n3,,4\n"


def test_a_stream_with_few_characters_gets_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    say("返")
    assert raw.getvalue() == b"\\u8fd4\n"


def test_raw_bytes_are_not_touched(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    say_raw(b"\x1b\xff\n\n")
    assert capfdbinary.readouterr().out == b"\x1b\xff\n\n"


def test_colours_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    say("a\x1b", color="red")
    monkeypatch.setenv("NO_COLOR", "1")
    say("b", color="red")
    assert capsys.readouterr().out == "\x1b[31ma\\x1b\x1b[0m\nb\n"
