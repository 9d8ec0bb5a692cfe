"""What was found of a side, in words and numbers for people."""

from __future__ import annotations

import math
from typing import Final

from understudy.analyzers.drift.periods import FEWEST_REFERENCE_HOURS, MS_OF_HOUR, Hours
from understudy.analyzers.drift.side_drift import DriftFinding, SideDrift
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_number,
    format_points,
    format_value,
)
from understudy.schemas.event_time import from_epoch_ms

_NOTABLE: Final = 0.1
"""Of the prompts' own length: a tenth longer answers may then be the prompts'."""


def summary(drift: SideDrift | None, hours: int) -> str:
    """Return what is to be said of a side with so many hours of traffic, as a sentence."""
    if not hours:
        return "There are no requests."
    if drift is None:
        there = "is 1 hour" if hours == 1 else f"are {hours} hours"
        return (
            f"There {there} of traffic, and nothing can be said below "
            f"{FEWEST_REFERENCE_HOURS} hours before the recent ones."
        )
    return f"{_found(drift)}{_of_prompts(drift)}{_left_out(drift.left_out)}"


def _found(drift: SideDrift) -> str:
    tested = len({one.metric.name for one in drift.findings})
    if not tested:
        return "Nothing could be compared."
    if not drift.alerts:
        return f"Nothing of {tested} metrics has changed by more than days differ by themselves."
    names = dict.fromkeys(one.metric.title for one in drift.alerts)
    return f"Changed: {', '.join(names)}."


def _left_out(number: int) -> str:
    if not number:
        return ""
    more = (
        "is 1 more combination of language and workflow, with fewer requests, which was"
        if number == 1
        else f"are {format_count(number)} more combinations of language and workflow, with fewer "
        "requests, which were"
    )
    return f" There {more} not compared."


def _of_prompts(drift: SideDrift) -> str:
    changed = drift.prompt_tokens_change
    if not drift.alerts or changed is None or abs(changed) < _NOTABLE:
        return ""
    return f" Prompts have changed by {_relative(changed)} of their length, too."


def compared_periods(drift: SideDrift) -> str:
    """Return which hours were compared."""
    recent, reference = drift.periods.recent, drift.periods.reference
    return f"{_span(recent)} against {_span(reference)}, UTC"


def values(one: DriftFinding) -> tuple[str, str]:
    """Return a metric's value before and now."""
    unit = one.metric.unit
    return format_value(unit, one.before), format_value(unit, one.after)


def change(one: DriftFinding) -> str:
    """Return by how much it changed, with the interval."""
    low, high = one.interval
    write = _relative if one.is_relative else format_points
    return f"{write(one.change)} ({write(low)} to {write(high)})"


def _relative(share: float) -> str:
    if not math.isfinite(share):
        return "–"
    return f"{'+' if share >= 0 else '−'}{format_number(100 * abs(share), 3)} %"


def _span(hours: Hours) -> str:
    return f"{_time(hours.start)} to {_time(hours.end)}"


def _time(hour: int) -> str:
    return f"{from_epoch_ms(hour * MS_OF_HOUR):%Y-%m-%d %H:%M}"
