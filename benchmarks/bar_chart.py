"""Bars of figures before and now as an SVG drawing, which needs no package and shows anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

_LABELS: Final = 210
"""Pixels for the names of rows, the longest of which has some thirty characters."""
_BARS: Final = 420
_NUMBERS: Final = 70
"""For the number behind the longest bar."""
_BAR: Final = 11
_ROW: Final = 2 * _BAR + 14
_TITLE: Final = 34
_COLORS: Final = ("#9aa5b1", "#2f6fde")
"""Of before and now; both stand out from a white page and from a dark one."""
_TEXT: Final = "#768390"
"""Read on both as well."""


class Bars(NamedTuple):
    """What two revisions need for the same."""

    label: str
    before: float
    now: float


class Panel(NamedTuple):
    """Bars that share a scale."""

    title: str
    bars: Sequence[Bars]


def drawing(panels: Sequence[Panel], names: tuple[str, str]) -> str:
    """Return the panels one below the other, with a legend of the two names."""
    parts, top = list(_legend(names)), 30
    for panel in panels:
        parts += _panel(panel, top)
        top += _TITLE + _ROW * len(panel.bars)
    width = _LABELS + _BARS + _NUMBERS
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 10}" '
        f'width="{width}" font-family="sans-serif" font-size="12" fill="{_TEXT}">'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _legend(names: tuple[str, str]) -> Iterator[str]:
    for place, (name, color) in enumerate(zip(names, _COLORS, strict=True)):
        left = _LABELS + place * 160
        yield f'<rect x="{left}" y="8" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{left + 18}" y="18">{escape(name)}</text>'


def _panel(panel: Panel, top: int) -> Iterator[str]:
    yield f'<text x="0" y="{top + 20}" font-weight="bold">{escape(panel.title)}</text>'
    most = max((max(bar.before, bar.now) for bar in panel.bars), default=0.0) or 1.0
    for row, bar in enumerate(panel.bars):
        y = top + _TITLE + row * _ROW
        yield f'<text x="{_LABELS - 8}" y="{y + _BAR + 4}" text-anchor="end">' + (
            f"{escape(bar.label)}</text>"
        )
        for place, value in enumerate((bar.before, bar.now)):
            yield from _bar(value, value / most * _BARS, y + place * _BAR, _COLORS[place])


def _bar(value: float, width: float, y: int, color: str) -> Iterator[str]:
    end = f"{_LABELS + width + 4:.1f}"
    yield f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR - 1}" fill="{color}"/>'
    yield f'<text x="{end}" y="{y + _BAR - 2}" font-size="10">{_number(value)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
