"""Requests that LiteLLM mirrors, from their first call to the events of both sides. Pure.

LiteLLM reports calls, one by one and in any order: attempts of the primary and of its mirrored
calls. It never says that no further one follows, and reports nothing of a mirrored call that it
gave up before calling. So a request is kept here until both sides are known, or as long as the join
waits for them: a call that began and never ended, or that was to be made and never began, is kept
apart from what the model did wrong.

Times are seconds of a clock that only goes forward.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from understudy.gateways.call_errors import HUNG_UP, MIRROR_DROPPED
from understudy.schemas.adapters.litellm_payload import fold_attempts
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, event_of
from understudy.schemas.event_time import EPOCH
from understudy.schemas.events import Error, Event, Side

PAIR_SIDES: Final[tuple[Side, ...]] = ("stable", "candidate")
RETRY_GRACE_S: Final = 10.0
"""LiteLLM waits up to 8 s before it retries; what has failed for longer than that is over."""
REPORT_GRACE_S: Final = 2.0
"""For the report of a mirrored call that was not seen to start, such as one from the cache."""
LOST_REPORT_S: Final = 30.0
"""LiteLLM reports from a queue, which on its first call imports for seconds. Reports do get lost:
beside the blocking `Router.completion`, the event loop of a mirrored call ends with the call."""
WAIT_S: Final = 90.0
"""Both sides have to be in Kafka before the join gives up, 120 s after the request by default."""
FORGET_S: Final = 660.0
"""LiteLLM's own timeout of a call is 600 s: what has not ended then never will."""
MAX_REQUESTS: Final = 10_000
"""Under way at once; at 20 kB each, with prompt and answers, 200 MB at the worst."""

UNREPORTED: Final = Error(type="unreported", source="gateway")
"""LiteLLM lost the report of an answer."""

DropReason = Literal["not_started", "cut_off", "unreported", "shutdown", "overflow"]


class Mirror(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of LiteLLM's model groups that a rollout compares."""

    rollout_id: str
    stable: str
    """The model group that callers name."""
    candidate: str
    """The model group that its `silent_model` names."""
    workflow: str | None = None
    """Of the requests that do not name one themselves."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What both sides of a request have in common."""

    pair_id: str
    request_time: dt.datetime
    conversation_id: str | None = None
    turn: int | None = None
    language: str | None = None
    workflow: str | None = None
    trace_id: str | None = None


@dataclass(slots=True)
class _Calls:
    """The attempts of one side: of the primary, or of one mirrored call."""

    running: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    attempts: list[RecordedAnswer] = field(default_factory=list)
    last_end_s: float = 0.0
    answered_at_s: float | None = None
    """When an answer came back, whether or not it has been reported."""
    over_at_s: float | None = None
    """When LiteLLM left the mirrored call, whatever has been reported of it."""

    def start(self, call_id: str) -> None:
        if call_id not in self.ended:
            self.running.add(call_id)

    def end(self, call_id: str, answer: RecordedAnswer, now_s: float) -> None:
        if call_id in self.ended:
            return
        self.running.discard(call_id)
        self.ended.add(call_id)
        self.attempts.append(answer)
        self.last_end_s = now_s

    def has_begun(self) -> bool:
        return bool(self.running or self.ended)

    def has_answered(self) -> bool:
        return any(one.error is None for one in self.attempts)

    def is_known(self, now_s: float) -> bool:
        """Whether nothing that follows would change what came of the side."""
        if self.has_answered():
            return True
        has_started = bool(self.running) or self.answered_at_s is not None
        grace_s = LOST_REPORT_S if has_started else REPORT_GRACE_S
        ends_s = [one for one in (self.over_at_s, self.answered_at_s) if one is not None]
        if ends_s and now_s >= max(ends_s) + grace_s:
            return True
        is_quiet = not self.running and now_s >= self.last_end_s + RETRY_GRACE_S
        return bool(self.attempts) and (is_quiet or self._is_over_and_reported())

    def _is_over_and_reported(self) -> bool:
        return self.over_at_s is not None and not self.running

    def answer(self) -> RecordedAnswer | None:
        """The attempts as one, up to the first that answered; None without any."""
        if not self.attempts:
            return None
        ordered = sorted(self.attempts, key=_start)
        answered = (n for n, one in enumerate(ordered) if one.error is None)
        return fold_attempts(ordered[: next(answered, len(ordered) - 1) + 1])


def _start(answer: RecordedAnswer) -> dt.datetime:
    return answer.request_time or EPOCH


@dataclass(slots=True)
class _Mirrored:
    """One mirror of a request: its calls, and which of its sides are in Kafka."""

    mirror: Mirror
    runs: dict[str, _Calls] = field(default_factory=dict)
    """A primary that is retried is mirrored again; the first run counts."""
    published: set[Side] = field(default_factory=set)

    def calls(self) -> _Calls | None:
        return next(iter(self.runs.values()), None)


@dataclass(slots=True)
class _Request:
    facts: RequestFacts
    began_s: float
    primary: _Calls = field(default_factory=_Calls)
    mirrored: dict[str, _Mirrored] = field(default_factory=dict)
    """By the candidate's model group."""
    withheld: set[str] = field(default_factory=set)
    """Candidates that are not to be called for it."""

    def is_done(self) -> bool:
        if not self.mirrored:
            return bool(self.primary.attempts)
        return all(len(one.published) == len(PAIR_SIDES) for one in self.mirrored.values())


class MirroredRequests:
    """The requests under way; methods return the events that became certain."""

    def __init__(self, mirrors: Iterable[Mirror], max_requests: int = MAX_REQUESTS) -> None:
        self._by_stable: dict[str, list[Mirror]] = {}
        for mirror in mirrors:
            self._by_stable.setdefault(mirror.stable, []).append(mirror)
        self._max_requests = max_requests
        self._requests: OrderedDict[str, _Request] = OrderedDict()
        self._primaries: dict[str, str] = {}
        """Call of a primary to its request: callers share a dict of metadata among requests."""

    def __len__(self) -> int:
        return len(self._requests)

    def mirrors_of(self, stable: str) -> Sequence[Mirror]:
        """The mirrors of a model group."""
        return self._by_stable.get(stable, ())

    def is_open(self, key: str) -> bool:
        """Whether the request of a key is under way."""
        return key in self._requests

    def is_answered(self, key: str) -> bool:
        """Whether the primary has answered: what follows under the key is another request."""
        request = self._requests.get(key)
        return request is None or request.primary.answered_at_s is not None

    def begin(self, key: str, facts: RequestFacts, now_s: float) -> list[tuple[Event, ...]]:
        """A request began; returns the events of those that had to make room."""
        self._requests[key] = _Request(facts, now_s)
        return self._make_room()

    def expect(self, key: str, mirrors: Iterable[Mirror]) -> None:
        """The primary of a request was sent to a deployment that is mirrored so."""
        request = self._requests[key]
        for mirror in mirrors:
            if mirror.candidate not in request.withheld:
                request.mirrored.setdefault(mirror.candidate, _Mirrored(mirror))

    def start_primary(self, key: str, call_id: str) -> None:
        """An attempt of the primary began."""
        request = self._requests.get(key)
        if request is not None and call_id not in self._primaries:
            self._primaries[call_id] = key
            request.primary.start(call_id)

    def primary_of(self, call_id: str) -> str | None:
        """The key of the request that a call is an attempt of."""
        return self._primaries.get(call_id)

    def answer_primary(self, call_id: str, now_s: float) -> None:
        """The primary's answer came back; the report of it follows."""
        key = self._primaries.get(call_id)
        if key is not None:
            self._requests[key].primary.answered_at_s = now_s

    def end_primary(self, call_id: str, answer: RecordedAnswer, now_s: float) -> None:
        """An attempt of the primary ended."""
        key = self._primaries.get(call_id)
        if key is not None:
            self._requests[key].primary.end(call_id, answer, now_s)

    def start_mirror(self, key: str, candidate: str, run: str, call_id: str | None) -> None:
        """A mirrored call was entered, or one of its attempts began."""
        calls = self._run(key, candidate, run)
        if calls is not None and call_id is not None:
            calls.start(call_id)

    def answer_mirror(self, key: str, candidate: str, run: str, now_s: float) -> None:
        """A mirrored call's answer came back; the report of it follows."""
        calls = self._run(key, candidate, run)
        if calls is not None:
            calls.answered_at_s = now_s

    def end_mirror(
        self, key: str, candidate: str, run: str, call_id: str, answer: RecordedAnswer, now_s: float
    ) -> None:
        """An attempt of a mirrored call ended."""
        calls = self._run(key, candidate, run)
        if calls is not None:
            calls.end(call_id, answer, now_s)

    def leave_mirror(self, key: str, candidate: str, run: str, now_s: float) -> None:
        """LiteLLM has left a mirrored call: no further attempt follows."""
        calls = self._run(key, candidate, run)
        if calls is not None:
            calls.over_at_s = now_s

    def has_mirror_begun(self, key: str, candidate: str) -> bool:
        """Whether a mirrored call of the request has been entered."""
        request = self._requests.get(key)
        mirrored = request.mirrored.get(candidate) if request is not None else None
        return mirrored is not None and bool(mirrored.runs)

    def withhold(self, key: str, candidate: str) -> None:
        """The candidate is not to be called for this request: there is nothing to compare.

        What has begun stays, whatever came of it: a failure is not to be forgotten.
        """
        request = self._requests.get(key)
        if request is not None and not self.has_mirror_begun(key, candidate):
            request.mirrored.pop(candidate, None)
            request.withheld.add(candidate)

    def take(self, key: str, now_s: float) -> list[tuple[Event, ...]]:
        """The events of one request whose sides are known now, those of a pair together."""
        request = self._requests.get(key)
        return [] if request is None else self._take(key, request, now_s)

    def take_due(self, now_s: float) -> list[tuple[Event, ...]]:
        """The events of all requests whose sides are known now, or waited long enough."""
        found: list[tuple[Event, ...]] = []
        for key, request in list(self._requests.items()):
            found += self._take(key, request, now_s)
        return found

    def take_all(self, reason: DropReason = "shutdown") -> list[tuple[Event, ...]]:
        """The events of all requests, as the process ends: what is not known is the gateway's."""
        found = [one for request in self._requests.values() for one in _cut_off(request, reason)]
        self._requests.clear()
        self._primaries.clear()
        return found

    def _forget(self, key: str) -> _Request:
        request = self._requests.pop(key)
        for call_id in request.primary.running | request.primary.ended:
            self._primaries.pop(call_id, None)
        return request

    def _run(self, key: str, candidate: str, run: str) -> _Calls | None:
        request = self._requests.get(key)
        mirrored = request.mirrored.get(candidate) if request is not None else None
        return None if mirrored is None else mirrored.runs.setdefault(run, _Calls())

    def _make_room(self) -> list[tuple[Event, ...]]:
        found: list[tuple[Event, ...]] = []
        while len(self._requests) > self._max_requests:
            found += _cut_off(self._forget(next(iter(self._requests))), "overflow")
        return found

    def _take(self, key: str, request: _Request, now_s: float) -> list[tuple[Event, ...]]:
        found = [
            events
            for mirrored in request.mirrored.values()
            if (events := _events(request, mirrored, now_s))
        ]
        if request.is_done() or now_s >= request.began_s + FORGET_S:
            self._forget(key)
        return found


def _events(request: _Request, mirrored: _Mirrored, now_s: float) -> tuple[Event, ...]:
    """The sides that can be published now: both at once, unless one takes longer than the join."""
    sides: dict[Side, RecordedAnswer | None] = {
        "stable": _stable(request, now_s),
        "candidate": _candidate(request, mirrored, now_s),
    }
    is_late = now_s >= request.began_s + WAIT_S and request.primary.has_begun()
    if not is_late and None in sides.values():
        return ()
    known = {
        side: answer
        for side, answer in sides.items()
        if answer is not None and side not in mirrored.published
    }
    mirrored.published.update(known)
    return tuple(_event(request, mirrored.mirror, side, answer) for side, answer in known.items())


def _stable(request: _Request, now_s: float) -> RecordedAnswer | None:
    calls = request.primary
    if calls.is_known(now_s):
        return calls.answer() or _failure(request, UNREPORTED)
    # LiteLLM reports every end of a call but one: that the caller did not wait for it.
    is_given_up = bool(calls.running) and now_s >= request.began_s + WAIT_S
    return _failure(request, HUNG_UP) if is_given_up else None


def _candidate(request: _Request, mirrored: _Mirrored, now_s: float) -> RecordedAnswer | None:
    calls = mirrored.calls()
    if calls is None:
        primary = request.primary
        has_time = primary.is_known(now_s) and now_s >= primary.last_end_s + RETRY_GRACE_S
        is_given_up = has_time or now_s >= request.began_s + WAIT_S
        return _dropped(request, "not_started") if is_given_up else None
    if not calls.is_known(now_s):
        return None
    return calls.answer() or _dropped(request, _drop_reason(calls))


def _drop_reason(calls: _Calls) -> DropReason:
    if calls.answered_at_s is not None:
        return "unreported"
    return "cut_off" if calls.running else "not_started"


def _cut_off(request: _Request, reason: DropReason) -> Iterator[tuple[Event, ...]]:
    """The events of a request that is not waited for any longer, if any side is known."""
    for mirrored in request.mirrored.values():
        calls = mirrored.calls()
        stable = request.primary.answer()
        candidate = calls.answer() if calls is not None else None
        if stable is None and candidate is None:
            continue
        sides: dict[Side, RecordedAnswer] = {
            "stable": stable or _failure(request, Error(type=reason, source="gateway")),
            "candidate": candidate or _dropped(request, reason),
        }
        yield tuple(
            _event(request, mirrored.mirror, side, answer)
            for side, answer in sides.items()
            if side not in mirrored.published
        )


def _dropped(request: _Request, reason: DropReason) -> RecordedAnswer:
    """A candidate that never had the chance to answer: no harm of the model's."""
    return _failure(request, MIRROR_DROPPED, {MIRROR_DROPPED.type: reason})


def _failure(
    request: _Request, error: Error, attributes: dict[str, str | None] | None = None
) -> RecordedAnswer:
    return RecordedAnswer(id=request.facts.pair_id, error=error, attributes=attributes)


def _event(request: _Request, mirror: Mirror, side: Side, answer: RecordedAnswer) -> Event:
    facts = request.facts
    trace = {} if facts.trace_id is None else {"litellm.trace_id": facts.trace_id}
    whole = msgspec.structs.replace(
        answer,
        id=facts.pair_id,
        conversation_id=facts.conversation_id,
        turn=facts.turn,
        language=facts.language,
        workflow=facts.workflow or mirror.workflow,
        served=side == "stable",
        attributes={**(answer.attributes or {}), **trace},
    )
    return event_of(
        whole,
        rollout_id=mirror.rollout_id,
        mode="shadow",
        side=side,
        sides=PAIR_SIDES,
        request_time=facts.request_time,
    )
