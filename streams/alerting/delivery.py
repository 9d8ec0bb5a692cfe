"""Delivers notifications to one receiver, in a thread of its own.

A receiver that is away delays no other: its queue keeps the newest decision of each rollout and,
when it is full, drops the rollout that has waited longest. A notification is retried until it is
accepted, rejected or too old. Each attempt builds it again, with the time and signature of now.
URLs may hold secrets; logs name the receiver and its host.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Final, Self

import structlog
from urllib3.util import parse_url

from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notified_state_of,
)
from understudy.streams.alerting.http_post import DeliveryResult, Post, http_post
from understudy.streams.alerting.receiver import Notification, Receiver

log = structlog.get_logger(__name__)

_MAX_DOUBLINGS: Final = 30
"""Of the backoff; the maximum is reached long before, and 2.0 ** 1024 would overflow."""


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
    max_queued: int = 1_000
    """Rollouts whose newest decision may wait: some hundred megabytes at worst."""


@dataclass(slots=True)
class _Queued:
    message: DecisionMessage
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
    notified: dict[str, NotifiedState] = field(default_factory=dict)
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
            if message.rollout_id not in self._state.queue:
                self._make_room()
            self._state.queue[message.rollout_id] = _Queued(message, time.monotonic())
            self._changed.notify_all()

    def restore(self, message: DecisionMessage) -> None:
        """Note a decision that was delivered before a restart; its alarms are repeated."""
        with self._changed:
            self._note(message)
            self._changed.notify_all()

    def drop_partition(self, partition: int) -> None:
        """Leave a partition, with the alarms of its rollouts, to another worker."""
        with self._changed:
            state = self._state
            state.queue = {
                rollout_id: queued
                for rollout_id, queued in state.queue.items()
                if queued.message.partition != partition
            }
            state.notified = {
                rollout_id: notified
                for rollout_id, notified in state.notified.items()
                if notified.partition != partition
            }

    def lowest_pending(self, partition: int) -> int | None:
        """The lowest offset of the partition that is still to be delivered."""
        with self._changed:
            messages = [queued.message for queued in self._state.queue.values()]
        return min((m.offset for m in messages if m.partition == partition), default=None)

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

    def _make_room(self) -> None:
        queue = self._state.queue
        if len(queue) >= self._policy.max_queued:
            dropped = queue.pop(next(iter(queue)))
            self._note(dropped.message)
            self.counters.dropped += 1
            log.error("alerting.dropped", receiver=self.receiver.name, host=self._host,
                      rollout_id=dropped.message.rollout_id)  # fmt: skip

    def _note(self, message: DecisionMessage) -> None:
        if message.decision is None:
            self._state.notified.pop(message.rollout_id, None)
        else:
            self._state.notified[message.rollout_id] = notified_state_of(message)

    # The thread

    def _run(self) -> None:
        while self._wait():
            try:
                self._deliver_next()
            except Exception as error:
                # A notification that cannot be built must not end those of other rollouts.
                log.error("alerting.failed", receiver=self.receiver.name, host=self._host,
                          error=type(error).__name__)  # fmt: skip
                self._skip_oldest()

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
        if state.queue:
            return state.paused_until_s - now_s
        if self.receiver.repeat_s and state.notified:
            return max(state.paused_until_s, state.remind_at_s) - now_s
        return None

    def _deliver_next(self) -> None:
        with self._changed:
            queued = next(iter(self._state.queue.values()), None)
        if queued is None:
            self._remind()
        else:
            self._deliver(queued)

    def _deliver(self, queued: _Queued) -> None:
        message = queued.message
        with self._changed:
            before = self._state.notified.get(message.rollout_id)
        notification = self.receiver.notification(before, message, dt.datetime.now(dt.UTC))
        if notification is not None:
            result = self._attempt(notification)
            if result.outcome == "retry":
                if not self._is_too_old(queued):
                    return
                self.counters.given_up += 1
                log.error("alerting.given_up", receiver=self.receiver.name, host=self._host,
                          rollout_id=message.rollout_id, reason=result.reason)  # fmt: skip
        self._complete(queued)

    def _remind(self) -> None:
        with self._changed:
            states = list(self._state.notified.values())
        notification = self.receiver.reminder(states, dt.datetime.now(dt.UTC))
        if notification is None or self._attempt(notification).outcome != "retry":
            self._state.remind_at_s = time.monotonic() + self.receiver.repeat_s

    def _attempt(self, notification: Notification) -> DeliveryResult:
        result = self._post(notification)
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

    def _back_off(self, result: DeliveryResult) -> None:
        """Pause for a random time between half and all of the backoff, so that senders spread."""
        state, policy = self._state, self._policy
        doubled_s = policy.initial_backoff_s * 2.0 ** min(state.failures, _MAX_DOUBLINGS)
        backoff_s = min(doubled_s, policy.max_backoff_s) * (0.5 + self._rng.random() / 2)
        requested_s = min(result.retry_after_s, policy.give_up_after_s)
        state.paused_until_s = time.monotonic() + max(backoff_s, requested_s)
        state.failures += 1
        self.counters.retries += 1
        log.warning("alerting.retry", receiver=self.receiver.name, host=self._host,
                    reason=result.reason, attempt=state.failures)  # fmt: skip

    def _is_too_old(self, queued: _Queued) -> bool:
        return time.monotonic() - queued.since_s > self._policy.give_up_after_s

    def _complete(self, queued: _Queued) -> None:
        """Note that a decision is done with; a newer one that arrived since stays queued."""
        message = queued.message
        with self._changed:
            current = self._state.queue.get(message.rollout_id)
            if current is None:
                return  # the partition was dropped
            self._note(message)
            if current is queued:
                del self._state.queue[message.rollout_id]

    def _skip_oldest(self) -> None:
        with self._changed:
            queued = next(iter(self._state.queue.values()), None)
            self._state.remind_at_s = time.monotonic() + self.receiver.repeat_s
        if queued is not None:
            self._complete(queued)
