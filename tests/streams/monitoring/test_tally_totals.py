"""Totals grow, whatever becomes of the partitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.monitoring.tally_totals import TallyTotals
from understudy.streams.pairing.records import Tally


def test_a_tally_that_was_let_go_still_counts_with_its_last_value() -> None:
    totals = TallyTotals()
    first = Tally(read=3, late=1)
    assert totals.total([first])["read"] == 3
    first.read = 10
    assert totals.total([])["read"] == 10
    second = Tally(read=4)
    assert totals.total([second])["read"] == 14
    assert totals.total([second])["late"] == 1


def test_nothing_seen_is_nothing() -> None:
    assert TallyTotals().total([]) == {}


@given(st.lists(st.sampled_from(["read", "look", "rewind", "drop", "assign"]), max_size=60))
def test_totals_are_exact_and_never_fall(steps: list[str]) -> None:
    totals, held, read, highest = TallyTotals(), [Tally()], 0, 0
    for step in steps:
        if step == "read" and held:
            held[0].read += 7
            read += 7
        elif step == "look":
            total = totals.total(held).get("read", 0)
            assert total >= highest
            highest = total
        elif step in ("rewind", "drop") and held:
            totals.total(held)
            held = [Tally(), *held[1:]] if step == "rewind" else held[1:]
        elif step == "assign":
            held = [*held, Tally()]
    assert totals.total(held).get("read", 0) == read
