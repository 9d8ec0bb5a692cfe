"""Delivers notifications to one receiver, in a thread of its own.

A receiver that is away delays no other: its queue keeps the newest decision of each rollout, in as
much memory as thousands of rollouts need. Beyond that it drops the one that has waited longest:
what is dropped counts as neither sent nor done, so the next decision about that rollout notifies,
and so does the next start. A notification is retried until it is accepted, rejected or too old.
Each attempt builds it again, with the time and signature of now. URLs may hold secrets; logs name
the receiver and its host.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Self

import structlog
from urllib3.util import parse_url

from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    PackedMessage,
    notified_state_of,
)
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.http_post import DeliveryResult, Post, http_post
from understudy.streams.alerting.receiver import Notification, Receiver
from understudy.streams.backoff import pause_s
from understudy.streams.logs import LogLimit

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry."""

    request_timeout_s: float = 10.0
    """Receivers such as Slack answer within a second or two."""
    initial_backoff_s: float = 0.5
    max_backoff_s: float = 60.0
    """The backoff doubles from the initial one to this; Retry-After may ask for more."""
    give_up_after_s: float = 3_600.0
    """A notification about a decision of an hour ago would mislead more than it helps."""
    max_queued_bytes: int = 64 * 1024 * 1024
    """Newest decisions that wait: thousands of rollouts, each with evidence of many slices."""


@dataclass(slots=True)
class _Queued:
    message: PackedMessage
    since_s: float


@dataclass(slots=True)
class _QueuedDrift:
    notice: DriftNotice
    since_s: float


@dataclass(frozen=True, slots=True)
class _Dropped:
    """A decision that there was no room for; it is not done before it would be given up."""

    partition: int
    offset: int
    since_s: float


@dataclass(slots=True)
class DeliveryCounters:
    """Counts since the start."""

    accepted: int = 0
    retries: int = 0
    rejected: int = 0
    given_up: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _State:
    """Guarded by the delivery's condition."""

    queue: dict[str, _Queued] = field(default_factory=dict)
    """By rollout, the longest-waiting first."""
    queued_bytes: int = 0
    dropped: dict[str, _Dropped] = field(default_factory=dict)
    notified: dict[str, NotifiedState] = field(default_factory=dict)
    drift_queue: dict[str, _QueuedDrift] = field(default_factory=dict)
    """By rollout: what is small, and is looked for again within the hour."""
    drift: dict[str, DriftNotice] = field(default_factory=dict)
    """By rollout, as it was last told; none for rollouts without drift."""
    stopping: bool = False
    paused_until_s: float = 0.0
    failures: int = 0
    remind_at_s: float = 0.0


class Delivery:
    """The queue and the thread of one receiver."""

    def __init__(
        self,
        receiver: Receiver,
        policy: RetryPolicy | None = None,
        *,
        post: Post | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.receiver = receiver
        self.counters = DeliveryCounters()
        self._policy = policy or RetryPolicy()
        self._post = post or http_post(self._policy.request_timeout_s)
        self._rng = rng or random.Random()
        self._log = LogLimit(log)
        self._host = parse_url(receiver.url).host or ""
        self._changed = threading.Condition()
        self._state = _State(remind_at_s=time.monotonic() + receiver.repeat_s)
        self._thread = threading.Thread(
            target=self._run, name=f"understudy-alerting-{receiver.name}", daemon=True
        )

    def start(self) -> Self:
        """Start to deliver."""
        self._thread.start()
        return self

    def enqueue(self, message: DecisionMessage) -> None:
        """Queue a decision in place of an older one of its rollout, unless it is known."""
        with self._changed:
            if message.digest == self._newest_digest(message.rollout_id):
                return
            self._put(_Queued(PackedMessage.of(message), time.monotonic()))
            self._changed.notify_all()

    def restore(self, message: DecisionMessage) -> None:
        """Note a decision that was delivered before a restart; its alarms are repeated."""
        with self._changed:
            self._note(message.rollout_id, _state_after(message))
            self._changed.notify_all()

    def enqueue_drift(self, notice: DriftNotice) -> None:
        """Queue what was found of a rollout, unless it is known."""
        with self._changed:
            queued = self._state.drift_queue.get(notice.rollout_id)
            known = queued.notice if queued else self._state.drift.get(notice.rollout_id)
            if (known.alarms if known else ()) == notice.alarms:
                return
            self._state.drift_queue[notice.rollout_id] = _QueuedDrift(notice, time.monotonic())
            self._changed.notify_all()

    def restore_drift(self, notice: DriftNotice) -> None:
        """Note drift that was told before a restart; its alarms are repeated."""
        with self._changed:
            self._note_drift(notice)
            self._changed.notify_all()

    def drop_drift(self, rollout_id: str) -> None:
        """Leave a rollout's drift to another worker."""
        with self._changed:
            self._state.drift_queue.pop(rollout_id, None)
            self._state.drift.pop(rollout_id, None)

    def drop_partition(self, partition: int) -> None:
        """Leave a partition, with the alarms of its rollouts, to another worker."""
        with self._changed:
            state = self._state
            for rollout_id, queued in list(state.queue.items()):
                if queued.message.partition == partition:
                    self._take(rollout_id)
            state.dropped = {
                rollout_id: dropped
                for rollout_id, dropped in state.dropped.items()
                if dropped.partition != partition
            }
            state.notified = {
                rollout_id: notified
                for rollout_id, notified in state.notified.items()
                if notified.partition != partition
            }
            for rollout_id, waiting in list(state.drift_queue.items()):
                if waiting.notice.partition == partition:
                    del state.drift_queue[rollout_id]
            for rollout_id, notice in list(state.drift.items()):
                if notice.partition == partition:
                    del state.drift[rollout_id]

    def lowest_pending(self, partition: int) -> int | None:
        """The partition's lowest offset that is still to be delivered, now or after a start."""
        oldest_s = time.monotonic() - self._policy.give_up_after_s
        with self._changed:
            queued = [one.message for one in self._state.queue.values()]
            dropped = [one for one in self._state.dropped.values() if one.since_s >= oldest_s]
        places = [(one.partition, one.offset) for one in queued]
        places += [(one.partition, one.offset) for one in dropped]
        return min((offset for where, offset in places if where == partition), default=None)

    def close(self, deadline_s: float) -> None:
        """Stop after the attempt under way."""
        with self._changed:
            self._state.stopping = True
            self._changed.notify_all()
        self._thread.join(deadline_s)

    def _newest_digest(self, rollout_id: str) -> str | None:
        """The digest of the decision last queued or delivered about a rollout."""
        queued = self._state.queue.get(rollout_id)
        if queued is not None:
            return queued.message.digest
        notified = self._state.notified.get(rollout_id)
        return None if notified is None else notified.digest

    def _put(self, queued: _Queued) -> None:
        state, rollout_id = self._state, queued.message.rollout_id
        older = state.queue.get(rollout_id)
        state.queue[rollout_id] = queued  # where the older one was
        state.queued_bytes += queued.message.nbytes - (older.message.nbytes if older else 0)
        state.dropped.pop(rollout_id, None)
        while state.queued_bytes > self._policy.max_queued_bytes and len(state.queue) > 1:
            self._drop(self._take(next(iter(state.queue))))

    def _take(self, rollout_id: str) -> _Queued:
        """Take a decision out of the queue."""
        queued = self._state.queue.pop(rollout_id)
        self._state.queued_bytes -= queued.message.nbytes
        return queued

    def _drop(self, queued: _Queued) -> None:
        message = queued.message
        self._state.dropped[message.rollout_id] = _Dropped(
            message.partition, message.offset, queued.since_s
        )
        self.counters.dropped += 1
        self._log.error("alerting.dropped", receiver=self.receiver.name, host=self._host,
                        rollout_id=message.rollout_id, dropped=self.counters.dropped)  # fmt: skip

    def _note(self, rollout_id: str, after: NotifiedState | None) -> None:
        if after is None:
            self._state.notified.pop(rollout_id, None)
        else:
            self._state.notified[rollout_id] = after

    def _note_drift(self, notice: DriftNotice) -> None:
        if notice.alarms:
            self._state.drift[notice.rollout_id] = notice
        else:
            self._state.drift.pop(notice.rollout_id, None)

    # The thread

    def _run(self) -> None:
        while self._wait():
            with self._changed:
                queued = next(iter(self._state.queue.values()), None)
                drift = next(iter(self._state.drift_queue.values()), None)
            if queued is not None:
                self._deliver(queued)
            elif drift is not None:
                self._deliver_drift(drift)
            else:
                self._remind()

    def _wait(self) -> bool:
        """Wait until there is something to send; False when it is time to stop."""
        with self._changed:
            while not self._state.stopping:
                pause_s = self._pause_left_s()
                if pause_s is not None and pause_s <= 0.0:
                    return True
                self._changed.wait(pause_s)
        return False

    def _pause_left_s(self) -> float | None:
        """How long there is nothing to send; None for until something is queued."""
        state, now_s = self._state, time.monotonic()
        if state.queue or state.drift_queue:
            return state.paused_until_s - now_s
        if self.receiver.repeat_s and (state.notified or state.drift):
            return max(state.paused_until_s, state.remind_at_s) - now_s
        return None

    def _deliver(self, queued: _Queued) -> None:
        rollout_id = queued.message.rollout_id
        try:
            message = queued.message.message()
            with self._changed:
                before = self._state.notified.get(rollout_id)
            notification = self.receiver.notification(before, message, dt.datetime.now(dt.UTC))
            after = _state_after(message)
        except Exception as error:
            # A notification that cannot be built must not end those of other rollouts.
            self._log_failure(error, rollout_id)
            self._remove(queued)
            return
        if self._is_done(notification, rollout_id, queued.since_s):
            self._complete(queued, after)

    def _deliver_drift(self, queued: _QueuedDrift) -> None:
        notice = queued.notice
        with self._changed:
            before = self._state.drift.get(notice.rollout_id)
        notification = None
        try:
            notification = self.receiver.drift_notification(before, notice, dt.datetime.now(dt.UTC))
        except Exception as error:  # as above; noted as told, so that it is not built for ever
            self._log_failure(error, notice.rollout_id)
        if not self._is_done(notification, notice.rollout_id, queued.since_s):
            return
        with self._changed:
            if self._state.drift_queue.get(notice.rollout_id) is queued:
                del self._state.drift_queue[notice.rollout_id]
                self._note_drift(notice)

    def _is_done(self, notification: Notification | None, rollout_id: str, since_s: float) -> bool:
        """Send what there is to send; whether it was accepted, rejected or is given up."""
        if notification is None:
            return True
        result = self._attempt(notification)
        if result.outcome != "retry":
            return True
        if not self._is_too_old(since_s):
            return False
        self.counters.given_up += 1
        log.error("alerting.given_up", receiver=self.receiver.name, host=self._host,
                  rollout_id=rollout_id, reason=result.reason)  # fmt: skip
        return True

    def _remind(self) -> None:
        with self._changed:
            state = self._state
            firing = [
                *(one.alarms for one in state.notified.values()),
                *(one.alarms for one in state.drift.values()),
            ]
        alarms = [alarm for some in firing for alarm in some]
        notification = None
        try:
            notification = self.receiver.reminder(alarms, dt.datetime.now(dt.UTC))
        except Exception as error:
            self._log_failure(error)
        if notification is None or self._attempt(notification).outcome != "retry":
            self._state.remind_at_s = time.monotonic() + self.receiver.repeat_s

    def _attempt(self, notification: Notification) -> DeliveryResult:
        try:
            result = self._post(notification)
        except Exception as error:  # whatever a receiver answers, it is no reason to lose an alert
            self._log_failure(error)
            result = DeliveryResult("retry", type(error).__name__)
        if result.outcome == "retry":
            self._back_off(result)
            return result
        self._state.failures = 0
        if result.outcome == "rejected":
            self.counters.rejected += 1
            log.error("alerting.rejected", receiver=self.receiver.name, host=self._host,
                      reason=result.reason)  # fmt: skip
        else:
            self.counters.accepted += 1
        return result

    def _log_failure(self, error: Exception, rollout_id: str = "") -> None:
        self._log.error("alerting.failed", receiver=self.receiver.name, host=self._host,
                        rollout_id=rollout_id, error=type(error).__name__)  # fmt: skip

    def _back_off(self, result: DeliveryResult) -> None:
        """Pause before the next attempt, for as long as the receiver asks if that is longer."""
        state, policy = self._state, self._policy
        backoff_s = pause_s(
            state.failures, policy.initial_backoff_s, policy.max_backoff_s, self._rng
        )
        requested_s = min(result.retry_after_s, policy.give_up_after_s)
        state.paused_until_s = time.monotonic() + max(backoff_s, requested_s)
        state.failures += 1
        self.counters.retries += 1
        log.warning("alerting.retry", receiver=self.receiver.name, host=self._host,
                    reason=result.reason, attempt=state.failures)  # fmt: skip

    def _is_too_old(self, since_s: float) -> bool:
        return time.monotonic() - since_s > self._policy.give_up_after_s

    def _complete(self, queued: _Queued, after: NotifiedState | None) -> None:
        """Note that a decision is done with; a newer one that arrived since stays queued."""
        rollout_id = queued.message.rollout_id
        with self._changed:
            if rollout_id not in self._state.queue and rollout_id not in self._state.dropped:
                return  # the partition was dropped
            self._note(rollout_id, after)
        self._remove(queued)

    def _remove(self, queued: _Queued) -> None:
        """Take a decision out, unless a newer one has taken its place."""
        rollout_id = queued.message.rollout_id
        with self._changed:
            if self._state.queue.get(rollout_id) is queued:
                self._take(rollout_id)


def _state_after(message: DecisionMessage) -> NotifiedState | None:
    """What is remembered once people were notified; None after a tombstone."""
    return None if message.decision is None else notified_state_of(message)
