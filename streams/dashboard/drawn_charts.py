"""Charts as drawings, for files that no script may open: lines and ticks in SVG units. Pure."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.formatting import format_number
from understudy.streams.dashboard.charts import Chart, Role

WIDTH: Final = 640.0
HEIGHT: Final = 200.0
LEFT: Final = 64.0
"""Room for the numbers of the vertical axis: `+12.5 pp` in the smallest type."""
RIGHT: Final = 12.0
TOP: Final = 8.0
BOTTOM: Final = 26.0
"""Room for the numbers of the horizontal axis."""
_MOST_TICKS: Final = 6
"""More would crowd a chart of this width."""
_STEPS_S: Final = (
    1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
    172_800, 604_800,
)  # fmt: skip
"""Steps of a clock and a calendar that people count in."""
_DIGITS: Final = 3
_LEAST_SPAN: Final = 1e-100
"""Smaller ones have no room for six steps among floating point numbers."""
_LEAST_SHARE: Final = 1e-9
"""Likewise, of the larger end."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A number at its place on an axis."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line as the path of an SVG element."""

    label: str
    role: Role
    path: str


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart in a box of `WIDTH` by `HEIGHT`."""

    title: str
    spoken: str
    lines: list[DrawnLine]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to places. A logarithmic axis has no place for what is not positive."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float | None:
        if self.is_log and value <= 0.0:
            return None
        low, high, at = (
            map(math.log10, (self.low, self.high, value)) if self.is_log
            else (self.low, self.high, value)
        )  # fmt: skip
        share = (at - low) / (high - low)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


def drawn(chart: Chart) -> DrawnChart:
    """Return the drawing of a chart. Values beyond its range stay at the edge."""
    x_axis = _axis(chart.x, LEFT, WIDTH - RIGHT, is_log=chart.x_axis == "log")
    values = [value for line in chart.lines for value in line.values if value is not None]
    is_log = chart.y_axis == "log"
    if chart.y_range is None and not is_log:
        values.append(0.0)
    y_axis = _axis(chart.y_range or values, HEIGHT - BOTTOM, TOP, is_log=is_log)
    is_time = chart.x_axis == "time"
    return DrawnChart(
        title=chart.title,
        spoken=chart.spoken,
        lines=[
            DrawnLine(line.label, line.role, _path(x_axis, y_axis, chart.x, line.values))
            for line in chart.lines
        ],
        x_ticks=_time_ticks(x_axis) if is_time else _ticks(x_axis, "s"),
        y_ticks=_ticks(y_axis, chart.unit),
    )


def _axis(values: Iterable[float], start: float, end: float, *, is_log: bool) -> _Axis:
    known = [value for value in values if not is_log or value > 0.0]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if is_log:
        low, high = low or 0.1, high or 1.0
        high = high if _is_wide(low, high) else 10.0 * low
        return _Axis(low, high, start, end, is_log=True)
    reach = max(abs(low), 1.0)
    return _Axis(low, high if _is_wide(low, high) else low + reach, start, end)


def _is_wide(low: float, high: float) -> bool:
    """Return whether numbers of a few digits tell the ends of a range apart."""
    return high - low > max(_LEAST_SPAN, _LEAST_SHARE * max(abs(low), abs(high)))


def _path(x_axis: _Axis, y_axis: _Axis, x: Sequence[float], y: Sequence[float | None]) -> str:
    """Return the path: a gap begins a new piece."""
    parts, is_drawing = [], False
    for at, value in zip(x, y, strict=True):
        left, top = x_axis.place(at), None if value is None else y_axis.place(value)
        if left is None or top is None:
            is_drawing = False
            continue
        parts.append(f"{'L' if is_drawing else 'M'}{left:g} {top:g}")
        is_drawing = True
    return "".join(parts)


def _ticks(axis: _Axis, unit: str) -> list[Tick]:
    values = _decades(axis) if axis.is_log else _round_numbers(axis.low, axis.high)
    suffix = f" {unit}" if unit else ""
    return [
        Tick(place, f"{format_number(value, _DIGITS)}{suffix}".replace("-", "−"))
        for value in values
        if (place := axis.place(value)) is not None
    ]


def _round_numbers(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _decades(axis: _Axis) -> list[float]:
    """Return powers of ten, every so many of them; with 2 and 5 between where there are few."""
    first, last = math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high))
    if last - first >= 2:
        every = -(-(last - first + 1) // _MOST_TICKS)
        return [10.0**power for power in range(first, last + 1, every)]
    fine = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    return [value for value in fine if axis.low <= value <= axis.high]


def _time_ticks(axis: _Axis) -> list[Tick]:
    """Return times of day, UTC, with the date on the first one and where a day begins."""
    span_s = axis.high - axis.low
    weeks = math.ceil(span_s / _MOST_TICKS / _STEPS_S[-1])
    step = next((one for one in _STEPS_S if span_s / one <= _MOST_TICKS), weeks * _STEPS_S[-1])
    first = math.ceil(axis.low / step)
    found = []
    for number in range(first, math.floor(axis.high / step) + 1):
        at = dt.datetime.fromtimestamp(number * step, dt.UTC)
        clock = f"{at:%H:%M:%S}" if step < 60 else f"{at:%H:%M}"
        is_day = number == first or clock.startswith("00:00")
        text = f"{at:%d %b} {clock}" if is_day else clock
        place = axis.place(number * step)
        if place is not None:
            found.append(Tick(place, text))
    return found
