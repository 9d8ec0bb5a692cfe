"""Totals grow, whatever becomes of the partitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.monitoring.tally_ledger import TallyLedger
from understudy.streams.pairing.records import Tally


def test_a_tally_that_was_let_go_still_counts_with_its_last_value() -> None:
    ledger = TallyLedger()
    first = Tally(read=3, late=1)
    assert ledger.total([first])["read"] == 3
    first.read = 10
    assert ledger.total([])["read"] == 10
    second = Tally(read=4)
    assert ledger.total([second])["read"] == 14
    assert ledger.total([second])["late"] == 1


def test_nothing_seen_is_nothing() -> None:
    assert TallyLedger().total([]) == {}


@given(st.lists(st.sampled_from(["read", "look", "rewind", "drop", "assign"]), max_size=60))
def test_totals_are_exact_and_never_fall(steps: list[str]) -> None:
    ledger, held, read, highest = TallyLedger(), [Tally()], 0, 0
    for step in steps:
        if step == "read" and held:
            held[0].read += 7
            read += 7
        elif step == "look":
            total = ledger.total(held).get("read", 0)
            assert total >= highest
            highest = total
        elif step in ("rewind", "drop") and held:
            ledger.total(held)
            held = [Tally(), *held[1:]] if step == "rewind" else held[1:]
        elif step == "assign":
            held = [*held, Tally()]
    assert ledger.total(held).get("read", 0) == read
