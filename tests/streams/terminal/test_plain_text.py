"""Nothing that a stranger wrote acts on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.terminal.plain_text import lines, one_line, payload_text

HOSTILE = [
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066hidden\u2069",
    "\r\nforged line",
    "\x00\x7f\x08",
    "\ud800",
    "[red]markup[/red]",
    "\U000e0001",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_one_line_is_visible_characters_alone(text: str) -> None:
    assert one_line(text, 1000).isprintable()


@given(st.text(st.characters(), max_size=300), st.integers(0, 200))
def test_any_text_is_bounded_and_printable(text: str, limit: int) -> None:
    shown = one_line(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit + 1
    assert all(line.isprintable() for line in lines(text, limit).split("\n"))


@given(st.binary(max_size=300))
def test_any_payload_can_be_shown(payload: bytes) -> None:
    assert all(line.isprintable() for line in lines(payload_text(payload), 1000).split("\n"))


def test_text_of_any_language_stays_as_it_is() -> None:
    text = "größer 返品ポリシー שלום हिन्दी 👍"
    assert one_line(text, 100) == text


def test_numbers_stand_for_what_is_not_visible() -> None:
    assert one_line("a\x1b[1m\u202e\U000e0001", 100) == "a\\x1b[1m\\u202e\\U000e0001"


def test_long_texts_say_how_much_is_left_out() -> None:
    assert lines("abcdef", 4) == "abcd\n… 2 more characters"
    assert one_line("abcdef", 4) == "abcd…"


def test_json_is_indented_and_the_rest_is_not() -> None:
    assert payload_text(b'{"a":1}') == '{\n  "a": 1\n}'
    assert payload_text(b'{"a":') == '{"a":'
    assert payload_text(b"\xff\xfe") == "\\xff\\xfe"
    assert payload_text(None) == "(no value)"
    assert payload_text(b"[" * 100_000).startswith("[")
