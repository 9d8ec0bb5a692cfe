"""Disguises are seen through, and every character knows where it stood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.redaction.unmasked import unmask


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a**b**c", "abc"),
        ("a\\u0040b", "a@b"),
        ("a\\\\u0040b", "a@b"),
        ("a%40b %C3%A9", "a@b é"),
        ("a&#64;b&#x40;c&commat;d", "a@b@c@d"),
        ("<b>a</b><br/>", "a "),
        ("<td>a</td><TD>b</TD>", " a  b "),
        ("<password>a</b>", "<password>a"),
        ("a\u200b\u00adb", "ab"),
        ("１２３＠ａ", "123@a"),
        ("1\u20112\u00a03", "1-2 3"),
        ("a\\nb", "a b"),
        ("a\\_b\\-c", "a\\_b-c"),
    ],
)
def test_disguises(text: str, plain: str) -> None:
    found = unmask(text)
    assert found is not None
    assert found.text == plain


def test_markup_is_left_out_or_stands_between_words() -> None:
    joined, apart = unmask("a`b`c"), unmask("a`b`c", markup=" ")
    assert joined is not None
    assert apart is not None
    assert (joined.text, apart.text, joined.has_markup) == ("abc", "a b c", True)
    assert (apart.start_of(2), apart.end_of(2)) == (2, 3)
    escaped = unmask("a\\u0040b")
    assert escaped is not None
    assert not escaped.has_markup


@pytest.mark.parametrize("text", ["", "plain text", "50% of a & b < c", "a\\b"])
def test_text_without_one(text: str) -> None:
    assert unmask(text) is None


@given(st.text(alphabet="ab@*`\\u0041%4<>/&#64;\u200b１ ", max_size=100))
def test_every_character_knows_where_it_stood(text: str) -> None:
    found = unmask(text)
    if found is None:
        return
    places = [(found.start_of(i), found.end_of(i)) for i in range(len(found.text))]
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert places == sorted(places)
    for character, (start, end) in zip(found.text, places, strict=True):
        assert end - start > 1 or text[start] == character or text[start] in "１"
