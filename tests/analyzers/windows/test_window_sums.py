"""Window sums: exact, the same however batches are cut, mergeable."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.analyzers.windows.events import random_pairs
from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_control, compare_pairs
from understudy.analyzers.compare.sides import read_sides
from understudy.analyzers.windows.columns import (
    WindowColumns,
    control_columns,
    feedback_columns,
    pair_columns,
    side_columns,
)
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.analyzers.windows.rows import RowSums, total_of_sums
from understudy.analyzers.windows.window_sums import SliceKey, WindowSums, add_batch
from understudy.schemas.events import Event
from understudy.schemas.measures import MS_TICK
from understudy.schemas.windows import WindowRow

OPTIONS = CompareOptions()
KEY = SliceKey("r", "shadow", "en", "chat", 1_735_689_600_000)
Pairs = list[tuple[Event, Event]]


def columns_of(pairs: Pairs) -> WindowColumns:
    languages = ["en"] * len(pairs)
    stable = read_sides([a for a, _ in pairs], languages, OPTIONS)
    candidate = read_sides([b for _, b in pairs], languages, OPTIONS)
    columns = WindowColumns()
    side_columns("stable", stable.measures, columns)
    side_columns("candidate", candidate.measures, columns)
    measures = compare_pairs(stable, candidate, OPTIONS)
    pair_columns(stable.measures, candidate.measures, measures, columns)
    control_columns(compare_control(stable, candidate, OPTIONS), columns)
    return columns


def sums_of(pairs: Pairs) -> WindowSums:
    sums = WindowSums()
    if pairs:
        add_batch([sums], np.zeros(len(pairs), np.int64), columns_of(pairs))
    return sums


def row_of(sums: WindowSums) -> WindowRow:
    return DrawnRow.of(sums, KEY, window_s=10, partition=2, version=7, closed=True).to_row()


def content(sums: WindowSums) -> bytes:
    """As it would be written; histograms in order, so equal sums give equal bytes."""
    return msgspec.json.encode(row_of(sums))


PAIRS = random_pairs(seed=1, count=120)


@given(st.lists(st.integers(0, len(PAIRS)), max_size=6))
@hypothesis_settings(max_examples=30)
def test_where_batches_are_cut_does_not_show(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(PAIRS)]
    target = WindowSums()
    for start, end in pairwise(edges):
        if start < end:
            part = PAIRS[start:end]
            add_batch([target], np.zeros(len(part), np.int64), columns_of(part))
    assert content(target) == content(sums_of(PAIRS))


@given(st.permutations(range(40)))
@hypothesis_settings(max_examples=20)
def test_the_order_of_rows_does_not_show(order: list[int]) -> None:
    assert content(sums_of([PAIRS[i] for i in order])) == content(sums_of(PAIRS[:40]))


@given(st.integers(0, len(PAIRS)), st.integers(0, len(PAIRS)))
@hypothesis_settings(max_examples=20)
def test_merged_parts_are_the_whole(one: int, two: int) -> None:
    low, high = sorted((one, two))
    a, b, c = (sums_of(part) for part in (PAIRS[:low], PAIRS[low:high], PAIRS[high:]))
    whole = content(sums_of(PAIRS))
    assert content(a + b + c) == content(a + (b + c)) == content(c + a + b) == whole
    assert content(WindowSums() + a) == content(a)


def test_each_row_reaches_its_own_slice() -> None:
    rng = np.random.default_rng(3)
    slices = rng.integers(0, 7, len(PAIRS))
    sums = [WindowSums() for _ in range(8)]
    add_batch(sums, slices, columns_of(PAIRS))
    for number, found in enumerate(sums):
        mine = [pair for pair, its in zip(PAIRS, slices, strict=True) if its == number]
        assert content(found) == content(sums_of(mine))
    assert not sums[7].vector.any()


def test_no_rows_add_nothing() -> None:
    sums = WindowSums()
    add_batch([sums], np.array([], np.int64), WindowColumns())
    assert not sums.vector.any()
    assert row_of(sums).stable.requests == 0


# --- against a plain computation --------------------------------------------------------------


def _is_to_be_parsed(e: Event) -> bool:
    """Whether JSON was expected of the answer; of a tool call alone nobody parses a text."""
    calls_alone = e.response.tool_calls and not (e.response.output or "").strip()
    return not e.error and e.request.expects == "json" and not calls_alone


def _usage(event: Event, name: str) -> Any:
    return getattr(event.usage, name) if event.usage else None


def _cost(event: Event) -> float | None:
    """The price; 0 for tokens is none."""
    usage = event.usage
    if usage is None or (usage.cost_usd == 0 and (usage.input_tokens or usage.output_tokens)):
        return None
    return usage.cost_usd


def _duration(event: Event) -> float | None:
    return event.timing.duration_ms if event.timing else None


def _first(event: Event) -> float | None:
    assert event.response is not None
    assert event.timing is not None
    return event.timing.time_to_first_token_ms if event.response.stream else None


SIDE_SUMS: dict[str, Callable[[Event], Any]] = {
    "requests": lambda e: 1,
    "served": lambda e: e.served,
    "errors": lambda e: e.error is not None,
    "timeouts": lambda e: e.error is not None and e.error.type == "timeout",
    "fallback_known": lambda e: e.fallback is not None,
    "finish_reason_known": lambda e: not e.error and bool(e.response.finish_reason),
    "fallbacks": lambda e: e.fallback is not None and e.fallback.used,
    "retries": lambda e: e.fallback.attempts - 1 if e.fallback else 0,
    "truncated": lambda e: not e.error and e.response.finish_reason == "length",
    "content_filtered": lambda e: not e.error and e.response.finish_reason == "content_filter",
    "texts": lambda e: not e.error and bool(e.response.output),
    "json_expected": lambda e: _is_to_be_parsed(e),
    "json_valid": lambda e: (
        not e.error and e.request.expects == "json" and e.response.output == '{"a": 1}'
    ),
    "tools_offered": lambda e: not e.error and bool(e.request.tools),
    "tools_called": lambda e: not e.error and bool(e.response.tool_calls),
    "duration_ms_count": lambda e: _duration(e) is not None,
    "duration_ms_sum": lambda e: _duration(e) or 0.0,
    "duration_ms_ln_sum": lambda e: (
        math.log(max(_duration(e), 1e-6)) if _has(_duration(e)) else 0.0
    ),
    "duration_ms_ln_squares": lambda e: (
        math.log(max(_duration(e), 1e-6)) ** 2 if _has(_duration(e)) else 0.0
    ),
    "time_to_first_token_ms_count": lambda e: _first(e) is not None,
    "time_to_first_token_ms_sum": lambda e: _first(e) or 0.0,
    "output_tokens_count": lambda e: _usage(e, "output_tokens") is not None,
    "input_tokens_sum": lambda e: _usage(e, "input_tokens") or 0,
    "output_tokens_sum": lambda e: _usage(e, "output_tokens") or 0,
    "output_tokens_squares": lambda e: (_usage(e, "output_tokens") or 0) ** 2,
    "model_requests": lambda e: 1,
    "unpriced": lambda e: _cost(e) is None and _usage(e, "cost_usd") is not None,
    "cost_usd_count": lambda e: _cost(e) is not None,
    "cost_usd_sum": lambda e: _cost(e) or 0.0,
    "cost_usd_squares": lambda e: (_cost(e) or 0.0) ** 2,
}  # type: ignore[union-attr]


def _has(value: float | None) -> bool:
    return value is not None


@pytest.mark.parametrize("name", SIDE_SUMS)
def test_side_sums_equal_a_plain_loop(name: str) -> None:
    row = row_of(sums_of(PAIRS))
    ticks_lost = len(PAIRS) * MS_TICK / 2
    for section, place in (("stable", 0), ("candidate", 1)):
        values = [SIDE_SUMS[name](pair[place]) for pair in PAIRS]
        found = getattr(getattr(row, section), name)
        if all(isinstance(value, int) for value in values):
            assert found == sum(values)
        else:
            assert found == pytest.approx(math.fsum(values), rel=1e-9, abs=ticks_lost)


def test_pair_sums_equal_a_plain_loop() -> None:
    pair = row_of(sums_of(PAIRS)).pair
    answered = [(a, b) for a, b in PAIRS if not a.error and not b.error]
    tokens = [
        (_usage(a, "output_tokens"), _usage(b, "output_tokens"))
        for a, b in answered
        if _has(_usage(a, "output_tokens")) and _has(_usage(b, "output_tokens"))
    ]
    ratios = [
        math.log(_duration(b) / _duration(a))  # type: ignore[operator]
        for a, b in answered
        if _duration(a) and _duration(b)
    ]
    costs = [(_cost(a), _cost(b)) for a, b in answered if _has(_cost(a)) and _has(_cost(b))]
    assert pair.pairs == len(PAIRS)
    assert pair.answered == len(answered)
    assert pair.output_tokens_count == len(tokens)
    assert pair.output_tokens_stable_sum == sum(a for a, _ in tokens)
    assert pair.output_tokens_stable_squares == sum(a * a for a, _ in tokens)
    assert pair.output_tokens_products == sum(a * b for a, b in tokens)
    assert pair.duration_ratio_count == len(ratios)
    assert pair.duration_ratio_ln_sum == pytest.approx(math.fsum(ratios), rel=1e-9)
    assert pair.duration_ratio_ln_squares == pytest.approx(math.fsum(r * r for r in ratios))
    assert sum(pair.duration_ratio_histogram.values()) == len(ratios)
    assert pair.cost_usd_count == len(costs)
    assert pair.cost_usd_products == pytest.approx(math.fsum(a * b for a, b in costs))
    assert pair.error_only_stable == sum(1 for a, b in PAIRS if a.error and not b.error)
    assert pair.error_only_candidate == sum(1 for a, b in PAIRS if b.error and not a.error)
    assert pair.error_both == sum(1 for a, b in PAIRS if a.error and b.error)
    expected_both = [
        (a.response.output == '{"a": 1}', b.response.output == '{"a": 1}')  # type: ignore[union-attr]
        for a, b in answered
        if _is_to_be_parsed(a) and _is_to_be_parsed(b)
    ]
    assert pair.json_expected_both == len(expected_both)
    assert pair.json_valid_only_stable == sum(1 for a, b in expected_both if a and not b)
    assert pair.json_valid_both == sum(1 for a, b in expected_both if a and b)


def test_models_count_the_requests_that_they_answered() -> None:
    row = row_of(sums_of(PAIRS))
    for section, place in (("stable", 0), ("candidate", 1)):
        models = Counter(pair[place].response.model for pair in PAIRS if pair[place].response)
        assert getattr(row, section).models == {k: v for k, v in models.items() if k}


def test_histograms_count_what_was_measured() -> None:
    row = row_of(sums_of(PAIRS))
    assert sum(row.stable.duration_ms_histogram.values()) == row.stable.duration_ms_count
    assert (
        sum(row.candidate.time_to_first_token_ms_histogram.values())
        == row.candidate.time_to_first_token_ms_count
    )
    assert sum(row.pair.similarity_histogram.values()) == row.pair.similarity_count
    assert list(row.stable.duration_ms_histogram) == sorted(row.stable.duration_ms_histogram)


# --- limits -----------------------------------------------------------------------------------

LIMIT_ROWS = 10_000


def test_ten_thousand_rows_at_every_limit_do_not_overflow() -> None:
    pair = _at_the_limits()
    part = columns_of([pair] * 2500)
    sums = WindowSums()
    for _ in range(LIMIT_ROWS // 2500):
        add_batch([sums], np.zeros(2500, np.int64), part)
    row = row_of(sums)
    tokens = 2**31 - 1
    for side in (row.stable, row.candidate):
        assert side.requests == LIMIT_ROWS
        assert side.input_tokens_sum == side.output_tokens_sum == LIMIT_ROWS * tokens
        assert side.output_tokens_squares == LIMIT_ROWS * tokens**2
        assert side.duration_ms_sum == LIMIT_ROWS * 604_800_000.0
        assert side.cost_usd_sum == LIMIT_ROWS * 1000.0
        assert side.cost_usd_squares == LIMIT_ROWS * 1e6
    assert row.pair.output_tokens_products == LIMIT_ROWS * tokens**2
    assert row.pair.cost_usd_products == LIMIT_ROWS * 1e6
    assert row.pair.duration_ratio_ln_sum == 0.0
    double = sums + sums
    assert row_of(double).stable.output_tokens_squares == 2 * LIMIT_ROWS * tokens**2


@pytest.mark.parametrize("pairs", [1, 2_500])
def test_windows_add_up_like_their_rows_at_every_limit(pairs: int) -> None:
    """Beyond 53 bits a quotient of floats is not the rounded quotient of whole numbers."""
    sums = sums_of([_at_the_limits()] * pairs)
    windows = [sums, WindowSums(), sums_of(random_pairs(seed=4, count=9)), *[sums] * 5]
    of_rows, of_windows = RowSums(), RowSums()
    for one in windows:
        of_rows.add(row_of(one))
    of_windows.add_windows(windows)
    assert repr(total_of_sums([of_windows])) == repr(total_of_sums([of_rows]))


def _at_the_limits() -> tuple[Event, Event]:
    usage = {"input_tokens": 2**31 - 1, "output_tokens": 2**31 - 1, "cost_usd": 1000}
    timing = {"duration_ms": 604_800_000, "time_to_first_token_ms": 604_800_000}
    stable, candidate = random_pairs(seed=9, count=1)[0]
    changes = {"usage": usage, "timing": timing, "error": None, "response": {"output": "x"}}

    def changed(event: Event) -> Event:
        fields = msgspec.json.decode(msgspec.json.encode(event))
        return msgspec.convert({**fields, **changes}, Event)

    return changed(stable), changed(candidate)


# --- rows --------------------------------------------------------------------------


def test_a_row_says_what_it_is_about() -> None:
    row = row_of(sums_of(PAIRS[:1]))
    assert (row.rollout_id, row.mode, row.language, row.workflow) == KEY[:4]
    assert row.window_start.isoformat() == "2025-01-01T00:00:00+00:00"
    assert (row.window_s, row.partition, row.version, row.closed) == (10, 2, 7, True)


def test_plain_counts_can_be_added_one_by_one() -> None:
    sums = WindowSums()
    sums.add_count("events_late", 2)
    sums.add_count("events_late", 1)
    sums.add_buckets("pair_similarity_histogram", [(100, 4)])
    row = row_of(sums)
    assert row.events.late == 3
    assert row.pair.similarity_histogram == {100: 4}


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        ([], 0),
        ([1.0, 0.0, 1.0], 2),
        ([0.5], 1),
        ([0.499_999_999], 0),
        ([0.0, 0.25, 0.5, 0.75, 1.0], 3),
    ],
)
def test_feedback_is_counted_and_its_scores_add_up_in_any_order(
    scores: list[float], positive: int
) -> None:
    for order in (scores, scores[::-1]):
        sums = WindowSums()
        for score in order:
            columns = WindowColumns()
            feedback_columns("candidate", np.array([score]), columns)
            add_batch([sums], np.zeros(1, np.int64), columns)
        side = row_of(sums).candidate
        assert (side.feedback_score_count, side.feedback_positive) == (len(scores), positive)
        assert side.feedback_score_sum == pytest.approx(sum(scores), abs=1e-9 * len(scores))
