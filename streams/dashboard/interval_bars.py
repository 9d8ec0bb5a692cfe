"""An interval beside its limit, as positions in a small drawing. Pure.

The drawing is 100 units wide whatever the measure. Nought, the limit and the interval fit into it;
an end that would not is cut and marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from understudy.schemas.decisions import Evidence
from understudy.schemas.fixed_sample import FixedSampleFinding

WIDTH: Final = 100.0
TEXT_WIDTH: Final = 40
"""Characters: what a phone shows on one line."""
_SPAN_OF_MARGINS: Final = 1.5
"""Margins either way of nought that always fit, so that rows of one page compare by eye."""
_FARTHEST: Final = 4.0
"""As many times the larger of estimate and margins: what lies beyond would press all else flat."""
_PADDING: Final = 0.04
"""Share of the span left free at each side, so that ends can be seen."""


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """Positions from 0 to `WIDTH`, harm growing to the right."""

    zero: float
    margin: float
    low: float
    high: float
    value: float
    is_cut_left: bool
    is_cut_right: bool

    @property
    def length(self) -> float:
        """Of the interval."""
        return round(self.high - self.low, 2)

    @property
    def beyond(self) -> float:
        """Length of what lies beyond the limit."""
        return round(WIDTH - self.margin, 2)


def interval_bar(one: Evidence | FixedSampleFinding) -> IntervalBar | None:
    """Return the drawing of a piece of evidence; None where there is no estimate."""
    if one.harm is None:
        return None
    low, high = one.interval
    reach = abs(one.harm_margin) * _SPAN_OF_MARGINS or abs(one.harm) or 1.0
    farthest = _FARTHEST * max(reach, abs(one.harm))
    ends = [end for end in (low, high) if end is not None and abs(end) < farthest]
    left, right = min(-reach, one.harm, *ends), max(reach, one.harm, *ends)
    span = right - left
    left, span = left - _PADDING * span, span * (1 + 2 * _PADDING)

    def place(value: float) -> float:
        return round(min(max((value - left) / span, 0.0), 1.0) * WIDTH, 2)

    return IntervalBar(
        zero=place(0.0),
        margin=place(one.harm_margin),
        low=0.0 if low is None else place(low),
        high=WIDTH if high is None else place(high),
        value=place(one.harm),
        is_cut_left=low is None or low < left,
        is_cut_right=high is None or high > left + span,
    )


def text_bar(bar: IntervalBar, width: int = TEXT_WIDTH) -> str:
    """Return the drawing in characters of equal width: nought `|`, limit `¦`, interval `━`."""

    def column(place: float) -> int:
        return min(width - 1, int(place / WIDTH * width))

    cells = [" "] * width
    cells[column(bar.zero)] = "|"
    low, high = column(bar.low), column(bar.high)
    cells[low : high + 1] = "━" * (high + 1 - low)
    if bar.is_cut_left:
        cells[low] = "◀"
    if bar.is_cut_right:
        cells[high] = "▶"
    cells[column(bar.margin)] = "¦"
    cells[column(bar.value)] = "●"
    return "".join(cells)
