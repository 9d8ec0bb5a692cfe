"""Numbers, limits and foreign text as people read them: one way for sentences and for tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.rollout_metrics import Limit, Metric

_ESCAPES: Final = ((0xFF, "\\x{:02x}"), (0xFFFF, "\\u{:04x}"), (0x10FFFF, "\\U{:08x}"))
"""By the largest character that a form can write."""
_SHARE_DIGITS: Final = 3
"""Significant ones of shares and their differences: more than any rollout's data can tell."""
_SIGNS: Final = {"max": "≤ ", "min": "≥ ", "max_increase": "≤ +", "max_drop": "≥ −"}


def format_count(number: int) -> str:
    """Return a whole number with its thousands set apart: `1,840`."""
    return f"{number:,}"


def format_duration(seconds: float) -> str:
    """Return `90 s`, `12 min` or `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def format_time(epoch_ms: int) -> str:
    """Return a time of day with its date, to the second."""
    return f"{from_epoch_ms(epoch_ms):%Y-%m-%d %H:%M:%S} UTC"


def format_percent(share: float | None) -> str:
    """Return a share of 1 in per cent: `1.2 %`; what is nearly all is not called all: `99.97 %`."""
    return "–" if share is None else f"{percentage(share)} %"


def percentage(share: float) -> str:
    """Return the same without the sign."""
    digits, rest = _SHARE_DIGITS, 1.0 - share
    if 0.0 < rest < 0.1:
        # Of 99.97 % the part that is missing tells, and needs two digits.
        digits = 1 - math.floor(math.log10(rest))
    return format_number(100 * share, digits)


def format_points(difference: float | None) -> str:
    """Return a difference of two shares: `2.1 points`."""
    if difference is None:
        return "–"
    number = format_number(100 * difference, _SHARE_DIGITS)
    return f"{number} point" if number == "1" else f"{number} points"


def format_number(number: float, digits: int) -> str:
    """Return a number with so many significant digits; without an exponent, whatever its size."""
    if not math.isfinite(number):
        return "–"
    magnitude = math.floor(math.log10(abs(number))) if number else 0
    decimals = max(0, digits - 1 - magnitude)
    text = f"{number:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def format_value(unit: str, value: float | None) -> str:
    """Return a value with its unit: `1.2 %`, `8.15 s`, `$0.0012`, `311`."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit == "share":
        return format_percent(value)
    if unit == "ms":
        seconds = abs(value) >= 1000
        return f"{format_number(value / 1000, 3)} s" if seconds else f"{format_number(value, 3)} ms"
    if unit == "usd":
        return f"{'−' if value < 0 else ''}${format_number(abs(value), 3)}"
    return format_number(value, 4)


def format_with_interval(
    written: Callable[[float], str], value: float, low: float, high: float
) -> str:
    """Return `44.1 points (95 % interval 41.2 to 46.9)`; without an end, the value alone."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return written(value)
    first = written(low).removesuffix(" %")
    ends = f"{_without_points(first)} to {_without_points(written(high))}"
    return f"{written(value)} (95 % interval {ends})"


def _without_points(text: str) -> str:
    return text.removesuffix(" points").removesuffix(" point")


def format_limit(
    metric: Metric, limit: Limit, value: float, *, relative: bool, floor: float = 0.0
) -> str:
    """Return a limit as a policy writes it: `≤ +0.5 pp`, `≤ 1 %`, `≥ 99 %`, `≤ +20 %`, `≤ 3x`."""
    if relative and metric.unit == "share":
        beyond = f" + {100 * floor:g} pp" if floor else ""
        return f"≤ {format_multiple(value)}{beyond}"
    return _SIGNS[limit] + format_limit_value(metric, limit, value, relative=relative)


def format_multiple(increase: float) -> str:
    """Return an increase as a multiple of stable's value: `3x`."""
    return f"{1.0 + increase:g}x"


def format_limit_value(metric: Metric, limit: Limit, value: float, *, relative: bool) -> str:
    """Return a limit without its direction: `0.5 pp`, `1 %`, `20 %`, `8 s`."""
    if relative:
        return f"{100 * value:g} %"
    if metric.unit == "share":
        in_points = is_in_points(metric, limit, relative=relative)
        return f"{100 * value:g} {'pp' if in_points else '%'}"
    return format_value(metric.unit, value)


def is_in_points(metric: Metric, limit: Limit, *, relative: bool) -> bool:
    """Return whether a limit is a difference of shares."""
    is_difference = limit in ("max_increase", "max_drop") or metric.kind == "excess"
    return metric.unit == "share" and is_difference and not relative


def printable(text: str) -> str:
    """Return text in which a character that cannot be seen is its number: `\\x1b`.

    Names and model outputs come from whoever writes events and policies. Escape sequences in them
    could move a terminal's cursor, and direction characters could turn the reading direction.
    """
    return text if text.isprintable() else "".join(map(_as_number, text))


def visible(text: str) -> str:
    """Return text of several lines, printable but for the line breaks."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def _as_number(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return next(form.format(code) for most, form in _ESCAPES if code <= most)
