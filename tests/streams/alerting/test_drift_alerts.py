"""Who is told of drift, when, and how often; what is found is tested in test_drift_watch."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.analyzers.drift.traffic import traffic
from understudy.analyzers.drift.periods import periods_of
from understudy.analyzers.drift.side_drift import SideDrift, drift_of
from understudy.schemas.events import Side
from understudy.streams.alerting import drift_alerts
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.delivery import Delivery
from understudy.streams.alerting.drift_alerts import Assignment, DriftAlerts
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkBusy

DAYS = 15


def found(longer: float = 1.0) -> SideDrift:
    sums = traffic(np.random.default_rng(3), DAYS, longer=longer)
    first, last = int(sums.hours.min()), int(sums.hours.max())
    periods = periods_of("candidate", first, last + 1)
    assert periods is not None
    return drift_of(sums, periods)


CHANGED, SAME = found(1.8), found()


class Recorder:
    """A delivery that only notes what it is given."""

    def __init__(self) -> None:
        self.restored: list[DriftNotice] = []
        self.queued: list[DriftNotice] = []
        self.dropped: list[str] = []

    def restore_drift(self, notice: DriftNotice) -> None:
        self.restored.append(notice)

    def enqueue_drift(self, notice: DriftNotice) -> None:
        self.queued.append(notice)

    def drop_drift(self, rollout_id: str) -> None:
        self.dropped.append(rollout_id)


class World:
    """Rollouts of this worker, and what a look at a side finds now and a day before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rollouts = {"checkout": Assignment(0, 1)}
        self.looks: list[str] = []
        """Rollouts whose candidate was looked at as it is now."""
        self.now: dict[Side, SideDrift | None] = {"candidate": CHANGED, "stable": SAME}
        self.before = SAME
        self.recorder = Recorder()
        self.alerts = DriftAlerts([cast(Delivery, self.recorder)], lambda: self.rollouts)
        self.with_traffic = ["checkout"]
        monkeypatch.setattr(drift_alerts, "look_at", self._look_at)
        monkeypatch.setattr(drift_alerts, "recent_rollouts", lambda connection: self.with_traffic)

    def _look_at(
        self, connection: Any, rollout_id: str, side: Side, until: int | None = None
    ) -> SideLook:
        if until is None and side == "candidate":
            self.looks.append(rollout_id)
        return SideLook(side, 99, self.now[side] if until is None else self.before)

    def look(self) -> DriftNotice:
        self.alerts.look(cast(ReadConnection, None))
        return self.recorder.queued[-1]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_side_that_changed_is_told_with_what_changed(world: World) -> None:
    notice = world.look()
    (alarm,) = notice.alarms
    assert alarm.labels == {
        "alertname": "UnderstudyDrift", "rollout_id": "checkout", "guardrail": "candidate",
        "severity": "warning",
    }  # fmt: skip
    assert alarm.summary == "Rollout checkout: candidate answers otherwise than it did"
    assert alarm.description.startswith("Changed: mean answer length.")
    assert alarm.description.endswith("UTC.")
    assert world.recorder.restored == [DriftNotice("checkout", 0, ())], "nothing was told before"


def test_what_had_changed_a_day_before_counts_as_told_after_a_start(world: World) -> None:
    world.before = CHANGED
    world.look()
    (restored,) = world.recorder.restored
    assert restored.sides == {"candidate"}
    world.look()
    assert len(world.recorder.restored) == 1, "once, after the start"


def test_it_fires_since_it_began_and_ends(world: World) -> None:
    first, again = world.look(), world.look()
    assert again.alarms[0].since == first.alarms[0].since
    world.now["candidate"] = None
    assert world.look().alarms == ()


def test_a_rollout_whose_traffic_has_ended_drifts_no_more(world: World) -> None:
    assert world.look().alarms
    world.with_traffic = []
    assert world.look().alarms == ()
    started = DriftAlerts([cast(Delivery, world.recorder)], lambda: world.rollouts)
    started.look(cast(ReadConnection, None))
    assert world.recorder.queued[-1].alarms == (), "nor after a start"


def test_rollouts_of_other_workers_are_left_to_them(world: World) -> None:
    world.look()
    world.rollouts = {}
    # A delivery that has left the partition knows of no drift that could end.
    assert world.look() == DriftNotice("checkout", 0, ())
    world.rollouts = {"checkout": Assignment(3, 2)}
    assert world.look().partition == 3
    assert [one.partition for one in world.recorder.restored] == [0, 3]


def test_rollouts_that_are_new_to_a_worker_are_looked_at_soon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alertmanager ends an alert that nobody has repeated for three of its intervals."""
    waits: list[float] = []
    world.with_traffic = ["checkout", "search"]

    class Connection:
        def close(self) -> None: ...

    class Stop:
        def wait(self, timeout_s: float) -> bool:
            waits.append(timeout_s)
            if len(waits) == 3:
                world.rollouts = {**world.rollouts, "search": Assignment(4, 2)}
            if len(waits) == 4:
                world.rollouts = {**world.rollouts, "checkout": Assignment(0, 3)}
            return len(waits) > 5

    delivery = Delivery(Alertmanager("http://localhost:9", 20.0))  # not started: it only queues
    monkeypatch.setattr(world.alerts, "_deliveries", [delivery])
    connection = cast(ReadConnection, Connection())
    world.alerts.run(lambda: connection, 3_600.0, cast(Any, Stop()))
    assert waits == [20.0] * 6
    assert world.looks == ["checkout", "search", "checkout"]


def test_what_a_delivery_forgot_in_between_is_told_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition that is lost and comes back at once is no longer repeated."""
    delivery = Delivery(Alertmanager("http://localhost:9", 60.0))  # not started: it only queues
    monkeypatch.setattr(world.alerts, "_deliveries", [delivery])
    world.before = CHANGED
    world.alerts.look(cast(ReadConnection, None))
    delivery.drop_partition(0)
    world.rollouts = {"checkout": Assignment(0, 2)}
    world.alerts.look(cast(ReadConnection, None), only_new=True)
    assert delivery._state.drift["checkout"].sides == {"candidate"}


@pytest.mark.parametrize("moment", ["while it is looked at", "while it is told"])
def test_a_worker_that_lost_a_rollout_meanwhile_says_nothing_of_it(
    moment: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would repeat the drift, and end it at its next look, though it goes on."""
    delivery = Delivery(Alertmanager("http://localhost:9", 60.0))  # not started: it only queues

    def lose() -> None:
        world.rollouts = {}
        delivery.drop_partition(0)

    look_at, restore = world._look_at, delivery.restore_drift

    def looked(connection: Any, rollout_id: str, side: Side, until: int | None = None) -> SideLook:
        if until is not None:
            lose()
        return look_at(connection, rollout_id, side, until)

    def restored(notice: DriftNotice) -> None:
        lose()
        restore(notice)

    world.before = CHANGED
    monkeypatch.setattr(world.alerts, "_deliveries", [delivery])
    if moment == "while it is told":
        monkeypatch.setattr(delivery, "restore_drift", restored)
    else:
        monkeypatch.setattr(drift_alerts, "look_at", looked)
    for _ in range(2):
        world.alerts.look(cast(ReadConnection, None))
        assert not delivery._state.drift
        assert not delivery._state.drift_queue


def test_the_drift_of_a_rollout_that_is_deleted_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Delivery(Alertmanager("http://localhost:9", 60.0))  # not started: it only queues
    monkeypatch.setattr(world.alerts, "_deliveries", [delivery])
    world.alerts.look(cast(ReadConnection, None))
    delivery.restore_drift(delivery._state.drift_queue.pop("checkout").notice)
    world.rollouts = {}
    world.alerts.look(cast(ReadConnection, None))
    world.alerts.look(cast(ReadConnection, None))
    assert delivery._state.drift_queue["checkout"].notice.alarms == ()


def test_a_rollout_that_cannot_be_looked_at_keeps_none_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at = world._look_at

    def odd(connection: Any, rollout_id: str, side: Side, until: int | None = None) -> SideLook:
        if rollout_id == "odd":
            raise ValueError("odd")
        return look_at(connection, rollout_id, side, until)

    monkeypatch.setattr(drift_alerts, "look_at", odd)
    world.rollouts = dict.fromkeys(("odd", "checkout"), Assignment(0, 1))
    world.with_traffic = ["odd", "checkout"]
    with capture_logs() as logs:
        assert world.look().rollout_id == "checkout"
    assert [(one["event"], one["rollout_id"]) for one in logs] == [("alerting.failed", "odd")]


def test_a_look_that_fails_is_logged_and_ends_nothing(world: World) -> None:
    failures = [SinkBusy("away"), ValueError("odd")]

    class Stop:
        def wait(self, timeout_s: float) -> bool:
            return not failures

    class Connection:
        def close(self) -> None: ...

    def fail() -> dict[str, Assignment]:
        raise failures.pop(0)

    alerts = DriftAlerts([], fail)
    with capture_logs() as logs:
        alerts.run(lambda: cast(ReadConnection, Connection()), 1.0, cast(Any, Stop()))
    assert [one["event"] for one in logs] == ["drift.failed", "alerting.failed"]
