"""How far two answers say the same, as a share of what both say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.evaluators.agreement import agreement


@pytest.mark.parametrize(
    ("reference", "answer", "share"),
    [
        ("ab", "ab", 1.0),
        ("ab", "ba", 1.0),
        ("ab", "a", 2 / 3),
        ("aab", "ab", 4 / 5),
        ("ab", "", 0.0),
        ("ab", "cd", 0.0),
    ],
)
def test_the_share_in_common(reference: str, answer: str, share: float) -> None:
    assert agreement(reference, answer) == pytest.approx(share)


def test_nothing_can_be_said_without_a_reference() -> None:
    assert agreement("", "a") is None
    assert agreement("", "") is None


@given(st.text("abc", min_size=1), st.text("abc", min_size=1))
def test_it_is_symmetric_and_a_share(left: str, right: str) -> None:
    share = agreement(left, right)
    assert share is not None
    assert 0.0 <= share <= 1.0
    assert share == agreement(right, left)
    assert agreement(left, left) == 1.0
