"""Texts are cut between characters, never within one."""

from __future__ import annotations

import pytest

from understudy.schemas.redaction.cut import first_bytes


@pytest.mark.parametrize(
    ("text", "max_bytes", "expected"),
    [
        ("abc", 3, "abc"),
        ("abc", 2, "ab"),
        ("aé", 2, "a"),
        ("aé", 3, "aé"),
        ("日本", 5, "日"),
        ("a\N{GRINNING FACE}", 4, "a"),
        ("abc", 0, ""),
    ],
)
def test_whole_characters_are_kept(text: str, max_bytes: int, expected: str) -> None:
    assert first_bytes(text, max_bytes) == expected


def test_half_of_a_pair_counts_as_three_bytes() -> None:
    assert first_bytes("\ud83d", 3) == "\ud83d"
    assert first_bytes("a\ud83d", 3) == "a"
