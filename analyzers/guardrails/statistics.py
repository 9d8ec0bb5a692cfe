"""What a check reads off a window row: whole numbers that add up.

Three layouts, one for each kind of test. Differences of two versions of a row, and sums over rows,
are again such numbers. Durations of answers that timed out without telling one count as longer
than any limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from understudy.analyzers.windows.moments import COST_USD_TICK, TOKEN_TICK
from understudy.schemas.events import PAIRED_MODES
from understudy.schemas.windows import SideSums, WindowRow

Reading = tuple[int, ...]
Reader = Callable[[WindowRow], Reading]

BINARY_WIDTH: Final = 8
"""Pairs, stable alone bad, candidate alone bad; candidate units, bad ones as rollback and as
promotion count them; stable units, bad."""
LIMIT_WIDTH: Final = 3
"""Units, bad ones as rollback and as promotion count them."""
MEAN_WIDTH: Final = 12
"""Pairs, Σc, Σs, Σc², Σcs, Σs² in ticks; candidate units, Σc, Σc²; stable units, Σs, Σs²."""

TICKS: Final[Mapping[str, float]] = {
    "cost_usd": COST_USD_TICK,
    "output_tokens": TOKEN_TICK,
    "similarity_excess": 1.0 / 200.0,
}
"""Metric to the size of the whole numbers that its means are read in."""


def is_paired(row: WindowRow) -> bool:
    """Whether both sides of each request were compared."""
    return row.mode in PAIRED_MODES


# Yes or no

_RATES: Final[Mapping[str, tuple[str, str, bool, str, str]]] = {
    "error_rate": ("requests", "errors", True, "pairs", "error"),
    "fallback_rate": ("requests", "fallbacks", True, "pairs", "fallback"),
    "truncation_rate": ("requests", "truncated", True, "answered", "truncated"),
    "json_valid_rate": ("json_expected", "json_valid", False, "json_expected_both", "json_valid"),
    "json_schema_valid_rate": (
        "json_schema_checked", "json_schema_valid", False,
        "json_schema_checked_both", "json_schema_valid",
    ),
    "language_match_rate": (
        "language_checked", "language_match", False, "language_checked_both", "language_match",
    ),
    "feedback": ("feedbacks", "feedbacks_positive", False, "", ""),
}  # fmt: skip
"""Metric: a side's units, its count, whether that count is bad; units of pairs, name of the
discordant counts. Without these the sides are never paired: two users' opinions are two arms."""


def rate_reader(metric: str) -> Reader:
    """Reads a rate of both sides: discordant pairs, or two arms."""
    _, _, bad, pairs, name = _RATES[metric]

    def read(row: WindowRow) -> Reading:
        if pairs and is_paired(row):
            only_stable: int = getattr(row.pair, f"{name}_only_stable")
            only_candidate: int = getattr(row.pair, f"{name}_only_candidate")
            alone = (only_stable, only_candidate) if bad else (only_candidate, only_stable)
            return (getattr(row.pair, pairs), *alone, 0, 0, 0, 0, 0)
        candidate, stable = _side(metric, row.candidate), _side(metric, row.stable)
        return (0, 0, 0, candidate[0], candidate[1], candidate[1], *stable)

    return read


def rate_limit_reader(metric: str) -> Reader:
    """Reads a rate of the candidate alone."""

    def read(row: WindowRow) -> Reading:
        units, bad = _side(metric, row.candidate)
        return units, bad, bad

    return read


def _side(metric: str, side: SideSums) -> tuple[int, int]:
    """Units and bad ones of one side."""
    units_name, count_name, bad, _, _ = _RATES[metric]
    units: int = getattr(side, units_name)
    count: int = getattr(side, count_name)
    return units, count if bad else units - count


def agreement_reader(row: WindowRow) -> Reading:
    """Tool calls: the candidate's agreement with stable, and stable's with its second run."""
    pair, control = row.pair, row.control
    changed = pair.tool_calls_compared - pair.tool_calls_match
    noise = control.tool_calls_compared - control.tool_calls_match
    return (0, 0, 0, pair.tool_calls_compared, changed, changed, control.tool_calls_compared, noise)


def agreement_limit_reader(row: WindowRow) -> Reading:
    """Tool calls: how often the candidate's differ from stable's."""
    changed = row.pair.tool_calls_compared - row.pair.tool_calls_match
    return row.pair.tool_calls_compared, changed, changed


def unmatched_reader(row: WindowRow) -> Reading:
    """Requests of which one side never came, among those with both or one."""
    lost = row.events.unmatched_stable + row.events.unmatched_candidate
    return (row.pair.pairs + lost, lost, lost) if is_paired(row) else (0, 0, 0)


# Times


def times(measure: str, side: SideSums) -> tuple[Mapping[int, int], int]:
    """Histogram of a measure, and how many timed out without telling how long it took."""
    if measure == "time_to_first_token":
        return side.first_token_ms_histogram, 0
    untold = min(side.timeouts, side.requests - side.durations)
    return side.duration_ms_histogram, untold


def exceeding(measure: str, side: SideSums, bucket: int) -> tuple[int, int]:
    """Units of a side and those above the upper edge of a bucket."""
    histogram, untold = times(measure, side)
    above = sum(count for index, count in histogram.items() if index > bucket)
    return sum(histogram.values()) + untold, above + untold


def time_limit_reader(measure: str, rollback_bucket: int, promotion_bucket: int) -> Reader:
    """Reads how often the candidate takes longer than a limit, rounded either way."""

    def read(row: WindowRow) -> Reading:
        units, above = exceeding(measure, row.candidate, rollback_bucket)
        return units, above, exceeding(measure, row.candidate, promotion_bucket)[1]

    return read


def tail_reader(
    measure: str, reference: int, rollback_bucket: int, promotion_bucket: int
) -> Reader:
    """Reads how often each side exceeds its threshold, as two arms."""

    def read(row: WindowRow) -> Reading:
        units, above = exceeding(measure, row.candidate, rollback_bucket)
        below = exceeding(measure, row.candidate, promotion_bucket)[1]
        return (0, 0, 0, units, above, below, *exceeding(measure, row.stable, reference))

    return read


# Means


def mean_reader(metric: str) -> Reader:
    """Reads sums, squares and products of cost or tokens in whole ticks."""
    return _cost if metric == "cost_usd" else _tokens


def _cost(row: WindowRow) -> Reading:
    pair, ticks, squares = row.pair, 1.0 / COST_USD_TICK, 1.0 / COST_USD_TICK**2
    if is_paired(row):
        return (
            pair.costs,
            round(pair.cost_usd_candidate * ticks),
            round(pair.cost_usd_stable * ticks),
            round(pair.cost_usd_candidate_squares * squares),
            round(pair.cost_usd_products * squares),
            round(pair.cost_usd_stable_squares * squares),
            *(0,) * 6,
        )
    arms = [
        (side.costs, round(side.cost_usd * ticks), round(side.cost_usd_squares * squares))
        for side in (row.candidate, row.stable)
    ]
    return (*(0,) * 6, *arms[0], *arms[1])


def _tokens(row: WindowRow) -> Reading:
    pair = row.pair
    if is_paired(row):
        return (
            pair.usages,
            pair.output_tokens_candidate,
            pair.output_tokens_stable,
            pair.output_tokens_candidate_squares,
            pair.output_tokens_products,
            pair.output_tokens_stable_squares,
            *(0,) * 6,
        )
    arms = [
        (side.usages, side.output_tokens, side.output_tokens_squares)
        for side in (row.candidate, row.stable)
    ]
    return (*(0,) * 6, *arms[0], *arms[1])


def mean_limit_reader(metric: str) -> Reader:
    """Reads the candidate's own sums as if it were paired with nothing."""

    def read(row: WindowRow) -> Reading:
        side = row.candidate
        if metric == "output_tokens":
            own = side.usages, side.output_tokens, side.output_tokens_squares
        else:
            ticks = 1.0 / COST_USD_TICK
            own = side.costs, round(side.cost_usd * ticks), round(side.cost_usd_squares * ticks**2)
        return (own[0], own[1], 0, own[2], *(0,) * 8)

    return read


def excess_reader(row: WindowRow) -> Reading:
    """Disagreement with stable of the candidate and of stable's second run, in two-hundredths.

    Only pairs count towards either arm; a bin stands for its middle, and equal texts for 0.
    """
    arms = [
        _disagreement(histogram)
        for histogram in (row.pair.similarity_histogram, row.control.similarity_histogram)
    ]
    return (*(0,) * 6, *arms[0], *arms[1])


def _disagreement(histogram: Mapping[int, int]) -> tuple[int, int, int]:
    """Units, sum and squares of 200 · (1 - similarity)."""
    values = [(max(0, 199 - 2 * bucket), count) for bucket, count in histogram.items()]
    return (
        sum(count for _, count in values),
        sum(value * count for value, count in values),
        sum(value**2 * count for value, count in values),
    )
