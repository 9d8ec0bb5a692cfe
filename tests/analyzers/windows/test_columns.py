"""What measures of each kind add to a window, from arrays written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tests.analyzers.windows.events import random_pairs
from tests.analyzers.windows.test_quality_columns import preferring
from tests.analyzers.windows.test_window_sums import columns_of
from understudy.analyzers.compare.measure_arrays import SideMeasures
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_pairs
from understudy.analyzers.compare.sides import SideReading, read_sides
from understudy.analyzers.windows.columns import (
    WindowColumns,
    feedback_columns,
    pair_columns,
    side_columns,
)
from understudy.analyzers.windows.layout import PLACES, SLOTS
from understudy.analyzers.windows.quality_columns import quality_columns
from understudy.schemas.measures import LOST, Checked, JsonState
from understudy.schemas.windows import SECTIONS

PAIRS = random_pairs(seed=1, count=120)
FOUR = [a for a, _ in random_pairs(seed=2, count=4)]


def four_sides(**arrays: Any) -> SideMeasures:
    """Measures of four sides, some of them replaced."""
    return replace(read_sides(FOUR, ["en"] * 4, CompareOptions()).measures, **arrays)


def side(**arrays: Any) -> dict[str, list[int]]:
    """What four sides add."""
    columns = WindowColumns()
    side_columns("stable", four_sides(**arrays), columns)
    return {name.removeprefix("stable_"): v.tolist() for name, v in columns.numbers.items()}


def test_columns_are_those_of_the_contract() -> None:
    columns = columns_of(PAIRS)
    events = {f"events_{field}" for field in SECTIONS["events"].__struct_fields__}
    for side in ("stable", "candidate"):
        feedback_columns(side, np.array([0.0]), columns)
    quality_columns([preferring("tie")], columns)
    lost_sides = {f"pair_{one.name}" for one in LOST}
    turns = {name for name, place in PLACES.items() if "turns" in place.section}
    assert set(columns.numbers) == set(SLOTS) - events - lost_sides - turns


def test_an_outcome_is_counted() -> None:
    assert side(truncated=np.array([True, False, True, False]))["truncated"] == [1, 0, 1, 0]


def test_names_are_counted_and_unknown_ones_are_not() -> None:
    columns = WindowColumns()
    side_columns("stable", four_sides(model=["b", "", "a", "b"]), columns)
    rows, codes, names = columns.names["stable_models"]
    assert [(row, names[code]) for row, code in zip(rows, codes, strict=True)] == [
        (0, "b"), (2, "a"), (3, "b"),
    ]  # fmt: skip
    side_columns("stable", four_sides(model=[""] * 4), columns)
    assert len(columns.names["stable_models"][0]) == 0


def test_a_category_counts_the_known_the_passing_and_the_failures() -> None:
    states = [JsonState.NOT_EXPECTED, JsonState.VALID, JsonState.FENCED, JsonState.VALID]
    found = side(json_state=np.array(states, np.int8))
    assert found["json_expected"] == [0, 1, 1, 1]
    assert found["json_valid"] == [0, 1, 0, 1]
    assert found["json_fenced"] == [0, 0, 1, 0]
    assert found["json_too_deep"] == [0, 0, 0, 0]


def test_a_number_adds_what_lies_above_its_least_value() -> None:
    found = side(attempts=np.array([1, 3, 1, 2]), tool_call_count=np.array([0, 2, 1, 0]))
    assert found["retries"] == [0, 2, 0, 1]
    assert found["tools_called"] == [0, 1, 1, 0]


def test_what_is_unknown_of_a_distribution_adds_nothing() -> None:
    found = side(
        duration_ms=np.array([1.5, np.nan, 0.0, 2.0]), output_tokens=np.array([7, -1, 0, 3])
    )
    assert found["duration_ms_count"] == [1, 0, 1, 1]
    assert found["duration_ms_sum"] == [1500, 0, 0, 2000]
    assert found["output_tokens_count"] == [1, 0, 1, 1]
    assert found["output_tokens_sum"] == [7, 0, 0, 3]


def test_pairs_are_discordant_among_those_in_which_both_sides_are_known() -> None:
    unchecked, no, yes = Checked.UNCHECKED, Checked.NO, Checked.YES
    events = [answered(event) for event in FOUR]
    reading = read_sides(events, ["en"] * 4, CompareOptions())
    stable = replace(reading.measures, language_match=np.array([yes, yes, no, unchecked], np.int8))
    candidate = replace(reading.measures, language_match=np.array([no, yes, yes, yes], np.int8))
    pair = compare_pairs(_with(reading, stable), _with(reading, candidate), CompareOptions())
    columns = WindowColumns()
    pair_columns(stable, candidate, pair, columns)
    found = {name: values.tolist() for name, values in columns.numbers.items()}
    assert found["pair_language_checked_both"] == [1, 1, 1, 0]
    assert found["pair_language_match_only_stable"] == [1, 0, 0, 0]
    assert found["pair_language_match_only_candidate"] == [0, 0, 1, 0]
    assert found["pair_language_match_both"] == [0, 1, 0, 0]


def test_a_rate_of_what_may_be_missing_is_among_the_pairs_in_which_both_sides_have_it() -> None:
    reading = read_sides([answered(event) for event in FOUR], ["en"] * 4, CompareOptions())
    stable, candidate = (
        replace(reading.measures, finish_reason_known=np.array(known), truncated=np.array(known))
        for known in ([True, True, False, False], [True, False, True, False])
    )
    pair = compare_pairs(_with(reading, stable), _with(reading, candidate), CompareOptions())
    columns = WindowColumns()
    pair_columns(stable, candidate, pair, columns)
    found = {name: values.tolist() for name, values in columns.numbers.items()}
    assert found["pair_finish_reason_known_both"] == [1, 0, 0, 0]
    assert found["pair_truncated_both"] == [1, 0, 0, 0]
    assert found["pair_truncated_only_candidate"] == [0, 0, 0, 0]


def answered(event: Any) -> Any:
    """The same event with an answer."""
    return type(event)(**{name: getattr(event, name) for name in event.__struct_fields__}
                       | {"error": None})  # fmt: skip


def _with(reading: SideReading, measures: SideMeasures) -> SideReading:
    return replace(reading, measures=measures)
