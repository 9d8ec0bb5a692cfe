"""Looks at the models of rollouts now and then: whether they answer as they did.

What is found is held in memory for the worker's metrics and logged when it begins and when it ends.
Every worker that pairs looks, so that no look depends on one of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, NamedTuple

import structlog

from understudy.analyzers.drift.periods import RECENT_HOURS, periods_of
from understudy.analyzers.drift.side_drift import SideDrift, drift_of
from understudy.schemas.events import Side
from understudy.streams.clickhouse.hourly_evaluations import hourly_evaluations
from understudy.streams.clickhouse.hourly_traffic import (
    SIDES,
    hourly_sums,
    hours_of_side,
    recent_rollouts,
)
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkError

log = structlog.get_logger(__name__)

FIRST_LOOK_S: Final = 60.0
"""After the worker began: it has more urgent things to do then."""


class SideLook(NamedTuple):
    """One look at one side."""

    side: Side
    hours: int
    """Of its traffic, up to the look."""
    drift: SideDrift | None
    """None where there is too little traffic to tell."""


def look_at(
    connection: ReadConnection,
    rollout_id: str,
    side: Side,
    *,
    until: int | None = None,
    recent: int = RECENT_HOURS,
    reference: int | None = None,
) -> SideLook:
    """Look at a side as of an hour since 1970, else as of its newest one.

    `recent` and `reference` are lengths in hours. Raises `SinkBusy` and `SinkBroken`.
    """
    span = hours_of_side(connection, rollout_id, side)
    if span is None:
        return SideLook(side, 0, None)
    end = span.end if until is None else min(until, span.end)
    periods = periods_of(side, span.start, end, recent=recent, reference=reference)
    hours = max(0, end - span.start)
    if periods is None:
        return SideLook(side, hours, None)
    sums = hourly_sums(connection, rollout_id, side, periods)
    judged = hourly_evaluations(connection, rollout_id, side, periods)
    return SideLook(side, hours, drift_of(sums.joined(judged), periods))


def look_repeatedly(
    look: Callable[[ReadConnection], None], open_connection: Callable[[], ReadConnection],
    interval_s: float, stop: threading.Event,
) -> None:  # fmt: skip
    """Look every so many seconds until the event is set; what fails is tried again then."""
    wait_s = min(FIRST_LOOK_S, interval_s)
    while not stop.wait(wait_s):
        wait_s = interval_s
        with closing(open_connection()) as connection:
            try:
                look(connection)
            except SinkError as error:
                log.warning("drift.failed", error=str(error))


class DriftWatch:
    """The newest look at each side of each rollout that has traffic."""

    def __init__(self) -> None:
        self.looks: Mapping[tuple[str, Side], SideDrift] = {}
        """Replaced as a whole, so another thread may read it."""
        self.looked_at_s: float | None = None
        """Of the monotonic clock, when all rollouts had been looked at."""

    def run(
        self, open_connection: Callable[[], ReadConnection], interval_s: float,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        """Look every so many seconds until the event is set, see `look_repeatedly`."""
        look_repeatedly(self.look, open_connection, interval_s, stop)

    def look(self, connection: ReadConnection) -> None:
        """Look at all rollouts once. Raises `SinkBusy` and `SinkBroken`."""
        found: dict[tuple[str, Side], SideDrift] = {}
        for rollout_id in recent_rollouts(connection):
            for side in SIDES:
                drift = look_at(connection, rollout_id, side).drift
                if drift is not None:
                    found[rollout_id, side] = drift
        self._log(found)
        self.looks = found
        self.looked_at_s = time.monotonic()

    def _log(self, found: Mapping[tuple[str, Side], SideDrift]) -> None:
        before = {key for key, drift in self.looks.items() if drift.alerts}
        now = {key for key, drift in found.items() if drift.alerts}
        for rollout_id, side in sorted(now - before):
            drift = found[rollout_id, side]
            log.warning(
                "drift.found", rollout_id=rollout_id, side=side,
                metrics=sorted({one.metric.name for one in drift.alerts}),
                languages=sorted({one.language for one in drift.alerts if one.language}),
                prompt_tokens_change=drift.prompt_tokens_change,
            )  # fmt: skip
        for rollout_id, side in sorted(before - now):
            log.info("drift.ended", rollout_id=rollout_id, side=side)
