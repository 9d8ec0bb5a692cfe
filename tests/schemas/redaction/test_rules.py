"""Checks that tell a number or a word that is meant from one that only looks like it."""

from __future__ import annotations

import pytest

from understudy.schemas.redaction.rules import (
    RULES,
    Traits,
    card_length,
    entropy,
    find,
    iban_length,
    random_length,
)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("4111111111111111", 16),
        ("4111 1111 1111 1111 123", 19),
        ("378282246310005", 15),
        ("4111111111111112", 0),
        ("4444444444444444", 0),
        ("123", 0),
    ],
)
def test_card_has_lengths_of_its_brand_and_a_check_digit(text: str, length: int) -> None:
    assert card_length(text) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("DE89370400440532013000", 22),
        ("DE89 3704 0044 0532 0130 00 EUR", 27),
        ("de89370400440532013000", 22),
        ("DE89370400440532013001", 0),
        ("XX89370400440532013000", 0),
        ("DE8937040044", 0),
    ],
)
def test_iban_has_the_length_of_its_country_and_check_digits(text: str, length: int) -> None:
    assert iban_length(text) == length


def test_random_words_change_in_kind_and_spoken_ones_do_not() -> None:
    assert random_length("x7Kq2ZpL9wTf4RbN8vYc3HdM")
    assert not random_length("calculateMonthlyPayment2WithInterest")
    assert not random_length("abcdefghijklmnopqrstuvwxyz")
    assert not random_length("Sdk/ndk/25B/buiLd/System2/cMake/lib/ab")
    assert entropy("aaaa") == 0.0
    assert entropy("abab") == 1.0


@pytest.mark.parametrize("text", ["", "no number, no long word", "short 12"])
def test_most_rules_are_not_tried_on_a_plain_text(text: str) -> None:
    assert sum(rule.may(Traits.of(text)) for rule in RULES) <= 2
    assert find(text) == []
