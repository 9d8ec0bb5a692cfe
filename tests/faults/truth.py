"""What the tables must say, from the log alone: plain, slow, sharing no code with the product.

The rules are those of the documentation, applied record by record to one partition at a time.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Slice = tuple[str, str, str, str, int, int]
"""Rollout, mode, language, workflow, window start in ms, partition."""
MOST_TURNS = 32
"""Of a conversation within a twelfth of the join timeout."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


@dataclass(frozen=True)
class Record:
    """One message as Kafka keeps it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Rules:
    """Times in milliseconds."""

    window_ms: int
    timeout_ms: int
    lateness_ms: int
    skew_ms: int
    tolerance_ms: int = 500
    grace_ms: int = 500

    @property
    def horizon_ms(self) -> int:
        once_ms = self.window_ms + self.timeout_ms + self.lateness_ms + self.tolerance_ms
        answers_ms = turns_ms = self.timeout_ms
        return once_ms + answers_ms + turns_ms + max(1, self.timeout_ms // 12)


@dataclass
class Truth:
    """Where every record of some partitions ended."""

    read: int = 0
    waiting: int = 0
    windows: dict[Slice, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    closed: set[Slice] = field(default_factory=set)
    comparisons: dict[tuple[str, str, int], tuple[Any, ...]] = field(default_factory=dict)
    """By rollout, pair and request time, since ids are used again: partition, offset, window,
    language, sides there, identical."""
    unmatched: set[tuple[Any, ...]] = field(default_factory=set)
    """Rollout, pair, side, partition, offset, reason."""
    invalid: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset."""
    ends: dict[int, tuple[int, int | None, int]] = field(default_factory=dict)
    """By partition: next offset, watermark, sides waiting."""

    def accounted(self) -> int:
        """Records in all windows, and those that wait."""
        events = sum(
            count
            for counts in self.windows.values()
            for name, count in counts.items()
            if name.startswith("events_")
        )
        return events + self.waiting


class Invalid(Exception):
    """To dead letters; the arguments are the event, if it has one, and the time that counts it."""


@dataclass
class _Request:
    time_ms: int
    newest_ms: int
    wanted: frozenset[str]
    sides: dict[str, tuple[dict[str, Any], int]] = field(default_factory=dict)
    open_until: dict[str, float] = field(default_factory=dict)
    done: bool = False
    disputed: bool = False
    """A side came that disagrees."""
    place: int = 0
    """Among the requests of its conversation within a twelfth of the join timeout, from 1."""

    def is_complete(self, watermark: int) -> bool:
        """Whether all sides are there, and no later attempt can replace one."""
        is_open = any(until > watermark for until in self.open_until.values())
        return self.sides.keys() == self.wanted and not is_open


@dataclass(frozen=True)
class _Turn:
    at: int
    offset: int
    labels: tuple[str, ...]
    harm: int
    """Whether the side failed; of a pair whether the candidate did less whether stable did."""
    tokens: list[int] | None
    """Of both sides, if they are known."""


class Reader:
    """Applies the rules to one partition."""

    def __init__(self, partition: int, rules: Rules, truth: Truth) -> None:
        self._partition = partition
        self._rules = rules
        self._truth = truth
        self._watermark: int | None = None
        self._requests: dict[tuple[str, str], _Request] = {}
        self._seen: Counter[tuple[Any, ...]] = Counter()
        self._turns: dict[tuple[Any, ...], list[_Turn]] = defaultdict(list)

    def read(self, records: Iterable[Record]) -> None:
        """Everything, in order."""
        last = -1
        for record in records:
            last = record.offset
            self._truth.read += 1
            before = self._watermark
            try:
                self._take(record)
            except _Known:
                continue
            except Invalid as error:
                self._truth.invalid.add((self._partition, record.offset))
                event, *at = error.args
                labels = _labels(event) if event else _labels_of_garbage(record)
                self._count(labels, at[0] if at else before or 0, "events_invalid")
        self._finish(last + 1)

    def _take(self, record: Record) -> None:
        event = _decode(record.value)
        at = _time_ms(event)
        if at > record.timestamp_ms + self._rules.skew_ms:
            raise Invalid(event)
        before = at if self._watermark is None else self._watermark
        self._watermark = max(before, at)
        oldest = before - self._rules.timeout_ms
        if at < oldest:
            self._count(_labels(event), before, "events_late")
            self._alone(event, record.offset, "late")
        else:
            self._join(event, at, record.offset, before)

    def _join(self, event: dict[str, Any], at: int, offset: int, before: int) -> None:
        key, side = (event["rollout_id"], event["pair_id"]), event["side"]
        request = self._requests.get(key)
        oldest = max(before, at) - self._rules.timeout_ms
        if request is not None and request.time_ms < oldest:
            self._give_up(request)
            request = request if request.newest_ms >= oldest else None
        if request is None:
            request = self._requests[key] = _Request(at, at, frozenset(event["sides"]))
            interval = max(1, self._rules.timeout_ms // 12)
            conversation = (*_conversation(event), at // interval)
            self._seen[conversation] += 1
            request.place = self._seen[conversation]
        else:
            request.newest_ms = max(request.newest_ms, at)
            try:
                self._check(request, event, at, before)
            except Invalid:
                request.disputed = True
                raise
        request.sides[side] = (event, offset)
        request.open_until[side] = self._open_until(event, max(before, at))
        if request.is_complete(max(before, at)):
            self._complete(request)

    def _check(self, request: _Request, event: dict[str, Any], at: int, before: int) -> None:
        """Count or refuse what is no new side; a later attempt supersedes the one before."""
        if abs(request.time_ms - at) > self._rules.tolerance_ms:
            raise Invalid(event, at)
        side = event["side"]
        known = request.sides.get(side)
        is_open = not request.done and before < request.open_until.get(side, before)
        if known is not None and not (is_open and _attempt(event) > _attempt(known[0])):
            self._count(_labels(event), at, "events_duplicate")
            raise _Known
        if request.done or request.wanted != frozenset(event["sides"]):
            raise Invalid(event, at)
        for other, _ in request.sides.values():
            if _shared(other) != _shared(event):
                raise Invalid(event, at)
        if known is not None:
            self._count(_labels(known[0]), request.time_ms, "events_superseded")

    def _open_until(self, event: dict[str, Any], watermark: int) -> float:
        """Up to which watermark a later attempt replaces this one."""
        fallback = event.get("fallback") or {}
        if fallback.get("final") is False:
            return math.inf
        if fallback.get("final") or not event.get("error") or not fallback.get("attempts"):
            return -math.inf
        return watermark + self._rules.grace_ms

    def _complete(self, request: _Request) -> None:
        request.done = True
        sides = {name: event for name, (event, _) in request.sides.items()}
        first = next(iter(sides.values()))
        labels = _labels(first)
        paired = "stable" in sides and "candidate" in sides
        self._count(labels, request.time_ms, "events_paired" if paired else "events_single",
                    len(sides))  # fmt: skip
        identical = False
        for name in sides.keys() & {"stable", "candidate"}:
            self._count_side(labels, request.time_ms, name, sides[name])
        if paired:
            identical = _same_text(sides["stable"], sides["candidate"])
            self._count(labels, request.time_ms, "pair_pairs")
            self._count(labels, request.time_ms, "pair_identical", identical)
            if "control" in sides:
                same = _same_text(sides["stable"], sides["control"])
                self._count(labels, request.time_ms, "control_pairs")
                self._count(labels, request.time_ms, "control_identical", same)
        self._multiply(request, sides)
        window = request.time_ms - request.time_ms % self._rules.window_ms
        offset = max(offset for _, offset in request.sides.values())
        name = first["rollout_id"], first["pair_id"], request.time_ms
        self._truth.comparisons[name] = (
            self._partition, offset, window, first["language"], tuple(sorted(sides)), identical
        )  # fmt: skip

    def _multiply(self, request: _Request, sides: dict[str, dict[str, Any]]) -> None:
        """Count a turn, and its pairs with all other turns of its conversation."""
        ordered = [sides[name] for name in ("stable", "candidate") if name in sides]
        number = next((event["turn"] for event in ordered if event.get("turn")), 0)
        if not ordered[0].get("conversation_id") or not number:
            return
        paired = len(ordered) == 2
        section = "turns" if paired else f"{next(iter(sides))}_turns"
        labels, at = _labels(next(iter(sides.values()))), request.time_ms
        self._count(labels, at, f"{section}_requests")
        self._count(labels, at, f"{section}_first", number == 1)
        self._count(labels, at, f"{section}_earlier", number - 1)
        if request.place > MOST_TURNS:
            return
        failed = [_failed(event) for event in ordered]
        tokens = [(event.get("usage") or {}).get("output_tokens") for event in ordered]
        known = None not in tokens and not (paired and any(failed))
        turn = _Turn(
            at, max(offset for _, offset in request.sides.values()), labels,
            failed[-1] - failed[0] if paired else int(failed[0]), tokens if known else None,
        )  # fmt: skip
        others = self._turns[section, *_conversation(ordered[0])]
        for other in others:
            if abs(other.at - at) <= self._rules.timeout_ms:
                self._multiply_two(section, *sorted((turn, other), key=lambda t: (t.at, t.offset)))
        others.append(turn)

    def _multiply_two(self, section: str, earlier: _Turn, later: _Turn) -> None:
        def count(name: str, number: int) -> None:
            self._count(later.labels, later.at, f"{section}_{name}", number)

        count("error_pairs", 1)
        count("error_sums", earlier.harm + later.harm)
        count("error_products", earlier.harm * later.harm)
        if earlier.tokens is None or later.tokens is None:
            return
        count("output_tokens_pairs", 1)
        crossed = zip(earlier.tokens, reversed(later.tokens), strict=True)
        name = "products" if len(later.tokens) == 1 else "cross_products"
        count(f"output_tokens_{name}", sum(left * right for left, right in crossed))

    def _count_side(
        self, labels: tuple[str, ...], at: int, name: str, event: dict[str, Any]
    ) -> None:
        self._count(labels, at, f"{name}_requests")
        self._count(labels, at, f"{name}_errors", _failed(event))
        tokens = (event.get("usage") or {}).get("output_tokens") or 0
        self._count(labels, at, f"{name}_output_tokens_sum", tokens)

    def _give_up(self, request: _Request) -> None:
        """The partner will not come any more, nor a later attempt."""
        if request.done:
            return
        sides = request.sides.keys()
        if {"stable", "candidate"} <= sides or sides == request.wanted:
            self._complete(request)
            return
        request.done = True
        for side, (event, offset) in request.sides.items():
            self._count(_labels(event), request.time_ms, f"events_unmatched_{side}")
            self._alone(event, offset, "timeout")
        if not request.disputed:
            self._count_lost(request)

    def _count_lost(self, request: _Request) -> None:
        """A request of which one side of two never came counts once."""
        for side, missing in (("stable", "candidate"), ("candidate", "stable")):
            if side in request.sides:
                event, _ = request.sides[side]
                labels, name = _labels(event), f"pair_lost_{missing}"
                self._count(labels, request.time_ms, name)
                self._count(labels, request.time_ms, f"{name}_{side}_errors", _failed(event))

    def _count_unresolved(self, request: _Request, watermark: int) -> None:
        """A request of two sides that waits counts once, by the side that is not known yet."""
        if not {"stable", "candidate"} <= request.wanted:
            return
        known = {
            side: event
            for side, (event, _) in request.sides.items()
            if request.open_until[side] <= watermark
        }
        missing, other = "stable", known.get("candidate")
        if "stable" in known and other is None:
            missing, other = "candidate", known["stable"]
        first, _ = next(iter(request.sides.values()))
        name = f"unresolved_awaiting_{missing}"
        self._count(_labels(first), request.time_ms, name)
        failed, fell_back = other and _failed(other), other and _fell_back(other)
        self._count(_labels(first), request.time_ms, f"{name}_errors", bool(failed))
        self._count(_labels(first), request.time_ms, f"{name}_fallbacks", bool(fell_back))

    def _alone(self, event: dict[str, Any], offset: int, reason: str) -> None:
        self._truth.unmatched.add(
            (event["rollout_id"], event["pair_id"], event["side"], self._partition, offset, reason)
        )

    def _finish(self, position: int) -> None:
        waiting = 0
        if self._watermark is not None:
            for request in self._requests.values():
                oldest = self._watermark - self._rules.timeout_ms
                if request.time_ms < oldest or request.is_complete(self._watermark):
                    self._give_up(request)
                elif not request.done:
                    waiting += len(request.sides)
                    self._count_unresolved(request, self._watermark)
        self._truth.waiting += waiting
        self._truth.ends[self._partition] = (position, self._watermark, waiting)
        if self._watermark is None:
            return
        last = self._watermark - self._rules.lateness_ms - self._rules.window_ms
        mine = [name for name in self._truth.windows if name[5] == self._partition]
        self._truth.closed |= {name for name in mine if name[4] <= last}

    def _count(self, labels: tuple[str, ...], at: int, name: str, count: int = 1) -> None:
        rollout, mode, language, workflow = labels
        window = at - at % self._rules.window_ms
        counts = self._truth.windows[rollout, mode, language, workflow, window, self._partition]
        if count:
            counts[name] += count


def _shared(event: dict[str, Any]) -> tuple[Any, ...]:
    """What all sides of a request must say alike; a turn means nothing without a conversation."""
    conversation = event.get("conversation_id")
    turn = event.get("turn") if conversation else None
    return event["mode"], event["workflow"], event["language"], conversation, turn


class _Known(Exception):
    """A copy; it has been counted."""


def truth_of(logs: dict[int, list[Record]], rules: Rules) -> Truth:
    """Of all partitions together."""
    truth = Truth()
    for partition, records in logs.items():
        Reader(partition, rules, truth).read(records)
    return truth


FeedbackSlice = tuple[str, str, str, str, int, int]
"""As for events; late and invalid records are in no slice that is compared."""


def ratings_of(logs: dict[int, list[Record]], rules: Rules) -> dict[FeedbackSlice, Counter[str]]:
    """What windows must say of feedback: each rating once, in the window of its own time."""
    counts: dict[FeedbackSlice, Counter[str]] = defaultdict(Counter)
    for partition, records in logs.items():
        watermark = None
        last: dict[tuple[str, ...], int] = {}
        for record in records:
            rating = json.loads(record.value or b"")
            at = (dt.datetime.fromisoformat(rating["feedback_time"]) - _EPOCH) // _MS
            before = at if watermark is None else watermark
            watermark = max(before, at)
            if at < before - rules.timeout_ms:
                counts[_rated(rating, before, partition, rules)]["events_late"] += 1
                continue
            count = counts[_rated(rating, at, partition, rules)]
            name = tuple(rating[part] for part in ("rollout_id", "pair_id", "side", "name"))
            known = last.get(name)
            last[name] = max(at, known or at)
            if known is not None and known >= watermark - rules.timeout_ms:
                count["events_duplicate"] += 1
                continue
            count["events_single"] += 1
            count[f"{rating['side']}_feedback_score_count"] += 1
            count[f"{rating['side']}_feedback_positive"] += rating["score_value"] >= 0.5
    return counts


def _rated(rating: dict[str, Any], at: int, partition: int, rules: Rules) -> FeedbackSlice:
    window = at - at % rules.window_ms
    return (
        rating["rollout_id"], rating["mode"], rating.get("language", "und"), "", window, partition
    )  # fmt: skip


def _decode(value: bytes | None) -> dict[str, Any]:
    try:
        event = json.loads(value or b"")
    except ValueError:
        raise Invalid(None) from None
    if event["side"] not in event.get("sides", ()):
        raise Invalid(None)
    return {"workflow": None, **event}


def _attempt(event: dict[str, Any]) -> tuple[int, bool]:
    """Which attempt of its side an event is."""
    fallback = event.get("fallback") or {}
    return fallback.get("attempts") or 1, fallback.get("final") is not False


def _failed(event: dict[str, Any]) -> bool:
    return bool(event.get("error")) or (event.get("fallback") or {}).get("final") is False


def _conversation(event: dict[str, Any]) -> tuple[Any, ...]:
    return event["rollout_id"], event["mode"], event.get("conversation_id")


def _fell_back(event: dict[str, Any]) -> bool:
    return bool((event.get("fallback") or {}).get("used"))


def _time_ms(event: dict[str, Any]) -> int:
    return (dt.datetime.fromisoformat(event["request_time"]) - _EPOCH) // _MS


def _labels(event: dict[str, Any]) -> tuple[str, ...]:
    return event["rollout_id"], event["mode"], event["language"], event["workflow"] or ""


def _labels_of_garbage(record: Record) -> tuple[str, ...]:
    """What it says of itself, else what its key says."""
    try:
        said = json.loads(record.value or b"")
    except ValueError:
        said = {}
    rollout = said.get("rollout_id") or (record.key or b"").decode().partition("/")[0]
    return rollout, said.get("mode", ""), "und", ""


def _same_text(left: dict[str, Any], right: dict[str, Any]) -> bool:
    texts = [(event.get("response") or {}).get("output") for event in (left, right)]
    return texts[0] is not None and texts[0] == texts[1]
