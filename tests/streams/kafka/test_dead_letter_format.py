"""Dead letters say what was wrong with which message, and fit into their topic."""

from __future__ import annotations

from understudy.streams.kafka.dead_letter_format import (
    MAX_DEAD_LETTER_BYTES,
    MAX_KEY_BYTES,
    dead_letter_headers,
    shortened,
)


def test_headers_say_why_and_where() -> None:
    headers = dead_letter_headers("invalid_windows", "no JSON \udc80", "topic", 3, 17, b"{")
    assert headers == [
        ("reason", b"invalid_windows"),
        ("detail", b"no JSON ?"),
        ("topic", b"topic"),
        ("partition", b"3"),
        ("offset", b"17"),
    ]


def test_what_is_too_long_is_cut_and_said_so() -> None:
    value = b"x" * (MAX_DEAD_LETTER_BYTES + 1)
    headers = dict(dead_letter_headers("too_large", "y" * 2000, "topic", 0, 0, value))
    assert headers["cut_from_bytes"] == str(len(value)).encode()
    assert headers["detail"] == b"y" * 1000
    assert shortened(b"key", value) == (b"key", value[:-1])


def test_keys_are_whole_or_left_out() -> None:
    assert shortened(b"k" * MAX_KEY_BYTES, None) == (b"k" * MAX_KEY_BYTES, None)
    assert shortened(b"k" * (MAX_KEY_BYTES + 1), b"v") == (None, b"v")
    assert shortened(None, b"") == (None, b"")
