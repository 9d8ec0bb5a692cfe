"""Dead letters are selected, counted once for each source record, and summed up."""

from __future__ import annotations

import pytest

from tests.streams.dead_letters.records import NOW_MS, dead_letter
from understudy.streams.dead_letters.dead_letter_record import (
    RecordPosition,
)
from understudy.streams.dead_letters.selection import DeadLetterSummary, Selection, once_each


def test_what_was_written_again_counts_once() -> None:
    twice = [dead_letter(1), dead_letter(2), dead_letter(1, stored_at_ms=9), dead_letter(1)]
    assert list(once_each(twice)) == twice[:2]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"clock_ahead", "schema"})), True),
        (Selection(reasons=frozenset({"schema"})), False),
        (Selection(rollout_id="helpdesk"), True),
        (Selection(rollout_id="help"), False),
        (Selection(since_ms=NOW_MS), True),
        (Selection(since_ms=NOW_MS + 1), False),
        (Selection(source=RecordPosition("understudy.events", 3, 0)), True),
        (Selection(source=RecordPosition("understudy.events", 0, 3)), False),
        (Selection(reasons=frozenset({"clock_ahead"}), rollout_id="other"), False),
    ],
)
def test_selections(selection: Selection, wanted: bool) -> None:
    assert (dead_letter() in selection) is wanted


def test_a_summary_counts_all_and_keeps_the_newest() -> None:
    summary = DeadLetterSummary(limit=2)
    for number in (3, 1, 4, 2):
        summary.add(dead_letter(number, reason="sides" if number == 4 else "schema"))
    assert summary.reasons == {"schema": 3, "sides": 1}
    assert [one.source.offset for one in summary.newest] == [4, 3]


def test_a_summary_may_keep_none() -> None:
    summary = DeadLetterSummary(limit=0)
    summary.add(dead_letter())
    assert summary.newest == []
