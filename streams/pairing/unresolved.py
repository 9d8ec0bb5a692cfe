"""Requests that wait for a side: how many there are of each slice and window, and what is known.

What fails fast arrives first: until the other sides have come, the pairs of a window are not like
its requests. So the row of a window also says how many of its requests wait, for which side, and
how those that are there ended as far as an event alone tells it. Unlike all else in a row this is
no sum but a gauge, replaced by the next version.

A side that a later attempt may replace counts as missing. A request that has both its sides and
waits for its control, and one of which neither side is final, count as waiting for stable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from understudy.analyzers.compare.error_sources import failed_itself
from understudy.analyzers.compare.language_tags import UNDETERMINED
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.schemas.events import CANDIDATE, PAIR, STABLE, Event
from understudy.schemas.measures import EARLY_OUTCOMES, awaiting, awaiting_known
from understudy.schemas.window_measures import UnresolvedCounts
from understudy.streams.pairing.join import RequestSides, Wait
from understudy.streams.pairing.request_language import waiting_language

_HAPPENED: Final[Mapping[str, Callable[[Event], bool]]] = {
    "error": failed_itself,
    "fallback": lambda event: event.fallback is not None and bool(event.fallback.used),
}
"""How an event tells the outcomes that are declared to be known early."""


_NAMES: Final = {
    missing: (
        (awaiting(missing),),
        [(awaiting_known(missing, one), _HAPPENED[one.name]) for one in EARLY_OUTCOMES],
    )
    for missing in ("stable", "candidate")
}
"""By the side that is missing: the count of requests, and those of early outcomes."""
_NOWHERE: Final = Wait(SliceKey("", "", UNDETERMINED, "", 0), ())
"""Sides that are alone by design wait for a further attempt, not for a partner."""


def unresolved_requests(
    waiting: Iterable[RequestSides], watermark_ms: int, window_ms: int
) -> dict[SliceKey, UnresolvedCounts]:
    """Count the requests that wait, by slice and window."""
    waits = Counter([one.wait or _wait_of(one, watermark_ms, window_ms) for one in waiting])
    waits.pop(_NOWHERE, None)
    by_slice: dict[SliceKey, UnresolvedCounts] = {}
    for wait, requests in waits.items():
        gauge = by_slice.setdefault(wait.slice, UnresolvedCounts())
        for name in wait.counts:
            setattr(gauge, name, getattr(gauge, name) + requests)
    return by_slice


def _wait_of(request: RequestSides, watermark_ms: int, window_ms: int) -> Wait:
    """Where a request counts; noted at the request unless event time alone may change it."""
    if request.wanted & PAIR != PAIR:
        wait = _NOWHERE
    else:
        start_ms = request.request_time_ms - request.request_time_ms % window_ms
        wait = Wait(waiting_slice(request, start_ms), _counts(request, watermark_ms))
    if not request.open_until_ms:
        request.wait = wait
    return wait


def waiting_slice(request: RequestSides, window_start_ms: int) -> SliceKey:
    """The slice that a request belongs to while a side is missing."""
    first = request.first or next(iter(request.sides.values())).event
    if not request.language:
        request.language = waiting_language(first)
    workflow = first.workflow or ""
    return SliceKey(first.rollout_id, first.mode, request.language, workflow, window_start_ms)


def _counts(request: RequestSides, watermark_ms: int) -> tuple[str, ...]:
    """The counts of the gauge that a request adds one to."""
    stable = _known(request, STABLE, watermark_ms)
    candidate = _known(request, CANDIDATE, watermark_ms)
    if stable is not None and candidate is None:
        return _with_outcomes("candidate", stable)
    return _with_outcomes("stable", candidate)


def _known(request: RequestSides, bit: int, watermark_ms: int) -> Event | None:
    """A side that is there, unless a later attempt may replace it."""
    side = request.sides.get(bit)
    if side is None or request.open_until_ms.get(bit, watermark_ms) > watermark_ms:
        return None
    return side.event


def _with_outcomes(missing: str, other: Event | None) -> tuple[str, ...]:
    """The counts of a request that waits for a side, with what is known of the other one."""
    waits, named = _NAMES[missing]
    if other is None:
        return waits
    happened = [name for name, has_happened in named if has_happened(other)]
    return (*waits, *happened) if happened else waits
