"""Where each measure of a window row stands in a vector of integers.

A vector holds all counts, all sums in ticks and, for squares and products, their three parts
(see `moments`). Adding vectors is adding rows. The layout follows the contract in
`understudy.schemas.windows`: a measure missing here fails at import.
"""

from __future__ import annotations

from typing import Final, get_type_hints

from understudy.analyzers.windows.moments import (
    COST_USD_TICK,
    DURATION_MS_TICK,
    LN_TICK,
    SCORE_TICK,
    SIMILARITY_TICK,
    TOKEN_TICK,
)
from understudy.schemas.windows import SECTIONS

_SIDE_SUMS: Final = {
    "duration_ms_sum": DURATION_MS_TICK,
    "duration_ln_sum": LN_TICK,
    "first_token_ms_sum": DURATION_MS_TICK,
    "cost_usd": COST_USD_TICK,
    "feedback_score_sum": SCORE_TICK,
}
_SIDE_PRODUCTS: Final = {
    "duration_ln_squares": LN_TICK,
    "output_tokens_squares": TOKEN_TICK,
    "cost_usd_squares": COST_USD_TICK,
}
SUM_TICKS: Final[dict[str, float]] = {
    **{f"stable_{name}": tick for name, tick in _SIDE_SUMS.items()},
    **{f"candidate_{name}": tick for name, tick in _SIDE_SUMS.items()},
    "pair_similarity_sum": SIMILARITY_TICK,
    "pair_duration_ratio_ln_sum": LN_TICK,
    "pair_first_token_ratio_ln_sum": LN_TICK,
    "pair_cost_usd_stable": COST_USD_TICK,
    "pair_cost_usd_candidate": COST_USD_TICK,
    "control_similarity_sum": SIMILARITY_TICK,
}
"""Column to tick of the sums of measured values; a count has the tick 1 and is not listed."""

PRODUCT_TICKS: Final[dict[str, float]] = {
    **{f"stable_{name}": tick for name, tick in _SIDE_PRODUCTS.items()},
    **{f"candidate_{name}": tick for name, tick in _SIDE_PRODUCTS.items()},
    "pair_duration_ratio_ln_squares": LN_TICK,
    "pair_first_token_ratio_ln_squares": LN_TICK,
    "pair_output_tokens_stable_squares": TOKEN_TICK,
    "pair_output_tokens_candidate_squares": TOKEN_TICK,
    "pair_output_tokens_products": TOKEN_TICK,
    "pair_cost_usd_stable_squares": COST_USD_TICK,
    "pair_cost_usd_candidate_squares": COST_USD_TICK,
    "pair_cost_usd_products": COST_USD_TICK,
}
"""Column to tick of the factors; the product's unit is the tick squared."""


def _columns() -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """All (column, section, field) that are numbers, and the columns that are histograms."""
    numbers: list[tuple[str, str, str]] = []
    histograms: list[str] = []
    for section, record in SECTIONS.items():
        hints = get_type_hints(record)
        for field in record.__struct_fields__:
            column = f"{section}_{field}"
            if hints[field] in (int, float):
                numbers.append((column, section, field))
            else:
                histograms.append(column)
    return numbers, tuple(histograms)


NUMBERS, HISTOGRAMS = _columns()
"""Every number of a row as (column, section, field); every histogram as column."""


def _slots() -> dict[str, int]:
    """First place of each column in the vector; a product takes three."""
    slots: dict[str, int] = {}
    place = 0
    for column, _, _ in NUMBERS:
        slots[column] = place
        place += 3 if column in PRODUCT_TICKS else 1
    slots[""] = place
    return slots


SLOTS: Final = _slots()
VECTOR_LENGTH: Final = SLOTS.pop("")

_unknown = (SUM_TICKS.keys() | PRODUCT_TICKS.keys()) - SLOTS.keys()
if _unknown:
    raise ValueError(f"the layout names columns that the contract lacks: {sorted(_unknown)}")
_floats_without_tick = {
    column
    for column, section, field in NUMBERS
    if get_type_hints(SECTIONS[section])[field] is float
} - (SUM_TICKS.keys() | PRODUCT_TICKS.keys())
if _floats_without_tick:
    raise ValueError(f"these columns need a tick: {sorted(_floats_without_tick)}")
