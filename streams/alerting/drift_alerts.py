"""Looks for drift of the rollouts whose decisions this worker delivers, and notifies of it.

One worker looks at a rollout: the one that has the partition of its decisions. What is found is
kept in memory: after a start, what had changed a day before counts as told, and what changed since
is told, perhaps again.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

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
from understudy.streams.clickhouse.drift_watch import look_at, look_repeatedly
from understudy.streams.clickhouse.hourly_traffic import SIDES, recent_rollouts
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkError

log = structlog.get_logger(__name__)

_Drifts = Mapping[Side, SideDrift]
_REPEATED_HOURS: Final = HOURS_OF_DAY
"""A worker that starts tells again what changed within this time; what changed while none ran for
longer is not told."""


class DriftAlerts:
    """The drift of the rollouts of some partitions, as receivers were last notified of it."""

    def __init__(
        self, deliveries: Sequence[Delivery], rollouts: Callable[[], Mapping[str, int]]
    ) -> None:
        """`rollouts` are those of this worker, with the partitions of their decisions."""
        self._deliveries = deliveries
        self._rollouts = rollouts
        self._known: dict[str, DriftNotice] = {}
        """The newest look at each rollout."""

    def run(
        self, open_connection: Callable[[], ReadConnection], interval_s: float,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        """Look every so many seconds until the event is set, see `look_repeatedly`."""
        look_repeatedly(self._look, open_connection, interval_s, stop)

    def _look(self, connection: ReadConnection) -> None:
        try:
            self.look(connection)
        except SinkError:
            raise
        except Exception as error:  # the next look may work, and other alerts go on
            _log_failure(error)

    def look(self, connection: ReadConnection) -> None:
        """Look at all rollouts of this worker once. Raises `SinkBusy` and `SinkBroken`.

        One whose traffic has ended drifts no more: else its last day would be told for ever, and
        again after each start.
        """
        rollouts, recent = self._rollouts(), set(recent_rollouts(connection))
        self._forget_all_but(rollouts)
        for rollout_id, partition in rollouts.items():
            try:
                drifts = _drifts(connection, rollout_id) if rollout_id in recent else {}
                self._tell(connection, rollout_id, partition, drifts)
            except SinkError:
                raise
            except Exception as error:  # the drift of others is told nevertheless
                _log_failure(error, rollout_id)

    def _tell(
        self, connection: ReadConnection, rollout_id: str, partition: int, drifts: _Drifts
    ) -> None:
        if rollout_id not in self._known:
            self._restore(connection, rollout_id, partition, drifts)
        notice = self._notice(rollout_id, partition, drifts)
        if self._rollouts().get(rollout_id) == partition:  # it was not revoked meanwhile
            self._known[rollout_id] = notice
            for delivery in self._deliveries:
                delivery.enqueue_drift(notice)

    def _forget_all_but(self, rollouts: Mapping[str, int]) -> None:
        """End what was told of rollouts that were deleted, else it would be repeated for ever.

        Of partitions that another worker has now, deliveries have forgotten it already.
        """
        for name, notice in list(self._known.items()):
            if rollouts.get(name) != notice.partition:
                del self._known[name]
                for delivery in self._deliveries:
                    delivery.enqueue_drift(DriftNotice(name, notice.partition, ()))

    def _restore(
        self, connection: ReadConnection, rollout_id: str, partition: int, drifts: _Drifts
    ) -> None:
        """Take for told what had begun a day before."""
        known = {}
        for side, drift in drifts.items():
            until = drift.periods.recent.end - _REPEATED_HOURS
            earlier = look_at(connection, rollout_id, side, until=until).drift
            if earlier is not None and earlier.alerts:
                known[side] = earlier
        notice = self._notice(rollout_id, partition, known)
        self._known[rollout_id] = notice
        for delivery in self._deliveries:
            delivery.restore_drift(notice)

    def _notice(self, rollout_id: str, partition: int, drifts: _Drifts) -> DriftNotice:
        """What is told of a rollout now; a side that differs still does so since it first did."""
        known = self._known.get(rollout_id)
        since = {alarm.guardrail: alarm.since for alarm in known.alarms} if known else {}
        return DriftNotice(
            rollout_id,
            partition,
            tuple(_alarm(rollout_id, side, drift, since) for side, drift in drifts.items()),
        )


def _log_failure(error: Exception, rollout_id: str = "") -> None:
    log.error("alerting.failed", receiver="all", rollout_id=rollout_id,
              error=str(error) or type(error).__name__)  # fmt: skip


def _drifts(connection: ReadConnection, rollout_id: str) -> _Drifts:
    """The sides that have changed."""
    looks = (look_at(connection, rollout_id, side) for side in SIDES)
    return {one.side: one.drift for one in looks if one.drift is not None and one.drift.alerts}


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
