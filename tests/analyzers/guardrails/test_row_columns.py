"""Window rows in columns: numbers as they are in the rows, histograms flattened."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from tests.analyzers.guardrails.world import World
from understudy.analyzers.guardrails import row_columns
from understudy.analyzers.guardrails.row_columns import (
    HISTOGRAMS,
    PLACES,
    HistogramColumn,
    NameColumn,
    NumberTable,
    RowColumns,
)
from understudy.schemas.window_measures import SideSums

ROWS = [row for message in World().messages(1, 3) for row in message.rows]


def test_every_sum_of_a_row_can_be_read_under_the_name_that_clickhouse_knows() -> None:
    columns = RowColumns.of_rows(ROWS, PLACES)
    assert columns.n == len(ROWS)
    for name, place in PLACES.items():
        section, _, field = place.partition(".")
        wanted = [getattr(getattr(row, section), field) for row in ROWS]
        if name in HISTOGRAMS:
            totals = [sum(histogram.values()) for histogram in wanted]
            assert columns.histogram(name).total().tolist() == totals
        else:
            assert columns[name].tolist() == wanted


def test_sections_without_any_number_are_read_as_nothing() -> None:
    turns = msgspec.structs.replace(ROWS[0].stable_turns, requests=3, earlier=2)
    rows = [ROWS[0], msgspec.structs.replace(ROWS[1], stable_turns=turns), ROWS[2]]
    names = ["stable_turns_earlier", "stable_turns_requests", "candidate_turns_requests"]
    columns = RowColumns.of_rows(rows, names)
    assert [columns[name].tolist() for name in names] == [[0, 2, 0], [0, 3, 0], [0, 0, 0]]


def test_a_number_that_no_array_can_hold_is_refused() -> None:
    huge = msgspec.structs.replace(ROWS[0].stable, errors=10**400)
    with pytest.raises(OverflowError):
        RowColumns.of_rows([msgspec.structs.replace(ROWS[0], stable=huge)], ["stable_errors"])


def test_what_was_not_asked_for_is_not_there() -> None:
    columns = RowColumns.of_rows(ROWS, ["candidate_errors"])
    with pytest.raises(KeyError):
        columns["stable_errors"]
    with pytest.raises(KeyError):
        RowColumns.of_rows(ROWS, ["candidate_misspelt"])


def test_paired_rows_are_told_from_others() -> None:
    canary = msgspec.structs.replace(ROWS[0], mode="canary")
    nameless = msgspec.structs.replace(ROWS[0], mode=None)
    paired = RowColumns.of_rows([ROWS[0], canary, nameless], []).is_paired
    assert paired.tolist() == [True, False, False]


def test_no_rows_are_empty_columns() -> None:
    columns = RowColumns.of_rows([], ["candidate_errors", "candidate_duration_ms_histogram"])
    assert columns["candidate_errors"].shape == (0,)
    assert columns.histogram("candidate_duration_ms_histogram").above(3).shape == (0,)


def test_counts_above_a_bucket_leave_out_the_bucket_itself() -> None:
    histograms = [{3: 2, 7: 5}, {}, {-4: 1, 8: 4}]
    column = HistogramColumn.of(histograms)
    assert column.total().tolist() == [7, 0, 5]
    assert column.above(7).tolist() == [0, 0, 4]
    assert column.above(6).tolist() == [5, 0, 4]
    assert column.above(-5).tolist() == [7, 0, 5]
    assert column.above_each(np.array([[2, 3], [0, 0], [8, 7]])).tolist() == [
        [7, 5],
        [0, 0],
        [0, 4],
    ]


def test_entries_can_be_weighed() -> None:
    column = HistogramColumn.of([{1: 2, 2: 3}, {5: 1}])
    assert column.weighted(column.buckets * 10.0).tolist() == [80, 50]


def test_counts_by_name_add_up_by_group() -> None:
    maps = [{"a": 2, "b": 1}, {}, {"b": 5}, {"c": 1, "a": 1}]
    column = NameColumn.of(maps)
    groups = np.array([0, 0, 1, -1])
    assert column.added(groups, 3) == [{"a": 2, "b": 1}, {"b": 5}, {}]
    some = column.part(np.array([2, 3]))
    assert some.added(np.array([0, 0]), 1) == [{"b": 5, "c": 1, "a": 1}]
    assert NameColumn.of([{}, {}]).added(np.array([0, 1]), 2) == [{}, {}]
    models = {"heron-4": 3}
    row = msgspec.structs.replace(ROWS[0], stable=SideSums(requests=3, models=models))
    read = RowColumns.of_rows([row, ROWS[1]], ["stable_models"]).by_name("stable_models")
    assert read.added(np.array([0, 0]), 1) == [models]


def test_some_rows_can_be_taken_in_their_order() -> None:
    names = ["candidate_errors", "candidate_duration_ms_histogram"]
    columns = RowColumns.of_rows(ROWS, names)
    for rows in (slice(1, 4), np.array([0, 2, 5])):
        some = columns.part(rows)
        wanted = RowColumns.of_rows(np.array(ROWS, dtype=object)[rows].tolist(), names)
        assert some.n == wanted.n
        assert some["candidate_errors"].tolist() == wanted["candidate_errors"].tolist()
        one, other = (each.histogram("candidate_duration_ms_histogram") for each in (some, wanted))
        for part in ("rows", "buckets", "counts"):
            assert getattr(one, part).tolist() == getattr(other, part).tolist()


def test_columns_together_are_those_one_by_one() -> None:
    (message,) = World().messages(1, 1)
    names = ("pair_pairs", "stable_errors", "candidate_cost_usd_sum")
    columns = RowColumns.of_rows(message.rows, {*names, "stable_models", "events_late"})
    for some in (columns, columns.part(np.array([1, 0]))):
        assert np.array_equal(some.together(names[::-1]), [some[name] for name in names[::-1]])


def test_counts_above_many_buckets_are_those_above_each(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    histograms = [
        {int(one): int(rng.integers(1, 9)) for one in rng.integers(-5, 5, rng.integers(0, 6))}
        for _ in range(20)
    ]
    column = HistogramColumn.of(histograms)
    buckets = rng.integers(-6, 6, (20, 3))
    expected = [
        [sum(count for one, count in histogram.items() if one > bucket) for bucket in of_row]
        for histogram, of_row in zip(histograms, buckets.tolist(), strict=True)
    ]
    assert column.above_each(buckets).tolist() == expected
    monkeypatch.setattr(row_columns, "_AT_ONCE", 1)
    assert column.above_each(buckets).tolist() == expected
    assert HistogramColumn.of([]).above_each(np.zeros((0, 3), dtype=np.int64)).shape == (0, 3)


def test_numbers_that_lie_together_are_those_of_each_column() -> None:
    names = ("candidate_errors", "pair_pairs", "stable_errors")
    columns = RowColumns.of_rows(ROWS, names)
    apart = RowColumns(columns.is_paired, {name: columns[name] for name in names})
    some = np.array([3, 1])
    for numbers in (columns, columns.part(some)):
        rows = slice(None) if numbers is columns else some
        for chosen in (names, names[::-1], names[1:2]):
            wanted = [apart[name][rows].tolist() for name in chosen]
            assert numbers.together(chosen).tolist() == wanted
            assert [numbers[name].tolist() for name in chosen] == wanted
    assert list(NumberTable(("b", "a"), np.zeros((2, 1)))) == ["b", "a"]
