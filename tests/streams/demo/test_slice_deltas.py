"""SliceTotals add window rows up, whichever way they come."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import pytest

from understudy.schemas.window_measures import EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow
from understudy.streams.demo.slice_deltas import SliceDelta, SliceTotals

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)


def row(
    language: str = "ja",
    workflow: str = "extract",
    *,
    window: int = 0,
    partition: int = 0,
    version: int = 1,
    pairs: int = 10,
    invalid: int = 0,
) -> WindowRow:
    """A row in which `invalid` of the candidate's documents break."""
    return WindowRow(
        rollout_id="r",
        mode="shadow",
        language=language,
        workflow=workflow,
        window_start=START + dt.timedelta(seconds=10 * window),
        window_s=10,
        partition=partition,
        version=version,
        events=EventCounts(paired=2 * pairs, late=1),
        stable=SideSums(
            requests=pairs,
            json_expected=pairs,
            json_valid=pairs,
            duration_ms_histogram={300: pairs},
        ),
        candidate=SideSums(
            requests=pairs,
            errors=1,
            json_expected=pairs,
            json_valid=pairs - invalid,
            duration_ms_histogram={310: pairs},
        ),
        pair=PairSums(
            pairs=pairs,
            answered=pairs,
            texts=pairs,
            identical=pairs // 2,
            similarity_count=pairs,
            similarity_sum=0.75 * pairs,
            json_expected_both=pairs,
            json_valid_only_stable=invalid,
            error_only_candidate=1,
            cost_usd_count=pairs,
            cost_usd_stable_sum=0.02 * pairs,
            cost_usd_candidate_sum=0.01 * pairs,
        ),
    )


def deltas(*rows: WindowRow) -> list[SliceDelta]:
    slices = SliceTotals()
    slices.update(rows)
    return slices.deltas()


def test_no_rows_give_no_slices() -> None:
    assert deltas() == []
    assert deltas(row(pairs=0)) == []


def test_rates_of_a_slice() -> None:
    overall, delta = deltas(row(window=0), row(window=1, invalid=4), row(partition=1))
    assert (overall.slice, delta.slice) == ("all", "language:ja")
    assert replace(overall, slice="language:ja") == delta
    assert delta.pairs == 30
    assert delta.error_rate_stable == 0.0
    assert delta.error_rate_candidate == pytest.approx(3 / 30)
    assert delta.json_valid_candidate == pytest.approx(26 / 30)
    assert delta.json_valid_delta_points == pytest.approx(-400 / 30)
    assert delta.identical_rate == 0.5
    assert delta.similarity_mean == pytest.approx(0.75)
    assert delta.duration_p50_ratio == pytest.approx((1.01 / 0.99) ** 10)
    assert delta.cost_ratio == pytest.approx(0.5)


def test_nothing_measured_is_none() -> None:
    empty = row()
    empty.stable, empty.candidate, empty.pair = SideSums(), SideSums(), PairSums(pairs=1)
    _, delta = deltas(empty)
    assert delta.json_valid_delta_points is None
    assert delta.duration_p95_ratio is None
    assert delta.similarity_mean is None


def test_all_requests_come_first_then_languages_with_workflows_together() -> None:
    found = deltas(row(workflow="extract"), row(workflow="chat"), row("en", pairs=50))
    assert [(d.slice, d.pairs) for d in found] == [
        ("all", 70),
        ("language:en", 50),
        ("language:ja", 20),
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_order_and_repetition_of_versions_do_not_matter(order: tuple[int, ...]) -> None:
    versions = [
        row(version=1, pairs=2),
        row(version=5, pairs=9),
        row(version=9, pairs=20, invalid=1),
        row(version=9, pairs=20, invalid=1),
    ]
    slices = SliceTotals()
    for index in order:
        slices.update([versions[index]])
    assert slices.deltas() == deltas(versions[2])
    assert slices.events == EventCounts(paired=40, late=1)
    assert slices.rows == [versions[2]]
