"""A gateway that exists only in here: mirrored requests with known faults, from a seed.

`simulate` yields what such a gateway would write to Kafka, in the order in which it would write
it: a side is written when its answer is complete. The same arguments give the same bytes.
`describe_regression` returns what is wrong with the candidate, so that a verdict can be checked.

It is for the demo, benchmarks and tests, and no model of any product: shares and speeds are made
up, plausible, and the same in every language.
"""

from __future__ import annotations

import datetime as dt
import heapq
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import Final, Literal

from understudy.schemas.events import (
    Error,
    Event,
    Fallback,
    Mode,
    Response,
    Side,
    Timing,
    Usage,
    encode_event,
    event_key,
)
from understudy.streams.demo.phrases import SimulatedAnswer, Task, make_task, phrasebooks

ROLLOUT_ID: Final = "checkout-assistant-2026-11"
MODE: Final[Mode] = "shadow"
STABLE_MODEL: Final = "heron-4"
CANDIDATE_MODEL: Final = "heron-5-preview"
FALLBACK_MODEL: Final = "wren-2"

DEFAULT_PAIRS: Final = 20_000
DEFAULT_RATE_PER_S: Final = DEFAULT_PAIRS / 600
"""Ten minutes of traffic: enough windows for a verdict, few enough for a demo."""
DEFAULT_REGRESSED_LANGUAGE: Final = "zh-Hans"
"""Common enough to be found, and rare enough not to show over all requests."""

LANGUAGE_SHARES: Final = {
    "en": 0.30,
    "zh-Hans": 0.17,
    "ja": 0.10,
    "de": 0.09,
    "es": 0.09,
    "ar": 0.08,
    "zh-Hant": 0.07,
    "pt": 0.05,
    "hi": 0.05,
}
WORKFLOW_SHARES: Final = {"chat": 0.40, "extract": 0.34, "assistant": 0.15, "classify": 0.11}

HEALTHY_START: Final = 0.35
"""Share of the run before the candidate breaks."""
REGRESSION_RATE: Final = 0.12
"""Plain in one language and workflow; over all requests for JSON it is 1.5 points."""
WRONG_ANSWER_RATE: Final = 0.8
"""Found within the demo's few hundred conversations of one language, by a judge that errs."""
CONTROL_SHARE: Final = 0.05
CONVERSING: Final = frozenset({"chat", "assistant"})
"""Workflows in which users come back; what the others ask is answered once."""
NEXT_TURN_RATE: Final = 0.35
"""Share of requests there that continue a conversation, if one is open."""
TURN_AFTER_S: Final = (8.0, 120.0)
"""How long after a turn the next one comes, at least and at most."""
UNTAGGED_SHARE: Final = 0.02
"""Requests whose language the gateway does not know."""
ERROR_RATE: Final = 0.007
FALLBACK_RATE: Final = 0.004
BROKEN_JSON_RATE: Final = 0.006
"""What every model does now and then, in every language."""
TRUNCATION_RATE: Final = 0.003
CONTENT_FILTER_RATE: Final = 0.001
LOST_RATE: Final = 0.0015
"""Sides that never reach Kafka."""
DUPLICATE_RATE: Final = 0.001
LATE_RATE: Final = 0.0004
INVALID_RATE: Final = 0.0004
LATE_AFTER_S: Final = 150.0
"""A late side is written this long after its request, beyond the default join timeout."""
REQUEST_TIMEOUT_MS: Final = 30_000.0
"""As gateways often have it; the demo's join timeout is twice as long."""

_SYSTEM_PROMPT_TOKENS: Final = {"chat": 310, "extract": 240, "assistant": 520, "classify": 150}
_FIRST_TOKEN_MS: Final = {"chat": 420.0, "extract": 510.0, "assistant": 390.0, "classify": 290.0}
_TOKENS_PER_S: Final = {STABLE_MODEL: 74.0, CANDIDATE_MODEL: 80.0, FALLBACK_MODEL: 120.0}
_USD_PER_TOKEN: Final = {
    STABLE_MODEL: (2.5e-6, 1.00e-5),
    CANDIDATE_MODEL: (2.4e-6, 0.96e-5),
    FALLBACK_MODEL: (0.4e-6, 0.16e-5),
}
_ERRORS: Final = (
    (0.45, Error(type="rate_limit", status=429), 90.0),
    (0.75, Error(type="server_error", status=503), 700.0),
    (1.00, Error(type="timeout", status=504), REQUEST_TIMEOUT_MS),
)
_PAIR: Final[tuple[Side, ...]] = ("stable", "candidate")
_WITH_CONTROL: Final[tuple[Side, ...]] = ("stable", "candidate", "control")
_SWELL_S: Final = 120.0
_SWELL: Final = 0.3
"""The rate of requests rises and falls by this share, in this time, as in real traffic."""


@dataclass(frozen=True, slots=True)
class SimulatedMessage:
    """One Kafka message; `event` is None where the payload is damaged on purpose."""

    key: str
    payload: bytes
    arrival_offset_s: float
    event: Event | None


@dataclass(frozen=True, slots=True)
class SimulatedSide:
    """How a model answers, and what the network makes of that."""

    event: Event
    messages: tuple[SimulatedMessage, ...]
    """None where it is lost, two where it is written twice, an unusable one after it."""


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """What a user asks, how all models answer, and what becomes of the events."""

    offset_s: float
    sides: tuple[SimulatedSide, ...]
    again: Callable[[], Event]
    """One more run of stable."""


RegressionKind = Literal["json", "quality"]
"""What breaks: the form of JSON answers, or what answers say and nothing else."""


@dataclass(frozen=True, slots=True)
class Regression:
    """What is wrong with the candidate, where, and from when on."""

    kind: RegressionKind
    metric: str
    """The guardrail's that finds it."""
    language: str
    workflow: str
    rate: float
    """Share of the slice's candidate answers that break, on top of what breaks anyway."""
    since: dt.datetime
    """Requests from this time on are affected."""


def describe_regression(
    *,
    pairs: int,
    healthy: bool,
    start: dt.datetime,
    rate_per_s: float = DEFAULT_RATE_PER_S,
    language: str = DEFAULT_REGRESSED_LANGUAGE,
    kind: RegressionKind = "json",
) -> Regression | None:
    """What `simulate` injects when called with the same arguments; None when healthy."""
    if healthy:
        return None
    since = start + dt.timedelta(seconds=HEALTHY_START * pairs / rate_per_s)
    if kind == "quality":
        where = ("quality_preference", language, "chat")
        return Regression(kind, *where, WRONG_ANSWER_RATE, since)
    return Regression(kind, "json_valid_rate", language, "extract", REGRESSION_RATE, since)


def simulate(
    *,
    seed: int,
    pairs: int,
    healthy: bool,
    start: dt.datetime,
    rate_per_s: float = DEFAULT_RATE_PER_S,
    language: str = DEFAULT_REGRESSED_LANGUAGE,
    kind: RegressionKind = "json",
) -> Iterator[SimulatedMessage]:
    """Messages of `pairs` mirrored requests, in order of arrival.

    `start` is the request time that offsets count from, `rate_per_s` the mean rate of requests;
    with the defaults 20 000 pairs spread over ten minutes. The candidate breaks in `language`
    unless `healthy`. Raises ValueError for a naive `start` or an unknown language.
    """
    return _in_order_of_arrival(
        simulate_requests(
            seed=seed, pairs=pairs, healthy=healthy, start=start, rate_per_s=rate_per_s,
            language=language, kind=kind,
        )
    )  # fmt: skip


def simulate_requests(
    *,
    seed: int,
    pairs: int,
    healthy: bool,
    start: dt.datetime,
    rate_per_s: float = DEFAULT_RATE_PER_S,
    language: str = DEFAULT_REGRESSED_LANGUAGE,
    kind: RegressionKind = "json",
) -> Iterator[SimulatedRequest]:
    """The requests behind `simulate`, in the order in which users ask."""
    if start.tzinfo is None:
        raise ValueError("start needs a time zone")
    if language not in phrasebooks():
        raise ValueError(f"the simulator does not speak {language}")
    regression = describe_regression(
        pairs=pairs, healthy=healthy, start=start, rate_per_s=rate_per_s, language=language,
        kind=kind,
    )  # fmt: skip
    conversations = _Conversations(Random(f"{seed}: conversations"))
    return _requests(Random(seed), conversations, pairs, start, rate_per_s, regression)


def _in_order_of_arrival(requests: Iterator[SimulatedRequest]) -> Iterator[SimulatedMessage]:
    waiting: list[tuple[float, int, SimulatedMessage]] = []
    written = 0
    for request in requests:
        while waiting and waiting[0][0] <= request.offset_s:
            yield heapq.heappop(waiting)[2]
        for side in request.sides:
            for message in side.messages:
                heapq.heappush(waiting, (message.arrival_offset_s, written, message))
                written += 1
    while waiting:
        yield heapq.heappop(waiting)[2]


def _requests(
    rng: Random,
    conversations: _Conversations,
    pairs: int,
    start: dt.datetime,
    rate_per_s: float,
    regression: Regression | None,
) -> Iterator[SimulatedRequest]:
    for offset_s in _request_offsets_s(rng, pairs, rate_per_s):
        yield _mirror(rng, conversations, offset_s, start, regression)


def _request_offsets_s(rng: Random, pairs: int, rate_per_s: float) -> Iterator[float]:
    """Poisson arrivals whose rate swells and ebbs every two minutes."""
    offset_s = 0.0
    for _ in range(pairs):
        swell = 1.0 + _SWELL * math.sin(2.0 * math.pi * offset_s / _SWELL_S)
        offset_s += rng.expovariate(rate_per_s * swell)
        yield offset_s


@dataclass(slots=True)
class _Conversation:
    """Turns of one user so far."""

    conversation_id: str
    turn: int
    last_turn_s: float


class _Conversations:
    """Which conversation a request belongs to; draws apart, so that answers do not depend on it."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._open: defaultdict[tuple[str, str], deque[_Conversation]] = defaultdict(deque)
        """By language and workflow, the one whose last turn is the oldest first."""

    def next(self, task: Task, offset_s: float) -> tuple[str, int]:
        """Conversation and turn of a request."""
        least_s, most_s = TURN_AFTER_S
        waiting = self._open[task.language, task.workflow]
        while waiting and waiting[0].last_turn_s < offset_s - most_s:
            waiting.popleft()
        ready = [one for one in waiting if one.last_turn_s <= offset_s - least_s]
        if ready and self._rng.random() < NEXT_TURN_RATE:
            one = ready[int(self._rng.random() * len(ready))]
            waiting.remove(one)
            one.turn, one.last_turn_s = one.turn + 1, offset_s
        else:
            one = _Conversation(f"{self._rng.getrandbits(48):012x}", 1, offset_s)
        if task.workflow in CONVERSING:
            waiting.append(one)
        return one.conversation_id, one.turn


@dataclass(frozen=True, slots=True)
class _MirroredRequest:
    """What all sides of one request share."""

    pair_id: str
    conversation_id: str
    turn: int
    sides: tuple[Side, ...]
    task: Task
    request_time: dt.datetime
    language: str | None
    input_tokens: int
    characters_per_token: float
    difficulty: float
    """How much longer than usual any model takes for it."""
    broken_rate: float
    """Share of candidate answers that the regression breaks here."""


def _mirror(
    rng: Random,
    conversations: _Conversations,
    offset_s: float,
    start: dt.datetime,
    regression: Regression | None,
) -> SimulatedRequest:
    request_time = start + dt.timedelta(milliseconds=int(offset_s * 1000))
    task = make_task(rng, _pick(rng, _LANGUAGES), _pick(rng, _WORKFLOWS))
    place = conversations.next(task, offset_s)
    request = _mirrored_request(rng, task, place, request_time, regression)
    sides = []
    for side in request.sides:
        event = _answer(rng, request, side)
        sides.append(SimulatedSide(event, tuple(_write(rng, event, offset_s))))
    return SimulatedRequest(
        offset_s,
        tuple(sides),
        again=lambda: _answer(Random(request.pair_id), request, "control"),
    )


def _mirrored_request(
    rng: Random,
    task: Task,
    place: tuple[str, int],
    request_time: dt.datetime,
    regression: Regression | None,
) -> _MirroredRequest:
    tokenised = phrasebooks()[task.language].characters_per_token
    prompt_tokens = round(len(task.request.prompt or "") / tokenised)
    return _MirroredRequest(
        pair_id=f"{rng.getrandbits(64):016x}",
        conversation_id=place[0],
        turn=place[1],
        sides=_WITH_CONTROL if rng.random() < CONTROL_SHARE else _PAIR,
        task=task,
        request_time=request_time,
        language=None if rng.random() < UNTAGGED_SHARE else task.language,
        input_tokens=_SYSTEM_PROMPT_TOKENS[task.workflow] + prompt_tokens,
        characters_per_token=tokenised,
        difficulty=rng.lognormvariate(0.0, 0.25),
        broken_rate=_broken_rate(task, request_time, regression),
    )


def _broken_rate(task: Task, request_time: dt.datetime, regression: Regression | None) -> float:
    if regression is None or request_time < regression.since:
        return 0.0
    here = (task.language, task.workflow) == (regression.language, regression.workflow)
    return regression.rate if here else 0.0


def _pick(rng: Random, choices: tuple[tuple[float, str], ...]) -> str:
    """One of (cumulative share, name)."""
    point = rng.random()
    return next((name for share, name in choices if point < share), choices[-1][1])


def _cumulative(shares: dict[str, float]) -> tuple[tuple[float, str], ...]:
    return tuple(zip(accumulate(shares.values()), shares, strict=True))


_LANGUAGES: Final = _cumulative(LANGUAGE_SHARES)
_WORKFLOWS: Final = _cumulative(WORKFLOW_SHARES)


def _answer(rng: Random, request: _MirroredRequest, side: Side) -> Event:
    if rng.random() < ERROR_RATE:
        return _failed(rng, request, side)
    model = CANDIDATE_MODEL if side == "candidate" else STABLE_MODEL
    fallback = _fallback(rng)
    if fallback is not None:
        model = FALLBACK_MODEL
    broken_rate = request.broken_rate if side == "candidate" else 0.0
    task = request.task
    if broken_rate and task.request.expects == "text" and task.wrong_answer is not None:
        if rng.random() < broken_rate:
            task = replace(task, answer=task.wrong_answer)
        broken_rate = 0.0
    answer, finish_reason = _spoiled(rng, task, broken_rate)
    tokens = _output_tokens(answer, request.characters_per_token)
    return _event(
        request,
        side,
        response=Response(
            model=model,
            output=answer.output,
            tool_calls=answer.tool_calls,
            finish_reason=finish_reason,
            stream=request.task.streamed,
        ),
        usage=Usage(request.input_tokens, tokens, _cost_usd(model, request.input_tokens, tokens)),
        timing=_timing(rng, request, model, tokens),
        fallback=fallback,
    )


def _event(
    request: _MirroredRequest,
    side: Side,
    *,
    timing: Timing,
    response: Response | None = None,
    error: Error | None = None,
    usage: Usage | None = None,
    fallback: Fallback | None = None,
) -> Event:
    return Event(
        schema_version=1,
        rollout_id=ROLLOUT_ID,
        pair_id=request.pair_id,
        mode=MODE,
        side=side,
        sides=request.sides,
        request_time=request.request_time,
        conversation_id=request.conversation_id,
        turn=request.turn,
        served=side == "stable",
        language=request.language,
        workflow=request.task.workflow,
        request=request.task.request,
        response=response,
        error=error,
        usage=usage,
        timing=timing,
        fallback=fallback,
    )


def _failed(rng: Random, request: _MirroredRequest, side: Side) -> Event:
    point = rng.random()
    error, usual_ms = next((e, ms) for share, e, ms in _ERRORS if point < share)
    duration_ms = usual_ms if error.type == "timeout" else usual_ms * rng.lognormvariate(0.0, 0.4)
    return _event(request, side, error=error, timing=Timing(duration_ms=round(duration_ms, 1)))


def _fallback(rng: Random) -> Fallback | None:
    if rng.random() >= FALLBACK_RATE:
        return None
    return Fallback(
        used=True, model=FALLBACK_MODEL, reason="rate_limit", attempts=2 + rng.getrandbits(1)
    )


def _spoiled(rng: Random, task: Task, broken_rate: float) -> tuple[SimulatedAnswer, str]:
    """An answer and its finish reason, with the rare mishaps of any model and the regression's."""
    answer = task.answer(rng)
    mishap = rng.random()
    if answer.output is None:
        return answer, "tool_calls"
    if mishap < CONTENT_FILTER_RATE:
        return replace(answer, output=""), "content_filter"
    if mishap < CONTENT_FILTER_RATE + TRUNCATION_RATE:
        return replace(answer, output=_cut(rng, answer.output)), "length"
    if task.request.expects != "text" and rng.random() < BROKEN_JSON_RATE + broken_rate:
        return _broken(rng, answer.output)
    return answer, "stop"


def _broken(rng: Random, output: str) -> tuple[SimulatedAnswer, str]:
    """JSON that no strict parser takes: fenced in markdown, or broken off at the token limit."""
    if rng.random() < 0.7:
        return SimulatedAnswer(f"```json\n{output}\n```"), "stop"
    return SimulatedAnswer(_cut(rng, output)), "length"


def _cut(rng: Random, output: str) -> str:
    return output[: int(len(output) * (0.4 + 0.5 * rng.random()))]


def _output_tokens(answer: SimulatedAnswer, characters_per_token: float) -> int:
    calls = answer.tool_calls or ()
    characters = len(answer.output or "") + sum(20 + len(bytes(call.arguments)) for call in calls)
    return max(1, round(characters / characters_per_token))


def _cost_usd(model: str, input_tokens: int, output_tokens: int) -> float:
    input_usd, output_usd = _USD_PER_TOKEN[model]
    return round(input_tokens * input_usd + output_tokens * output_usd, 8)


def _timing(rng: Random, request: _MirroredRequest, model: str, output_tokens: int) -> Timing:
    """First token, then one token after the other; one answer in a hundred gets stuck a while."""
    pace = request.difficulty * rng.lognormvariate(0.0, 0.18)
    if rng.random() < 0.01:
        pace *= 3.5
    first_token_ms = _FIRST_TOKEN_MS[request.task.workflow] * pace * rng.lognormvariate(0.0, 0.15)
    duration_ms = first_token_ms + 1000.0 * pace * output_tokens / _TOKENS_PER_S[model]
    if duration_ms > REQUEST_TIMEOUT_MS:
        duration_ms = REQUEST_TIMEOUT_MS - 100.0 * rng.random()
    return Timing(
        duration_ms=round(duration_ms, 1),
        time_to_first_token_ms=(
            round(min(first_token_ms, duration_ms), 1) if request.task.streamed else None
        ),
    )


def _write(rng: Random, event: Event, offset_s: float) -> Iterator[SimulatedMessage]:
    """The message of an event, or what the network makes of it."""
    key = event_key(event)
    payload = encode_event(event)
    duration_ms = event.timing.duration_ms if event.timing else None
    arrival_s = offset_s + (duration_ms or 0.0) / 1000.0
    fate = rng.random()
    if (fate := fate - LOST_RATE) < 0:
        return
    if (fate := fate - LATE_RATE) < 0:
        arrival_s = offset_s + LATE_AFTER_S + 60.0 * rng.random()
    message = SimulatedMessage(key, payload, arrival_s, event)
    yield message
    if 0 <= fate < DUPLICATE_RATE:
        yield replace(message, arrival_offset_s=arrival_s + 10.0 * rng.random())
    elif DUPLICATE_RATE <= fate < DUPLICATE_RATE + INVALID_RATE:
        yield SimulatedMessage(key, _damaged(rng, payload), arrival_s, None)


def _damaged(rng: Random, payload: bytes) -> bytes:
    """An extra message that cannot be used."""
    return (
        payload[: len(payload) // 2],
        payload.replace(b'"schema_version":1', b'"schema_version":7', 1),
        payload.replace(b'"side":"', b'"side":"un', 1),
        b'{"hello":"gateway"}',
        b"\x80\x04\x95 not JSON at all",
    )[int(rng.random() * 5)]
