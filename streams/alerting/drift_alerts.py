"""Looks for drift of the rollouts whose decisions this worker delivers, and notifies of it.

One worker looks at a rollout: the one that has the partition of its decisions. What is found is
kept in memory: of a rollout that is new to a worker, what had changed a day before counts as told,
and what changed since is told, perhaps again.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import structlog

from understudy.analyzers.drift.change_sentences import compared_periods, summary
from understudy.analyzers.drift.periods import HOURS_OF_DAY, MS_OF_HOUR
from understudy.analyzers.drift.side_drift import SideDrift
from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.events import Side
from understudy.streams.alerting.alarms import DRIFT, Alarm
from understudy.streams.alerting.delivery import Delivery
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.clickhouse.drift_watch import FIRST_LOOK_S, look_at, look_repeatedly
from understudy.streams.clickhouse.hourly_traffic import SIDES, recent_rollouts
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkError

log = structlog.get_logger(__name__)

_Drifts = Mapping[Side, SideDrift]
_REPEATED_HOURS: Final = HOURS_OF_DAY
"""A worker to which a rollout is new tells again what changed within this time; what changed while
no worker had it for longer is not told."""


class Assignment(NamedTuple):
    """A partition of the decisions while this worker has it."""

    partition: int
    number: int
    """One that comes back is another: deliveries have forgotten what they told in between."""


class _Notified(NamedTuple):
    """What receivers were last notified of a rollout."""

    assignment: Assignment
    notice: DriftNotice


class DriftAlerts:
    """The drift of the rollouts of some partitions, as receivers were last notified of it."""

    def __init__(
        self, deliveries: Sequence[Delivery], rollouts: Callable[[], Mapping[str, Assignment]]
    ) -> None:
        """`rollouts` are those of this worker, with the assignments of their decisions."""
        self._deliveries = deliveries
        self._rollouts = rollouts
        self._notified: dict[str, _Notified] = {}
        self._next_look_s = 0.0
        """At all rollouts, of the monotonic clock."""

    def run(
        self, open_connection: Callable[[], ReadConnection], interval_s: float,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        """Look every so many seconds until the event is set, see `look_repeatedly`.

        At rollouts that are new here soon: a receiver repeats an alert that fires for the worker
        that had them, and Alertmanager ends what has not been repeated for three times as long.
        """
        repeated_s = [one.receiver.repeat_s for one in self._deliveries if one.receiver.repeat_s]
        look = partial(self._look, interval_s)
        look_repeatedly(look, open_connection, min(FIRST_LOOK_S, interval_s, *repeated_s), stop)

    def _look(self, interval_s: float, connection: ReadConnection) -> None:
        now_s = time.monotonic()
        is_due = now_s >= self._next_look_s
        if is_due:
            self._next_look_s = now_s + interval_s
        try:
            self.look(connection, only_new=not is_due)
        except SinkError:
            raise
        except Exception as error:  # the next look may work, and other alerts go on
            _log_failure(error)

    def look(self, connection: ReadConnection, *, only_new: bool = False) -> None:
        """Look at all rollouts of this worker once, or at those that are new here.

        One whose traffic has ended drifts no more: else its last day would be told for ever, and
        again after each start. Raises `SinkBusy` and `SinkBroken`.
        """
        rollouts = self._rollouts()
        self._forget_all_but(rollouts)
        chosen = [name for name in rollouts if not (only_new and name in self._notified)]
        recent = set(recent_rollouts(connection)) if chosen else set()
        for rollout_id in chosen:
            try:
                drifts = _drifts(connection, rollout_id) if rollout_id in recent else {}
                self._tell(connection, rollout_id, rollouts[rollout_id], drifts)
            except SinkError:
                raise
            except Exception as error:  # the drift of others is told nevertheless
                _log_failure(error, rollout_id)

    def _tell(
        self, connection: ReadConnection, rollout_id: str, assignment: Assignment, drifts: _Drifts
    ) -> None:
        known = self._notified.get(rollout_id)
        if known is None:
            earlier = _a_day_before(connection, rollout_id, drifts)
            before = _notice(rollout_id, assignment, earlier, ())
        else:
            before = known.notice
        if not self._has(rollout_id, assignment):
            return
        notice = _notice(rollout_id, assignment, drifts, before.alarms)
        self._notified[rollout_id] = _Notified(assignment, notice)
        for delivery in self._deliveries:
            if known is None:
                delivery.restore_drift(before)
            delivery.enqueue_drift(notice)
        if not self._has(rollout_id, assignment):  # deliveries may have left its partition before
            del self._notified[rollout_id]
            for delivery in self._deliveries:
                delivery.drop_drift(rollout_id)

    def _has(self, rollout_id: str, assignment: Assignment) -> bool:
        """Whether the rollout is still this worker's."""
        return self._rollouts().get(rollout_id) == assignment

    def _forget_all_but(self, rollouts: Mapping[str, Assignment]) -> None:
        """End what was told of rollouts that were deleted, else it would be repeated for ever.

        Of partitions that another worker has now, deliveries have forgotten it already.
        """
        for name, (assignment, _) in list(self._notified.items()):
            if rollouts.get(name) != assignment:
                del self._notified[name]
            if name not in rollouts:
                for delivery in self._deliveries:
                    delivery.enqueue_drift(DriftNotice(name, assignment.partition, ()))


def _log_failure(error: Exception, rollout_id: str = "") -> None:
    log.error("alerting.failed", receiver="all", rollout_id=rollout_id,
              error=str(error) or type(error).__name__)  # fmt: skip


def _drifts(connection: ReadConnection, rollout_id: str) -> _Drifts:
    """The sides that have changed."""
    looks = (look_at(connection, rollout_id, side) for side in SIDES)
    return {one.side: one.drift for one in looks if one.drift is not None and one.drift.alerts}


def _a_day_before(connection: ReadConnection, rollout_id: str, drifts: _Drifts) -> _Drifts:
    """Which of the sides that have changed had done so a day before."""
    found = {}
    for side, drift in drifts.items():
        until = drift.periods.recent.end - _REPEATED_HOURS
        earlier = look_at(connection, rollout_id, side, until=until).drift
        if earlier is not None and earlier.alerts:
            found[side] = earlier
    return found


def _notice(
    rollout_id: str, assignment: Assignment, drifts: _Drifts, before: Sequence[Alarm]
) -> DriftNotice:
    """What is told of a rollout now; a side that differed before does so since then."""
    since = {alarm.guardrail: alarm.since for alarm in before}
    alarms = tuple(_alarm(rollout_id, side, drift, since) for side, drift in drifts.items())
    return DriftNotice(rollout_id, assignment.partition, alarms)


def _alarm(
    rollout_id: str, side: Side, drift: SideDrift, since: Mapping[str, dt.datetime]
) -> Alarm:
    recent, reference = drift.periods.recent, drift.periods.reference
    found_at = from_epoch_ms(recent.end * MS_OF_HOUR)
    changed = summary(drift, recent.end - reference.start)
    return Alarm(
        name=DRIFT,
        severity="warning",
        rollout_id=rollout_id,
        guardrail=side,
        slice="",
        summary=printable(f"Rollout {rollout_id}: {side} answers otherwise than it did"),
        description=f"{changed} {compared_periods(drift)}.",
        since=since.get(side, found_at),
    )
