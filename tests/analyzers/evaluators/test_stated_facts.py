"""Numbers, dates and URLs in texts of many languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.evaluators.stated_facts import MAX_CHARACTERS, dates, numbers, urls


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It costs 1,234.50 EUR", {"1234.5"}),
        ("Es kostet 1.234,50 EUR", {"1234.5"}),
        ("Cela coûte 1\u202f234,50 EUR", {"1234.5"}),
        ("1’234.50 Franken", {"1234.5"}),
        ("価格は1,234円です", {"1234"}),
        ("١٬٢٣٤٫٥٠ درهم", {"1234.5"}),
        ("क़ीमत १२३ है", {"123"}),
        ("3.14 and 3,14", {"3.14"}),
        ("1.000.000 Einwohner", {"1000000"}),
        ("007", {"7"}),
        ("0.50", {"0.5"}),
        ("nothing", set()),
        ("v2 of x86", {"2", "86"}),
    ],
)
def test_numbers(text: str, found: set[str]) -> None:
    assert numbers(text) == found


def test_the_numbers_of_a_list_are_layout() -> None:
    text = "1. Take 5 eggs\n2. Wait\n\n\n  3) Eat\n\t> **4.** Rest\r\n5. Wash 6 plates"
    assert numbers(text) == {"5", "6"}


def test_numbers_of_dates_and_urls_are_not_counted_twice() -> None:
    assert numbers("On 2024-05-17 see https://a.example/9/8") == set()


@pytest.mark.parametrize(
    "text", ["2024-05-17", "17.05.2024", "05/17/2024", "2024年5月17日", "2024. 5. 17", "17-5-2024"]
)
def test_a_date_is_the_same_however_it_is_written(text: str) -> None:
    assert dates(f"Until {text}, please") == {(5, 17, 2024)}


def test_what_looks_like_a_date_and_is_none() -> None:
    assert dates("192.168.2024.1 or 1.2.3") == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://Example.org/a/.", {"https://example.org/a"}),
        ("[docs](http://x.example/y?z=1)", {"http://x.example/y?z=1"}),
        ("HTTPS://X.example#part", {"https://x.example"}),
        ("参照：https://x.example/a。", {"https://x.example/a"}),
        ("ftp://x.example", set()),
    ],
)
def test_urls(text: str, found: set[str]) -> None:
    assert urls(text) == found


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for facts in (numbers(text), dates(text), urls(text)):
        assert isinstance(facts, set)


@pytest.mark.parametrize(
    "run", ["1.", "9", "1-", "https://", "\n", "\n \n", " ", "> ", "1 / ", "("]
)
def test_hostile_texts_are_read_to_the_end(run: str) -> None:
    """A pattern that looked back at every place would take minutes."""
    text = (run * MAX_CHARACTERS)[: MAX_CHARACTERS - 1] + "x"
    assert numbers(text) is not None
    assert dates(text) is not None
    assert urls(text) is not None
