"""Adding rows: totals, groups, and which version counts."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.windows.rows import (
    RowSums,
    RowTotals,
    latest,
    over_windows,
    row_key,
    total,
    total_by,
    total_of_sums,
)
from understudy.schemas.window_measures import EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def row(**changes: Any) -> WindowRow:
    fields: dict[str, Any] = {
        "rollout_id": "r", "mode": "shadow", "language": "en", "workflow": "",
        "window_start": START, "window_s": 10, "partition": 0, "version": 1,
    }  # fmt: skip
    return WindowRow(**{**fields, **changes})


def measured(requests: int, cost_usd: float, bucket: int) -> WindowRow:
    side = SideSums(
        requests=requests, cost_usd_sum=cost_usd, duration_ms_histogram={bucket: requests}
    )
    return row(stable=side, pair=PairSums(pairs=requests), events=EventCounts(paired=2 * requests))


ROWS = st.lists(
    st.builds(measured, st.integers(0, 9), st.floats(0, 1), st.integers(-5, 5)), max_size=12
)


def test_the_total_of_nothing_is_zero() -> None:
    assert total([]) == RowTotals()


@given(ROWS)
def test_the_order_of_rows_does_not_show(rows: list[WindowRow]) -> None:
    assert total(rows) == total(rows[::-1])


@given(ROWS)
def test_sums_of_rows_that_come_one_by_one_are_their_total(rows: list[WindowRow]) -> None:
    middle = len(rows) // 2
    parts = []
    for some in (rows[:middle], rows[middle:]):
        parts.append(RowSums())
        for one in some:
            parts[-1].add(one)
    assert repr(total_of_sums(parts)) == repr(total(rows))


@given(ROWS)
def test_counts_of_parts_add_up_to_the_whole(rows: list[WindowRow]) -> None:
    middle = len(rows) // 2
    whole, parts = total(rows), total([total(rows[:middle]), total(rows[middle:])])
    assert whole.events == parts.events
    assert whole.stable.requests == parts.stable.requests == sum(r.stable.requests for r in rows)
    assert whole.stable.duration_ms_histogram == parts.stable.duration_ms_histogram
    assert abs(whole.stable.cost_usd_sum - parts.stable.cost_usd_sum) < 1e-12


def test_totals_by_key() -> None:
    rows = [row(language=tag, events=EventCounts(late=n)) for n, tag in enumerate(("ja", "en") * 3)]
    groups = total_by(rows, lambda one: one.language)
    assert list(groups) == ["ja", "en"]
    assert {tag: sums.events.late for tag, sums in groups.items()} == {"ja": 6, "en": 9}


def test_the_highest_version_counts_whenever_it_comes() -> None:
    rows = [row(version=v, events=EventCounts(late=v)) for v in (3, 9, 5)]
    assert [r.version for r in latest(rows)] == [9]
    assert latest([]) == []


def test_other_partitions_windows_and_slices_are_other_rows() -> None:
    changes: list[dict[str, Any]] = [
        {}, {"partition": 1}, {"language": "ja"}, {"workflow": "w"}, {"mode": "canary"},
        {"rollout_id": "q"}, {"window_start": START + dt.timedelta(seconds=10)}, {"window_s": 20},
    ]  # fmt: skip
    rows = [row(**change) for change in changes]
    assert len(latest([*rows, *rows])) == len({row_key(one) for one in rows}) == len(rows)
    assert row_key(row(version=1)) == row_key(row(version=2, closed=True))


def test_adding_leaves_the_rows_as_they_were() -> None:
    one, other = measured(1, 0.5, 3), measured(2, 0.5, 3)
    total([one, other])
    assert one.stable.duration_ms_histogram == {3: 1}
    assert other.stable.duration_ms_histogram == {3: 2}


@given(ROWS)
def test_windows_of_a_slice_add_up_to_one_row(rows: list[WindowRow]) -> None:
    merged = over_windows(rows)
    assert total(merged) == total(rows)
    assert len(merged) == (1 if rows else 0)


def test_slices_stay_apart_when_windows_are_added() -> None:
    rows = [row(language="de"), row(language="ja"), row(language="de", workflow="x")]
    assert [(one.language, one.workflow) for one in over_windows(rows)] == [
        ("de", ""),
        ("ja", ""),
        ("de", "x"),
    ]
