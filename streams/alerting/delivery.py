"""Letters to one receiver: in a thread of its own, tried again until taken, refused or too old.

A receiver that is away holds up nobody else: its queue keeps one notice per rollout, the newest,
and forgets the longest-waiting rollout when full. Each attempt writes its letter anew, so times and
signatures in it are of now. URLs hold secrets; logs name the receiver and its host.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, Self

import structlog
import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry, Timeout, make_headers, parse_url

from understudy.streams.alerting.notices import Notice, Standing, standing_of

log = structlog.get_logger(__name__)

Outcome = Literal["taken", "again", "refused"]

_READ_OF_AN_ANSWER: Final = 4096
_TOO_MANY: Final = 429
_PASSING: Final = (408, _TOO_MANY)


@dataclass(frozen=True, slots=True)
class Letter:
    """One POST."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Receiver(Protocol):
    """What to write to whom; pure, apart from what it is told of the time."""

    @property
    def name(self) -> str:
        """For logs."""

    @property
    def url(self) -> str:
        """Where it listens; only its host is logged."""

    @property
    def repeat_s(self) -> float:
        """How often it is reminded of what stands; 0 for never."""

    def letter(self, before: Standing | None, notice: Notice, now: dt.datetime) -> Letter | None:
        """What to send about a notice, given what was told before; None for nothing."""

    def reminder(self, standing: Sequence[Standing], now: dt.datetime) -> Letter | None:
        """What to send again about all that stands; None for nothing."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try, and how often."""

    timeout_s: float = 10.0
    """For an answer."""
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0
    """The pause doubles from the one to the other; Retry-After may ask for more."""
    give_up_s: float = 3_600.0
    max_waiting: int = 1_000
    """Rollouts whose newest decision may wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a letter."""

    outcome: Outcome
    why: str
    retry_after_s: float = 0.0


Post = Callable[[Letter], Answer]


def http_post(timeout_s: float) -> Post:
    """A sender with a connection of its own."""
    pool = urllib3.PoolManager(maxsize=1, retries=False, timeout=Timeout(total=timeout_s))

    def post(letter: Letter) -> Answer:
        url, headers = _without_user(letter)
        try:
            response = pool.request("POST", url, body=letter.body, headers=headers,
                                    redirect=False, preload_content=False)  # fmt: skip
            response.read(_READ_OF_AN_ANSWER)
            response.close()
        except (HTTPError, OSError) as error:
            # Its text may hold the URL, and that a secret.
            return Answer("again", type(error).__name__)
        return answer_of(response.status, response.headers.get("Retry-After"))

    return post


def _without_user(letter: Letter) -> tuple[str, dict[str, str]]:
    """The URL without user and password, which go into a header."""
    parts = parse_url(letter.url)
    if parts.auth is None:
        return letter.url, dict(letter.headers)
    return parts._replace(auth=None).url, {
        **letter.headers,
        **make_headers(basic_auth=parts.auth),
    }


def answer_of(status: int, retry_after: str | None) -> Answer:
    """What an HTTP status says about trying again."""
    why = f"HTTP {status}"
    if 200 <= status < 300:
        return Answer("taken", why)
    if status in _PASSING or status >= 500:
        return Answer("again", why, _seconds(retry_after))
    return Answer("refused", why)


def _seconds(retry_after: str | None) -> float:
    """Of a Retry-After header: seconds or a date; 0 when it says nothing."""
    try:
        return Retry().parse_retry_after(retry_after) if retry_after else 0.0
    except (HTTPError, ValueError):
        return 0.0


@dataclass(slots=True)
class _Waiting:
    notice: Notice
    since_s: float


@dataclass(slots=True)
class DeliveryCounters:
    """What has been done since the start."""

    sent: int = 0
    retries: int = 0
    refused: int = 0
    given_up: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _State:
    """Guarded by the delivery's condition."""

    waiting: dict[str, _Waiting] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    stopping: bool = False
    paused_until_s: float = 0.0
    failures: int = 0
    remind_at_s: float = 0.0


class Delivery:
    """The queue and the thread of one receiver."""

    def __init__(
        self,
        receiver: Receiver,
        patience: Patience | None = None,
        *,
        post: Post | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.receiver = receiver
        self.counters = DeliveryCounters()
        self._patience = patience or Patience()
        self._post = post or http_post(self._patience.timeout_s)
        self._rng = rng or random.Random()
        self._host = parse_url(receiver.url).host or ""
        self._changed = threading.Condition()
        self._state = _State(remind_at_s=time.monotonic() + receiver.repeat_s)
        self._thread = threading.Thread(
            target=self._run, name=f"understudy-alerting-{receiver.name}", daemon=True
        )

    def start(self) -> Self:
        """Send from now on."""
        self._thread.start()
        return self

    def offer(self, notice: Notice) -> None:
        """Queue a notice in place of an older one of the rollout; what is known is left out."""
        with self._changed:
            if notice.digest == self._newest(notice.rollout_id):
                return
            if notice.rollout_id not in self._state.waiting:
                self._make_room()
            self._state.waiting[notice.rollout_id] = _Waiting(notice, time.monotonic())
            self._changed.notify_all()

    def recall(self, notice: Notice) -> None:
        """Remember what was told before a restart; reminders of it go on."""
        with self._changed:
            self._remember(notice)
            self._changed.notify_all()

    def forget(self, partition: int) -> None:
        """Another worker has taken the partition over, its alarms included."""
        with self._changed:
            state = self._state
            state.waiting = {
                name: one
                for name, one in state.waiting.items()
                if one.notice.partition != partition
            }
            state.standing = {
                name: one for name, one in state.standing.items() if one.partition != partition
            }

    def unsettled(self, partition: int) -> int | None:
        """The lowest offset of the partition that is still to be sent."""
        with self._changed:
            notices = [one.notice for one in self._state.waiting.values()]
        return min((n.offset for n in notices if n.partition == partition), default=None)

    def close(self, deadline_s: float) -> None:
        """Stop after the letter that is under way."""
        with self._changed:
            self._state.stopping = True
            self._changed.notify_all()
        self._thread.join(deadline_s)

    def _newest(self, rollout_id: str) -> str | None:
        """Digest of what was last queued or told about a rollout."""
        waiting = self._state.waiting.get(rollout_id)
        if waiting is not None:
            return waiting.notice.digest
        standing = self._state.standing.get(rollout_id)
        return None if standing is None else standing.digest

    def _make_room(self) -> None:
        waiting = self._state.waiting
        if len(waiting) >= self._patience.max_waiting:
            dropped = waiting.pop(next(iter(waiting)))
            self._remember(dropped.notice)
            self.counters.dropped += 1
            log.error("alerting.dropped", receiver=self.receiver.name, host=self._host,
                      rollout_id=dropped.notice.rollout_id)  # fmt: skip

    def _remember(self, notice: Notice) -> None:
        if notice.decision is None:
            self._state.standing.pop(notice.rollout_id, None)
        else:
            self._state.standing[notice.rollout_id] = standing_of(notice)

    # The thread

    def _run(self) -> None:
        while self._wait():
            try:
                self._send_next()
            except Exception as error:
                # A letter that cannot be written must not end the alerts of other rollouts.
                log.error("alerting.failed", receiver=self.receiver.name, host=self._host,
                          error=type(error).__name__)  # fmt: skip
                self._settle_oldest()

    def _wait(self) -> bool:
        """Until there is something to send; false when it is time to stop."""
        with self._changed:
            while not self._state.stopping:
                pause_s = self._pause_left_s()
                if pause_s is not None and pause_s <= 0.0:
                    return True
                self._changed.wait(pause_s)
        return False

    def _pause_left_s(self) -> float | None:
        """How long there is nothing to do; None for until something is offered."""
        state, now_s = self._state, time.monotonic()
        if state.waiting:
            return state.paused_until_s - now_s
        if self.receiver.repeat_s and state.standing:
            return max(state.paused_until_s, state.remind_at_s) - now_s
        return None

    def _send_next(self) -> None:
        with self._changed:
            waiting = next(iter(self._state.waiting.values()), None)
        if waiting is None:
            self._remind()
        else:
            self._tell(waiting)

    def _tell(self, waiting: _Waiting) -> None:
        notice = waiting.notice
        with self._changed:
            before = self._state.standing.get(notice.rollout_id)
        letter = self.receiver.letter(before, notice, dt.datetime.now(dt.UTC))
        answer = Answer("taken", "nothing to say") if letter is None else self._try(letter)
        if answer.outcome == "again" and not self._is_too_old(waiting):
            return
        if answer.outcome == "again":
            self.counters.given_up += 1
            log.error("alerting.given_up", receiver=self.receiver.name, host=self._host,
                      rollout_id=notice.rollout_id, why=answer.why)  # fmt: skip
        self._settle(waiting)

    def _remind(self) -> None:
        with self._changed:
            standing = list(self._state.standing.values())
        letter = self.receiver.reminder(standing, dt.datetime.now(dt.UTC))
        if letter is None or self._try(letter).outcome != "again":
            self._state.remind_at_s = time.monotonic() + self.receiver.repeat_s

    def _try(self, letter: Letter) -> Answer:
        answer = self._post(letter)
        if answer.outcome == "again":
            self._pause(answer)
            return answer
        self._state.failures = 0
        if answer.outcome == "refused":
            self.counters.refused += 1
            log.error("alerting.refused", receiver=self.receiver.name, host=self._host,
                      why=answer.why)  # fmt: skip
        else:
            self.counters.sent += 1
        return answer

    def _pause(self, answer: Answer) -> None:
        """Between half and all of a pause that doubles, by chance, so that senders spread."""
        state, patience = self._state, self._patience
        full_s = min(patience.first_pause_s * 2.0 ** min(state.failures, 30),
                     patience.longest_pause_s)  # fmt: skip
        pause_s = full_s * (0.5 + self._rng.random() / 2)
        asked_s = min(answer.retry_after_s, patience.give_up_s)
        state.paused_until_s = time.monotonic() + max(pause_s, asked_s)
        state.failures += 1
        self.counters.retries += 1
        log.warning("alerting.retry", receiver=self.receiver.name, host=self._host,
                    why=answer.why, attempt=state.failures)  # fmt: skip

    def _is_too_old(self, waiting: _Waiting) -> bool:
        return time.monotonic() - waiting.since_s > self._patience.give_up_s

    def _settle(self, waiting: _Waiting) -> None:
        """Told, or as good as; a newer notice that came meanwhile waits on."""
        notice = waiting.notice
        with self._changed:
            current = self._state.waiting.get(notice.rollout_id)
            if current is None:
                return  # the partition has gone
            self._remember(notice)
            if current is waiting:
                del self._state.waiting[notice.rollout_id]

    def _settle_oldest(self) -> None:
        with self._changed:
            waiting = next(iter(self._state.waiting.values()), None)
            self._state.remind_at_s = time.monotonic() + self.receiver.repeat_s
        if waiting is not None:
            self._settle(waiting)
