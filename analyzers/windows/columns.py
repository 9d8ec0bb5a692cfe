"""From measures to the numbers that a window adds up: one array per column of the layout.

`NumberColumns` maps a column to an integer array (n,): counts as they are, sums in ticks,
products as (3, n) parts. `BucketColumns` maps a histogram to (rows, buckets).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from understudy.analyzers.compare.measures import (
    Bools,
    ControlMeasures,
    Floats,
    Ints,
    JsonState,
    PairMeasures,
    SideMeasures,
)
from understudy.analyzers.compare.ratios import comparable, ratio
from understudy.analyzers.windows.histogram import SMALLEST_VALUE, hundredths, log_bucket
from understudy.analyzers.windows.layout import PRODUCT_TICKS, SUM_TICKS
from understudy.analyzers.windows.moments import Ticks, product_limbs, to_ticks

POSITIVE_SCORE: Final = 0.5
"""A user's score from here on counts as satisfied: thumbs up is 1, the middle of five stars 0.5."""

_JSON_COLUMNS = {
    JsonState.VALID: "json_valid",
    JsonState.FENCED: "json_fenced",
    JsonState.TRUNCATED: "json_truncated",
    JsonState.TRAILING_TEXT: "json_trailing_text",
    JsonState.NOT_JSON: "json_not_json",
    JsonState.TOO_DEEP: "json_too_deep",
}


@dataclass(frozen=True, slots=True)
class WindowColumns:
    """What n compared rows add to their windows."""

    numbers: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    buckets: dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]] = field(default_factory=dict)

    def count(self, column: str, values: Bools | Ints) -> None:
        """Add a column of whole numbers (n,)."""
        self.numbers[column] = values.astype(np.int64)

    def measure(self, column: str, values: Floats) -> None:
        """Add a column of measured values (n,); NaN adds nothing."""
        self.numbers[column] = to_ticks(values, SUM_TICKS[column])

    def product(self, column: str, left: Floats, right: Floats) -> None:
        """Add a column of products (n,); NaN adds nothing."""
        tick = PRODUCT_TICKS[column]
        ticks: tuple[Ticks, Ticks] = (to_ticks(left, tick), to_ticks(right, tick))
        self.numbers[column] = np.stack(product_limbs(*ticks))

    def spread(
        self, column: str, values: Floats, known: Bools, scale: Callable[[Floats], Ints]
    ) -> None:
        """Add the known values (n,) to a histogram."""
        rows = np.flatnonzero(known)
        self.buckets[column] = (rows, scale(values[rows]))


def side_columns(prefix: str, side: SideMeasures, into: WindowColumns) -> None:
    """Add one side's measures under `stable_` or `candidate_`."""
    n = len(side)
    into.count(f"{prefix}_requests", np.ones(n, dtype=np.int64))
    for column, values in (
        ("served", side.served),
        ("errors", side.error),
        ("timeouts", side.timeout),
        ("fallbacks", side.fallback),
        ("retries", side.attempts - 1),
        ("truncated", side.truncated),
        ("content_filtered", side.content_filtered),
        ("texts", side.text),
        ("tools_offered", side.tools_offered),
        ("tools_called", side.tool_call_count > 0),
        ("tool_arguments_invalid", side.tool_arguments_invalid),
        ("language_checked", side.language_match >= 0),
        ("language_match", side.language_match == 1),
        ("json_schema_checked", side.json_schema_valid >= 0),
        ("json_schema_valid", side.json_schema_valid == 1),
    ):
        into.count(f"{prefix}_{column}", values)
    _json_columns(prefix, side, into)
    _time_columns(prefix, side, into)
    _usage_columns(prefix, side, into)


def feedback_columns(prefix: str, scores: Floats, into: WindowColumns) -> None:
    """Add what users thought of one side's answers; `scores` (n,) in [0, 1]."""
    into.count(f"{prefix}_feedbacks", np.ones(len(scores), dtype=np.int64))
    into.count(f"{prefix}_feedbacks_positive", scores >= POSITIVE_SCORE)
    into.measure(f"{prefix}_feedback_score_sum", scores)


def _json_columns(prefix: str, side: SideMeasures, into: WindowColumns) -> None:
    expected = side.json_state != JsonState.NOT_EXPECTED
    if not expected.any():
        return
    into.count(f"{prefix}_json_expected", expected)
    for state, column in _JSON_COLUMNS.items():
        into.count(f"{prefix}_{column}", side.json_state == state)


def _time_columns(prefix: str, side: SideMeasures, into: WindowColumns) -> None:
    duration, first = side.duration_ms, side.first_token_ms
    timed, started = ~np.isnan(duration), ~np.isnan(first)
    duration_ln = np.log(np.maximum(duration, SMALLEST_VALUE))
    into.count(f"{prefix}_durations", timed)
    into.measure(f"{prefix}_duration_ms_sum", duration)
    into.measure(f"{prefix}_duration_ln_sum", duration_ln)
    into.product(f"{prefix}_duration_ln_squares", duration_ln, duration_ln)
    into.spread(f"{prefix}_duration_ms_histogram", duration, timed, log_bucket)
    into.count(f"{prefix}_first_tokens", started)
    into.measure(f"{prefix}_first_token_ms_sum", first)
    into.spread(f"{prefix}_first_token_ms_histogram", first, started, log_bucket)


def _usage_columns(prefix: str, side: SideMeasures, into: WindowColumns) -> None:
    tokens = _known_tokens(side)
    into.count(f"{prefix}_usages", side.output_tokens >= 0)
    into.count(f"{prefix}_input_tokens", np.maximum(side.input_tokens, 0))
    into.count(f"{prefix}_output_tokens", np.maximum(side.output_tokens, 0))
    into.product(f"{prefix}_output_tokens_squares", tokens, tokens)
    into.count(f"{prefix}_costs", ~np.isnan(side.cost_usd))
    into.measure(f"{prefix}_cost_usd", side.cost_usd)
    into.product(f"{prefix}_cost_usd_squares", side.cost_usd, side.cost_usd)


def _known_tokens(side: SideMeasures) -> Floats:
    return np.where(side.output_tokens >= 0, side.output_tokens, np.nan)


def pair_columns(
    stable: SideMeasures, candidate: SideMeasures, pair: PairMeasures, into: WindowColumns
) -> None:
    """Add what n pairs tell, under `pair_`."""
    both = pair.answered
    into.count("pair_pairs", np.ones(len(pair), dtype=np.int64))
    for column, values in (
        ("answered", both),
        ("texts", pair.texts),
        ("identical", pair.identical),
        ("identical_folded", pair.identical_folded),
        ("json_compared", pair.json_compared),
        ("json_equal", pair.json_equal),
        ("json_differences", pair.json_difference_count),
        ("tool_calls_compared", pair.tool_calls_compared),
        ("tool_calls_match", pair.tool_calls_match),
        ("tool_names_match", pair.tool_names_match),
        ("finish_reason_match", pair.finish_reason_match),
    ):
        into.count(f"pair_{column}", values)
    _discordant_columns(stable, candidate, both, into)
    _similarity_columns("pair", pair.similarity, into)
    _ratio_columns("duration", stable.duration_ms, candidate.duration_ms, both, into)
    _ratio_columns("first_token", stable.first_token_ms, candidate.first_token_ms, both, into)
    _paired_usage_columns(stable, candidate, both, into)


def _discordant_columns(
    stable: SideMeasures, candidate: SideMeasures, both: Bools, into: WindowColumns
) -> None:
    """Count pairs in which a binary outcome holds on one side only."""
    expected = both & (stable.json_state > 0) & (candidate.json_state > 0)
    checked = both & (stable.json_schema_valid >= 0) & (candidate.json_schema_valid >= 0)
    spoken = both & (stable.language_match >= 0) & (candidate.language_match >= 0)
    into.count("pair_json_expected_both", expected)
    into.count("pair_json_schema_checked_both", checked)
    into.count("pair_language_checked_both", spoken)
    everywhere = np.ones(len(both), dtype=bool)
    for name, left, right, among in (
        ("error", stable.error, candidate.error, everywhere),
        ("fallback", stable.fallback, candidate.fallback, everywhere),
        ("truncated", stable.truncated, candidate.truncated, both),
        ("content_filtered", stable.content_filtered, candidate.content_filtered, both),
        ("json_valid", stable.json_state == 1, candidate.json_state == 1, expected),
        ("json_schema_valid", stable.json_schema_valid == 1, candidate.json_schema_valid == 1,
         checked),
        ("language_match", stable.language_match == 1, candidate.language_match == 1, spoken),
    ):  # fmt: skip
        into.count(f"pair_{name}_only_stable", left & ~right & among)
        into.count(f"pair_{name}_only_candidate", right & ~left & among)


def _similarity_columns(prefix: str, similarity: Floats, into: WindowColumns) -> None:
    known = ~np.isnan(similarity)
    into.count(f"{prefix}_similarities", known)
    into.measure(f"{prefix}_similarity_sum", similarity)
    into.spread(f"{prefix}_similarity_histogram", similarity, known, hundredths)


def _ratio_columns(
    name: str, stable: Floats, candidate: Floats, both: Bools, into: WindowColumns
) -> None:
    known = comparable(stable, candidate, both)
    ratios = np.where(known, ratio(stable, candidate), np.nan)
    ratio_ln = np.log(ratios)
    into.count(f"pair_{name}s", known)
    into.measure(f"pair_{name}_ratio_ln_sum", ratio_ln)
    into.product(f"pair_{name}_ratio_ln_squares", ratio_ln, ratio_ln)
    into.spread(f"pair_{name}_ratio_histogram", ratios, known, log_bucket)


def _paired_usage_columns(
    stable: SideMeasures, candidate: SideMeasures, both: Bools, into: WindowColumns
) -> None:
    for name, count, left, right in (
        ("output_tokens", "usages", _known_tokens(stable), _known_tokens(candidate)),
        ("cost_usd", "costs", stable.cost_usd, candidate.cost_usd),
    ):
        known = both & ~np.isnan(left) & ~np.isnan(right)
        left, right = np.where(known, left, 0.0), np.where(known, right, 0.0)
        into.count(f"pair_{count}", known)
        add = into.measure if f"pair_{name}_stable" in SUM_TICKS else into.count
        add(f"pair_{name}_stable", left)  # type: ignore[arg-type]
        add(f"pair_{name}_candidate", right)  # type: ignore[arg-type]
        into.product(f"pair_{name}_stable_squares", left, left)
        into.product(f"pair_{name}_candidate_squares", right, right)
        into.product(f"pair_{name}_products", left, right)


def control_columns(control: ControlMeasures, into: WindowColumns) -> None:
    """Add how stable differs from its second run, under `control_`."""
    into.count("control_pairs", np.ones(len(control), dtype=np.int64))
    for column, values in (
        ("answered", control.answered),
        ("texts", control.texts),
        ("identical", control.identical),
        ("identical_folded", control.identical_folded),
        ("json_compared", control.json_compared),
        ("json_equal", control.json_equal),
        ("tool_calls_compared", control.tool_calls_compared),
        ("tool_calls_match", control.tool_calls_match),
    ):
        into.count(f"control_{column}", values)
    _similarity_columns("control", control.similarity, into)
