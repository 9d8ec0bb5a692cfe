"""Ids that fit, whatever a caller gives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.gateways.bounded_ids import MAX_ID, bounded_id

NAMES = st.text(max_size=40) | st.integers(200, 300).map("x".__mul__)


@given(NAMES, st.sampled_from(["", "~mirror"]))
def test_what_fits_stays_and_what_does_not_is_shortened(name: str, suffix: str) -> None:
    bounded = bounded_id(name, suffix)
    assert len(bounded) <= MAX_ID
    assert bounded.endswith(suffix)
    if len(name) + len(suffix) <= MAX_ID:
        assert bounded == name + suffix


def test_long_names_that_differ_stay_different() -> None:
    names = [f"{'x' * 400}{number}" for number in range(50)]
    assert len({bounded_id(name) for name in names}) == 50
    assert bounded_id("\ud800" * 300)
