"""Notifications survive failures, arrive as often as they should, and delay no others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from tests.streams.alerting.http_receiver import HttpReceiver, Reply
from tests.streams.alerting.samples import AT, decision, message
from tests.waiting import stays_true, wait_until
from understudy.streams.alerting.alarms import Alarm
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.delivery import Delivery, RetryPolicy
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.http_post import DeliveryResult, http_post
from understudy.streams.alerting.receiver import Notification, Receiver
from understudy.streams.alerting.slack import Slack
from understudy.streams.alerting.webhook import Webhook

pytestmark = pytest.mark.embedded

QUICK = RetryPolicy(request_timeout_s=0.5, initial_backoff_s=0.02, max_backoff_s=0.1)
NO_MORE_S = 0.5
"""Longer than the pauses between retries and than alerts take to repeat here."""
SECRET = "T0/B0/hidden"


@contextmanager
def delivering(receiver: Receiver, policy: RetryPolicy = QUICK) -> Iterator[Delivery]:
    delivery = Delivery(receiver, policy).start()
    yield delivery
    delivery.close(5.0)


def eventually(holds: Callable[[], bool]) -> None:
    wait_until(holds, "the receiver has answered", poll_s=0.01)


def test_failures_are_retried_and_retry_after_is_honoured() -> None:
    replies = (Reply(500), Reply(429, (("Retry-After", "1"),)), Reply(hang_s=3.0), Reply(503))
    with HttpReceiver(*replies) as server, delivering(Webhook(server.url)) as delivery:
        delivery.enqueue(message(offset=4))
        assert delivery.lowest_pending(0) == 4
        got = server.wait_for(5)
        eventually(lambda: delivery.lowest_pending(0) is None)
        assert len({one.headers["X-Understudy-Delivery"] for one in got}) == 1
        assert got[2].at_s - got[1].at_s >= 1.0
        assert delivery.counters.accepted == 1
        assert delivery.counters.retries == 4


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
def test_what_is_rejected_is_not_retried(status: int) -> None:
    with HttpReceiver(Reply(status)) as server, delivering(Webhook(server.url)) as delivery:
        delivery.enqueue(message())
        eventually(lambda: delivery.lowest_pending(0) is None)
        stays_true(lambda: len(server.received) == 1, "one request", for_s=NO_MORE_S)
        assert delivery.counters.rejected == 1


def test_what_is_never_accepted_is_given_up() -> None:
    policy = RetryPolicy(
        request_timeout_s=0.5, initial_backoff_s=0.02, max_backoff_s=0.05, give_up_after_s=0.3
    )
    with (
        HttpReceiver(always=Reply(500)) as server,
        delivering(Webhook(server.url), policy) as delivery,
    ):
        delivery.enqueue(message())
        eventually(lambda: delivery.lowest_pending(0) is None)
        assert delivery.counters.given_up == 1


def test_the_newest_decision_takes_the_place_of_older_ones() -> None:
    with HttpReceiver(Reply(hang_s=0.4), Reply(500)) as server:  # noqa: SIM117
        with delivering(Webhook(server.url)) as delivery:
            delivery.enqueue(message(decision(rollout_id="other"), offset=0))
            server.wait_for(1)
            for minute in range(5):
                delivery.enqueue(message(decision(minute=minute), offset=minute + 1))
            assert delivery.lowest_pending(0) == 0
            got = server.wait_for(3)
            eventually(lambda: delivery.lowest_pending(0) is None)
            times = [json.loads(one.body)["decision"]["decided_at"] for one in got[1:]]
            assert set(times) == {"2026-03-02T12:04:00Z"}


def test_the_same_decision_is_delivered_once() -> None:
    with HttpReceiver() as server, delivering(Webhook(server.url)) as delivery:
        delivery.enqueue(message(offset=1))
        delivery.enqueue(message(offset=2))
        server.wait_for(1)
        eventually(lambda: delivery.lowest_pending(0) is None)
        delivery.enqueue(message(offset=3))
        delivery.restore(message(decision(rollout_id="old")))
        delivery.enqueue(message(decision(rollout_id="old"), offset=4))
        assert delivery.lowest_pending(0) is None
        stays_true(lambda: len(server.received) == 1, "one request", for_s=NO_MORE_S)


def test_a_dead_receiver_delays_no_other() -> None:
    with (
        HttpReceiver(always=Reply(hang_s=30.0)) as dead,
        HttpReceiver() as alive,
        delivering(Webhook(dead.url), RetryPolicy(request_timeout_s=30.0)) as stuck,
        delivering(Slack(alive.url)) as going,
    ):
        stuck.enqueue(message())
        dead.wait_for(1)
        going.enqueue(message())
        alive.wait_for(1)
        assert stuck.lowest_pending(0) == 0
        assert stuck.counters.retries == 0
        dead.release()


def test_of_many_that_wait_none_is_dropped() -> None:
    """A receiver that was away while more rollouts were rolled back than there ever were."""
    names = {f"rollout-{n}" for n in range(1_500)}
    policy = RetryPolicy(initial_backoff_s=0.3, max_backoff_s=0.3)
    with (
        HttpReceiver(Reply(503)) as server,
        delivering(Webhook(server.url), policy) as delivery,
    ):
        for offset, name in enumerate(sorted(names)):
            delivery.enqueue(message(decision("rollback", rollout_id=name), offset=offset))
        got = server.wait_for(1_501)
        eventually(lambda: delivery.lowest_pending(0) is None)
    assert {json.loads(one.body)["rollout_id"] for one in got} == names
    assert (delivery.counters.accepted, delivery.counters.dropped) == (1_500, 0)


def test_what_is_dropped_counts_neither_as_sent_nor_as_done() -> None:
    policy = RetryPolicy(initial_backoff_s=30.0, give_up_after_s=60.0, max_queued_bytes=4_500)
    with (
        HttpReceiver(always=Reply(500)) as server,
        delivering(Webhook(server.url), policy) as delivery,
    ):
        one = message(decision("rollback", rollout_id="a"), offset=0)
        delivery.enqueue(one)
        for offset, name in enumerate("bcd", 1):
            delivery.enqueue(message(decision(rollout_id=name), offset=offset))
        dropped = delivery.counters.dropped
        assert dropped >= 1
        assert delivery.lowest_pending(0) == 0, "it is read again after a start"
        delivery.enqueue(one)
        assert delivery.counters.dropped == dropped + 1, "it was queued, which takes a place"
        delivery.drop_partition(0)
        assert delivery.lowest_pending(0) is None


def test_an_error_in_sending_loses_no_alert() -> None:
    errors = iter([OverflowError("out of range"), RuntimeError("unforeseen")])

    def post(notification: Notification) -> DeliveryResult:
        for error in errors:
            raise error
        return http_post(5.0)(notification)

    with HttpReceiver() as server:
        delivery = Delivery(Webhook(server.url), QUICK, post=post).start()
        delivery.enqueue(message(decision("rollback")))
        server.wait_for(1)
        eventually(lambda: delivery.lowest_pending(0) is None)
        delivery.close(5.0)
    assert (delivery.counters.accepted, delivery.counters.retries) == (1, 2)


def test_alerts_are_repeated_while_they_fire_and_resolved_once() -> None:
    with (
        HttpReceiver() as server,
        delivering(Alertmanager(server.url, repeat_s=0.2)) as delivery,
    ):
        delivery.enqueue(message(decision("rollback"), offset=0))
        got = server.wait_for(3)
        assert {one.path for one in got} == {"/api/v2/alerts"}
        delivery.enqueue(message(decision("hold", minute=1), offset=1))
        eventually(lambda: delivery.lowest_pending(0) is None)
        received = len(server.received)
        stays_true(lambda: len(server.received) == received, "resolved", for_s=NO_MORE_S)
        firing, resolved = (json.loads(server.received[n].body)[0] for n in (0, -1))
        assert firing["labels"] == resolved["labels"]
        assert resolved["endsAt"] < firing["endsAt"] or resolved["endsAt"] > firing["startsAt"]
        assert len(json.loads(server.received[-1].body)) == 1


def test_alerts_from_before_a_restart_are_repeated() -> None:
    with (
        HttpReceiver() as server,
        delivering(Alertmanager(server.url, repeat_s=0.2)) as delivery,
    ):
        delivery.restore(message(decision("rollback")))
        server.wait_for(2)
        delivery.drop_partition(0)
        time.sleep(0.3)  # for a repetition that was on its way
        received = len(server.received)
        stays_true(lambda: len(server.received) == received, "evicted", for_s=NO_MORE_S)


@pytest.mark.parametrize("status", [0, 404, 500])
def test_no_log_holds_a_secret(status: int) -> None:
    policy = RetryPolicy(
        request_timeout_s=0.2,
        initial_backoff_s=0.02,
        max_backoff_s=0.05,
        give_up_after_s=0.2,
    )
    with capture_logs() as logs, HttpReceiver(always=Reply(status or 200)) as server:
        url = f"{server.url if status else 'http://127.0.0.1:9'}/{SECRET}"
        with delivering(Slack(url), policy) as delivery:
            delivery.enqueue(message())
            eventually(lambda: delivery.lowest_pending(0) is None)
    assert logs
    assert SECRET not in repr(logs)
    assert {entry["host"] for entry in logs} == {"127.0.0.1"}


def test_a_notification_that_cannot_be_built_stops_no_other() -> None:
    class Stumbling(Webhook):
        def notification(self, before, message, now):  # type: ignore[no-untyped-def]
            if message.rollout_id == "bad":
                raise RuntimeError("cannot")
            return super().notification(before, message, now)

    with HttpReceiver() as server, delivering(Stumbling(server.url)) as delivery:
        delivery.enqueue(message(decision(rollout_id="bad")))
        delivery.enqueue(message(offset=1))
        server.wait_for(1)
        eventually(lambda: delivery.lowest_pending(0) is None)


def test_user_and_password_become_a_header() -> None:
    with HttpReceiver() as server:
        url = server.url.replace("http://", "http://me:pass@")
        with delivering(Alertmanager(url, repeat_s=60.0)) as delivery:
            delivery.enqueue(message(decision("rollback")))
            (got,) = server.wait_for(1)
    assert got.headers["authorization"] == "Basic bWU6cGFzcw=="
    assert got.path == "/api/v2/alerts"


def test_drift_is_retried_told_once_and_repeated_while_it_lasts() -> None:
    one, none = DriftNotice("helpdesk", 0, (DRIFTED,)), DriftNotice("helpdesk", 0, ())
    with HttpReceiver(Reply(500)) as server:  # noqa: SIM117
        with delivering(Alertmanager(server.url, 0.1)) as delivery:
            delivery.enqueue_drift(none)
            delivery.enqueue_drift(one)
            posted = [json.loads(request.body) for request in server.wait_for(3)]
            assert {alert["labels"]["alertname"] for (alert,) in posted} == {"UnderstudyDrift"}
            delivery.drop_partition(0)
            delivery.restore_drift(DriftNotice("helpdesk", 1, (DRIFTED,)))
            before = len(server.received)
            server.wait_for(before + 2)
            delivery.enqueue_drift(DriftNotice("helpdesk", 1, ()))
            eventually(lambda: not delivery._state.drift)
            stays_true(lambda: not delivery._state.drift_queue, "nothing more", for_s=0.05)


def test_drift_that_cannot_be_told_ends_no_other_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("odd")

    monkeypatch.setattr(Alertmanager, "drift_notification", fail)
    with HttpReceiver() as server, delivering(Alertmanager(server.url, 60.0)) as delivery:
        with capture_logs() as logs:
            delivery.enqueue_drift(DriftNotice("helpdesk", 0, (DRIFTED,)))
            eventually(lambda: not delivery._state.drift_queue)
        assert [one["event"] for one in logs] == ["alerting.failed"]
        assert delivery._thread.is_alive()


DRIFTED = Alarm("UnderstudyDrift", "warning", "helpdesk", "stable", "", "it drifts", "so", AT)
