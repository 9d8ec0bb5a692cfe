"""A second opinion on the report: plain, slow, and sharing no code with the product.

It works on lists of lines and dictionaries: validity with `json`, the join with a dictionary,
percentiles with sorted lists, similarity with bit-parallel LCS on Python's big integers. Two things
are taken from the product's documentation, since the report's definition leaves them open: above
2048 characters similarity is the Dice coefficient of hashed 3-grams, and requests without a
language tag get the language that the caller's `detect` says.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NoReturn

Document = dict[str, Any]
Detect = Callable[[str], str]
SliceName = tuple[str, str, str, str | None]
"""Rollout, mode, language, workflow."""

MAX_EVENT_BYTES = 1_048_576
MAX_JSON_DEPTH = 128
MAX_INDEL_CHARACTERS = 2048
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EARLIEST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


# --- one event --------------------------------------------------------------------------------


_DEEP_ARGUMENTS = re.compile(r'(?<="arguments":)\[{1000,}\]{1000,}')
"""Deeper than Python's parser goes; like any text that is no JSON, they make a broken tool call."""


class Invalid(Exception):
    """The event goes to dead letters; the argument is the reason."""


def strict_json(text: str | bytes) -> Any:
    """The value of a JSON text by RFC 8259. Raises ValueError."""

    def reject(constant: str) -> NoReturn:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=reject, parse_int=_number)
    except RecursionError:
        raise ValueError("too deep") from None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= 4_000 else float(digits)


def depth(value: Any) -> int:
    """How deep arrays and objects nest, without recursion."""
    deepest, stack = 0, [(value, 1)]
    while stack:
        here, level = stack.pop()
        if isinstance(here, dict | list):
            deepest = max(deepest, level)
            inside = here.values() if isinstance(here, dict) else here
            stack.extend((child, level + 1) for child in inside)
    return deepest


def is_json(text: str | None) -> bool:
    """Whether it is, and no string that holds an object or an array."""
    try:
        value = strict_json(text or "")
        is_quoted = isinstance(value, str) and value.strip()[:1] in ("{", "[") and is_json(value)
        return depth(value) <= MAX_JSON_DEPTH and not is_quoted
    except ValueError:
        return False


def read_event(line: bytes) -> Document:
    """The event as far as it can be read, or `Invalid` where its identity cannot."""
    if not line:
        raise Invalid("empty")
    is_large = len(line) > MAX_EVENT_BYTES
    try:
        text = line.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        given = json.loads(_DEEP_ARGUMENTS.sub('"too deep"', text), strict=False)
        event = whole_characters(given)
    except (ValueError, RecursionError):
        raise Invalid("too_large" if is_large else "not_json") from None
    if not isinstance(event, dict):
        raise Invalid("schema")
    version = event.get("schema_version")
    if type(version) is int and version != 1:
        raise Invalid("unsupported_version")
    if not _well_typed(event):
        raise Invalid("schema")
    if not _sides_agree(event):
        raise Invalid("sides")
    if not EARLIEST <= dt.datetime.fromisoformat(event["request_time"]) < END:
        raise Invalid("time_range")
    whole = mended(event, is_large)
    if (given.get("response") or {}).get("output") != (event.get("response") or {}).get("output"):
        whole["unreadable"].append("response.output")
    return whole


def whole_characters(value: Any) -> Any:
    """The same JSON value with U+FFFD for half characters."""
    text = json.dumps(value, ensure_ascii=False)
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def mended(event: Document, is_large: bool = False) -> Document:
    """The event without what is broken in it; an answer of which nothing is left is an error."""
    event = {**event, "unreadable": []}
    for part, ranges in RANGES.items():
        given = event.get(part)
        event[part] = None
        if isinstance(given, dict):
            event[part] = {
                name: value
                for name, value in given.items()
                if name not in ranges or _in_range(value, *ranges[name])
            }
            event["unreadable"] += [f"{part}.{n}" for n in given.keys() - event[part].keys()]
    response = event.get("response")
    if isinstance(response, dict):
        calls = response.get("tool_calls") or []
        named = [{**call, "name": call.get("name") or ""} for call in calls]
        output = response.get("output")
        is_lost = not isinstance(output, str | None) or (is_large and len(output or "") > 10**6)
        if any(not isinstance(call.get("name"), str) for call in calls):
            event["unreadable"].append("response.tool_calls.name")
        if is_lost:
            event["unreadable"].append("response" if is_large else "response.output")
        event["response"] = {**response, "tool_calls": named, "output": None if is_lost else output}
        if is_lost and not named:
            event["error"] = event.get("error") or {"type": "unreadable"}
    return event


RANGES: dict[str, dict[str, tuple[float, type]]] = {
    "timing": {
        "duration_ms": (7 * 86_400_000.0, float),
        "time_to_first_token_ms": (7 * 86_400_000.0, float),
    },
    "usage": {
        "cost_usd": (1000.0, float),
        "input_tokens": (2**31 - 1, int),
        "output_tokens": (2**31 - 1, int),
    },
}
"""The largest value, and whether it has to be whole."""


def _well_typed(event: Document) -> bool:
    return (
        event.get("schema_version") == 1
        and type(event["schema_version"]) is int
        and _text(event.get("rollout_id"), 128) and "/" not in event["rollout_id"]
        and _text(event.get("pair_id"), 256)
        and event.get("mode") in ("shadow", "interleave", "canary", "ab")
        and event.get("side") in ("stable", "candidate", "control")
        and isinstance(event.get("sides"), list)
        and all(side in ("stable", "candidate", "control") for side in event["sides"])
        and time_ms(event) is not None
        and isinstance(event.get("conversation_id"), str | None)
        and len(event.get("conversation_id") or "") <= 256
    )  # fmt: skip


def _text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest


def _in_range(value: Any, most: float, kind: type) -> bool:
    types = (int,) if kind is int else (int, float)
    return value is None or (type(value) in types and 0 <= value <= most)


def _sides_agree(event: Document) -> bool:
    sides = event["sides"]
    if len(set(sides)) != len(sides) or event["side"] not in sides:
        return False
    if event["mode"] in ("shadow", "interleave"):
        return {"stable", "candidate"} <= set(sides)
    return len(sides) == 1 and "control" not in sides


def time_ms(event: Document) -> int | None:
    """The request time, milliseconds since 1970; None when there is none with a zone."""
    try:
        moment = dt.datetime.fromisoformat(event["request_time"])
        return (moment - EPOCH) // dt.timedelta(milliseconds=1)
    except (KeyError, TypeError, ValueError):
        return None


# --- the join ---------------------------------------------------------------------------------


@dataclass
class Rules:
    """The times that decide; milliseconds."""

    join_timeout_ms: int = 120_000
    tolerance_ms: int = 5_000
    grace_ms: int = 2_000
    window_ms: int = 10_000
    latest_ms: Callable[[int], int] | None = None
    """Largest request time allowed for the record at an offset; None for any."""
    ends: bool = True
    """Whether nothing follows the last line, so that what waits stays alone."""


@dataclass
class Request:
    """Sides that belong together."""

    sides: dict[str, Document]
    time_ms: int
    window_ms: int
    offset: int
    """Of the side that came last."""


@dataclass
class Account:
    """Where every event ended."""

    read: int = 0
    pairs: list[Request] = field(default_factory=list)
    singles: list[Request] = field(default_factory=list)
    unmatched: list[tuple[Document, int]] = field(default_factory=list)
    """Events with the offset of each; the same for the next four."""
    duplicate: list[tuple[Document, int]] = field(default_factory=list)
    superseded: list[tuple[Document, int]] = field(default_factory=list)
    late: list[tuple[Document, int]] = field(default_factory=list)
    pending: list[tuple[Document, int]] = field(default_factory=list)
    invalid: list[tuple[str, int]] = field(default_factory=list)
    """Reason and offset."""

    def __add__(self, other: Account) -> Account:
        return Account(**{name: getattr(self, name) + getattr(other, name)
                          for name in self.__dataclass_fields__})  # fmt: skip

    def accounted(self) -> int:
        joined = sum(len(request.sides) for request in self.pairs + self.singles)
        alone = (self.unmatched, self.duplicate, self.superseded, self.late, self.pending)
        return joined + sum(map(len, alone)) + len(self.invalid)


def join(lines: Iterable[bytes], rules: Rules | None = None) -> Account:
    """Put every line in its place, one after the other; the lines of one partition in order."""
    return _Joiner(rules or Rules()).run(lines)


class _Joiner:
    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.account = Account()
        self.watermark: int | None = None
        self.open: dict[tuple[str, str], dict[str, Any]] = {}

    def run(self, lines: Iterable[bytes]) -> Account:
        for offset, line in enumerate(lines):
            self.account.read += 1
            try:
                self._take(read_event(line), offset)
            except Invalid as error:
                self.account.invalid.append((error.args[0], offset))
        if self.watermark is not None:
            self._expire(self.watermark - self.rules.join_timeout_ms)
        for entry in self.open.values():
            self._end(entry)
        return self.account

    def _take(self, event: Document, offset: int) -> None:
        at = time_ms(event)
        assert at is not None
        if self.rules.latest_ms is not None and at > self.rules.latest_ms(offset):
            raise Invalid("clock_ahead")
        before = self.watermark if self.watermark is not None else at
        self.watermark = max(before, at)
        oldest = before - self.rules.join_timeout_ms
        if at < oldest:
            self.account.late.append((event, offset))
            return
        self._expire(oldest)
        self._join(event, at, offset, before)

    def _expire(self, oldest: int) -> None:
        for key, entry in list(self.open.items()):
            if entry["time"] < oldest:
                self._give_up(entry)
            if entry["newest"] < oldest:
                del self.open[key]

    def _join(self, event: Document, at: int, offset: int, before: int) -> None:
        key = (event["rollout_id"], event["pair_id"])
        entry = self.open.get(key)
        oldest = max(before, at) - self.rules.join_timeout_ms
        if entry is not None and entry["time"] < oldest:
            self._give_up(entry)
            entry = entry if entry["newest"] >= oldest else None
        side, wanted = event["side"], set(event["sides"])
        if entry is None:
            entry = self.open[key] = {
                "time": at, "newest": at, "wanted": wanted, "sides": {}, "done": False, "until": {},
            }  # fmt: skip
        else:
            entry["newest"] = max(entry["newest"], at)
            if not self._is_new(entry, event, at, offset, before):
                return
        entry["sides"][side] = (event, offset)
        entry["until"][side] = self._open_until(event, max(before, at))
        if self._is_complete(entry, max(before, at)):
            self._complete(entry)

    def _is_new(
        self, entry: dict[str, Any], event: Document, at: int, offset: int, before: int
    ) -> bool:
        """Whether an event adds a side to a request, or replaces an attempt; else it is counted."""
        if abs(at - entry["time"]) > self.rules.tolerance_ms:
            raise Invalid("disagrees")
        known = entry["sides"].get(event["side"])
        is_open = known is not None and not entry["done"] and before < entry["until"][event["side"]]
        if known is not None and not (is_open and attempt(event) > attempt(known[0])):
            self.account.duplicate.append((event, offset))
            return False
        if entry["done"] or entry["wanted"] != set(event["sides"]):
            raise Invalid("disagrees")
        self._check_labels(event, [other for other, _ in entry["sides"].values()])
        if known is not None:
            self.account.superseded.append(known)
        return True

    def _open_until(self, event: Document, watermark: int) -> float:
        """The watermark up to which a later attempt replaces this one."""
        fallback = event.get("fallback") or {}
        if fallback.get("final") is False:
            return math.inf
        if fallback.get("final") or not event.get("error") or not fallback.get("attempts"):
            return -math.inf
        return watermark + self.rules.grace_ms

    @staticmethod
    def _is_complete(entry: dict[str, Any], watermark: int) -> bool:
        is_open = any(until > watermark for until in entry["until"].values())
        return set(entry["sides"]) == entry["wanted"] and not is_open

    @staticmethod
    def _check_labels(event: Document, others: list[Document]) -> None:
        for other in others:
            tags = {normal_tag(e["language"]) for e in (event, other) if e.get("language")}
            workflows = {e.get("workflow") or "" for e in (event, other)}
            conversations = {e.get("conversation_id") or "" for e in (event, other)}
            turns = {e["turn"] for e in (event, other) if e.get("turn")}
            torn = len(conversations) > 1 or (conversations != {""} and len(turns) > 1)
            if other["mode"] != event["mode"] or len(tags) > 1 or len(workflows) > 1 or torn:
                raise Invalid("disagrees")

    def _complete(self, entry: dict[str, Any]) -> None:
        entry["done"] = True
        sides = {name: event for name, (event, _) in entry["sides"].items()}
        request = Request(
            sides,
            entry["time"],
            entry["time"] // self.rules.window_ms * self.rules.window_ms,
            max(offset for _, offset in entry["sides"].values()),
        )
        paired = "stable" in sides and "candidate" in sides
        (self.account.pairs if paired else self.account.singles).append(request)

    def _end(self, entry: dict[str, Any]) -> None:
        """The log ends here."""
        assert self.watermark is not None
        if entry["done"] or self.rules.ends or self._is_complete(entry, self.watermark):
            self._give_up(entry)
        else:
            self.account.pending.extend(entry["sides"].values())

    def _give_up(self, entry: dict[str, Any]) -> None:
        if entry["done"]:
            return
        sides = set(entry["sides"])
        if {"stable", "candidate"} <= sides or sides == entry["wanted"]:
            self._complete(entry)
        else:
            entry["done"] = True
            self.account.unmatched.extend(entry["sides"].values())


def failed(event: Document) -> bool:
    """Whether a side has no answer."""
    return bool(event.get("error")) or (event.get("fallback") or {}).get("final") is False


def hung_up(event: Document) -> bool:
    """Whether the caller ended the request, which says nothing about the model."""
    return (event.get("error") or {}).get("status") == 499


def attempt(event: Document) -> tuple[int, bool]:
    """Which attempt of its side an event is."""
    fallback = event.get("fallback") or {}
    return fallback.get("attempts") or 1, fallback.get("final") is not False


# --- languages --------------------------------------------------------------------------------

_WRITTEN_OTHERWISE = {
    "zh": "zh-Hans", "zh-cn": "zh-Hans", "zh_cn": "zh-Hans", "zh-hans": "zh-Hans",
    "zh-tw": "zh-Hant", "zh_tw": "zh-Hant", "zh-hant": "zh-Hant", "zh-hk": "zh-Hant",
}  # fmt: skip


def normal_tag(tag: str) -> str:
    """BCP 47 in the usual case, empty for what is no tag; knows the tags that these tests use."""
    lowered = tag.strip().lower()
    if not re.fullmatch(r"[a-z]{2,3}([-_][a-z]{2,4})?", lowered):
        return ""
    if lowered in _WRITTEN_OTHERWISE:
        return _WRITTEN_OTHERWISE[lowered]
    language, _, region = lowered.replace("_", "-").partition("-")
    return f"{language}-{region.upper()}" if region else language


def language_of(events: Sequence[Document], detect: Detect) -> str:
    """Of a request: a tag, else told from the prompt, else from the output."""
    for event in events:
        if tag := normal_tag(event.get("language") or ""):
            return tag
    for event in events:
        prompt = (event.get("request") or {}).get("prompt")
        if prompt and (found := detect(prompt)) != "und":
            return found
    outputs = [(event.get("response") or {}).get("output") for event in events]
    return next((detect(output) for output in outputs if output), "und")


# --- one side, one pair -----------------------------------------------------------------------


def _answer(event: Document) -> Document:
    """The response of a side that answered; nothing of one that failed."""
    return {} if failed(event) else event.get("response") or {}


def _expects_json(event: Document) -> bool:
    expects = (event.get("request") or {}).get("expects") or "text"
    return expects != "text" and not failed(event)


def side_figures(events: Sequence[Document], satisfies: Callable[[Document], bool]) -> Document:
    """The SIDE of the report."""
    expected = [event for event in events if _expects_json(event)]
    usage = [event.get("usage") or {} for event in events]
    timing = [{} if hung_up(event) else event.get("timing") or {} for event in events]
    streamed = [
        told
        for event, told in zip(events, timing, strict=True)
        if (event.get("response") or {}).get("stream")
    ]
    return {
        "requests": len(events),
        "errors": sum(1 for event in events if failed(event) and not hung_up(event)),
        "fallbacks": sum(1 for e in events if (e.get("fallback") or {}).get("used")),
        "json_expected": len(expected),
        "json_valid": sum(1 for e in expected if is_json(_answer(e).get("output"))),
        "json_schema_valid": sum(1 for e in expected if satisfies(e)),
        "truncated": sum(1 for e in events if _answer(e).get("finish_reason") == "length"),
        "duration_ms": percentiles(_known(timing, "duration_ms")),
        "time_to_first_token_ms": percentiles(_known(streamed, "time_to_first_token_ms")),
        "input_tokens": sum(_known(usage, "input_tokens")),
        "output_tokens": sum(_known(usage, "output_tokens")),
        "cost_usd": math.fsum(_known(map(_priced, usage), "cost_usd")),
    }


def _priced(usage: Document) -> Document:
    """The usage; a price of 0 for tokens is none."""
    tokens = (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0)
    return {**usage, "cost_usd": None} if tokens and usage.get("cost_usd") == 0 else usage


def _known(records: Iterable[Document], name: str) -> list[Any]:
    return [record[name] for record in records if record.get(name) is not None]


def percentiles(values: list[float]) -> dict[str, float | None]:
    """Nearest rank: the smallest value with at least p % of all at or below it."""
    ordered = sorted(values)
    return {
        f"p{p}": ordered[-(-p * len(ordered) // 100) - 1] if ordered else None for p in (50, 95, 99)
    }


def delta_figures(pairs: Sequence[Request]) -> Document:
    """The delta of the report."""
    both = [(request.sides["stable"], request.sides["candidate"]) for request in pairs]
    answered = [(a, b) for a, b in both if not failed(a) and not failed(b)]
    texts = [
        (_answer(a)["output"], _answer(b)["output"])
        for a, b in answered
        if _answer(a).get("output") and _answer(b).get("output")
    ]
    json_pairs = [
        (is_json(_answer(a).get("output")), is_json(_answer(b).get("output")))
        for a, b in answered
        if _expects_json(a) and _expects_json(b)
    ]
    tools = [(a, b) for a, b in answered if _uses_tools(a) or _uses_tools(b)]
    ratios = [
        math.log(right / left)
        for left, right in _both_known(answered, "timing", "duration_ms")
        if left > 0 and right > 0
    ]
    costs = [right - left for left, right in _both_known(answered, "usage", "cost_usd")]
    mean_ratio = _mean(ratios)
    return {
        "identical_rate": _mean([a == b for a, b in texts]),
        "similarity_mean": _mean([similarity(a, b) for a, b in texts]),
        "json_valid_only_stable": sum(1 for a, b in json_pairs if a and not b),
        "json_valid_only_candidate": sum(1 for a, b in json_pairs if b and not a),
        "tool_calls_match_rate": _mean([_same_calls(a, b) for a, b in tools]),
        "duration_ratio_geometric_mean": None if mean_ratio is None else math.exp(mean_ratio),
        "cost_usd_diff_mean": _mean(costs),
    }


def _both_known(
    pairs: Iterable[tuple[Document, Document]], part: str, name: str
) -> Iterator[tuple[float, float]]:
    for left, right in pairs:
        values = ((left.get(part) or {}).get(name), (right.get(part) or {}).get(name))
        if values[0] is not None and values[1] is not None:
            yield values[0], values[1]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _uses_tools(event: Document) -> bool:
    offered = (event.get("request") or {}).get("tools")
    return bool(offered or _answer(event).get("tool_calls"))


def _same_calls(left: Document, right: Document) -> bool:
    """The same calls, each as often."""
    missing = _calls(right)
    for call in _calls(left):
        if call not in missing:
            return False
        missing.remove(call)
    return not missing


def _calls(event: Document) -> list[Any]:
    """Names and arguments, arguments as JSON values."""
    return [
        (call["name"], _arguments(call.get("arguments")))
        for call in _answer(event).get("tool_calls") or []
    ]


def _arguments(value: Any) -> Any:
    """A value, or a string that holds one; null, an empty string and {} are all nothing."""
    if isinstance(value, str):
        if not value.strip():
            return canonical({})
        try:
            value = strict_json(value)
        except ValueError:
            return ("not JSON", value)
    return canonical({} if value is None else value)


def canonical(value: Any) -> Any:
    """Equal exactly when the JSON values are: true is not 1, 1 is 1.0, key order is nothing."""
    if isinstance(value, dict):
        return ("object", {key: canonical(child) for key, child in value.items()})
    if isinstance(value, list):
        return ("array", [canonical(child) for child in value])
    if isinstance(value, bool) or value is None:
        return ("literal", str(value))
    return ("text" if isinstance(value, str) else "number", value)


# --- similarity -------------------------------------------------------------------------------


@cache
def similarity(left: str, right: str) -> float:
    """1 for equal texts; Indel up to a length, above it the Dice coefficient of 3-grams."""
    if left == right:
        return 1.0
    if max(len(left), len(right)) <= MAX_INDEL_CHARACTERS:
        return 2 * longest_common_subsequence(left, right) / (len(left) + len(right))
    return dice(hashed_grams(left), hashed_grams(right))


def longest_common_subsequence(left: str, right: str) -> int:
    """Length, by the bit-parallel recurrence of Hyyrö (2004) on one big integer."""
    places: dict[str, int] = {}
    for place, character in enumerate(left):
        places[character] = places.get(character, 0) | 1 << place
    everything = (1 << len(left)) - 1
    row = everything
    for character in right:
        common = row & places.get(character, 0)
        row = ((row + common) | (row - common)) & everything
    return len(left) - row.bit_count()


def plain_grams(text: str) -> Counter[Any]:
    """3-grams of code points."""
    return Counter(zip(text, text[1:], text[2:], strict=False))


def hashed_grams(text: str) -> Counter[Any]:
    """The same in 8192 buckets: multiplicative hashing by 2^32 / golden ratio (Knuth 6.4)."""
    buckets: Counter[Any] = Counter()
    for gram, count in plain_grams(text).items():
        mixed = 0
        for character in gram:
            mixed = (mixed + ord(character)) * 2_654_435_761 % 2**32
        buckets[mixed >> 19] += count
    return buckets


def dice(left: Counter[Any], right: Counter[Any]) -> float:
    """Of two bags; nothing in either is nothing in common."""
    size = left.total() + right.total()
    return 2 * (left & right).total() / size if size else 0.0


# --- the report -------------------------------------------------------------------------------


def _never(_: Document) -> bool:
    return False


@dataclass
class Report:
    """Makes the document; `satisfies` says whether an answer meets its JSON Schema."""

    detect: Detect
    satisfies: Callable[[Document], bool] = _never

    def document(self, account: Account) -> Document:
        """The whole report."""
        requests = account.pairs + account.singles
        sides = Counter(event["side"] for event, _ in account.unmatched)
        single = Counter(name for request in account.singles for name in request.sides)
        return {
            "events": {
                "read": account.read,
                "invalid": len(account.invalid),
                "duplicate": len(account.duplicate),
                "superseded": len(account.superseded),
                "late": len(account.late),
            },
            "unreadable_fields": {
                side: dict(
                    Counter(
                        name
                        for request in requests
                        for name in request.sides.get(side, {}).get("unreadable", ())
                    )
                )
                for side in ("stable", "candidate")
            },
            "pairs": len(account.pairs),
            "unmatched": {name: sides[name] for name in ("stable", "candidate")},
            "single": {name: single[name] for name in ("stable", "candidate")},
            "rollouts": self._rollouts(requests),
        }

    def _rollouts(self, requests: list[Request]) -> list[Document]:
        by_slice = self.by_slice(requests)
        rollouts = sorted({name[0] for name in by_slice})
        return [
            {
                "rollout_id": rollout,
                "slices": [
                    *self._whole(rollout, by_slice),
                    *(
                        self.slice(mode, language, workflow, by_slice[name])
                        for name in sorted(by_slice, key=str)
                        for _, mode, language, workflow in [name]
                        if name[0] == rollout
                    ),
                ],
            }
            for rollout in rollouts
        ]

    def _whole(self, rollout: str, by_slice: dict[SliceName, list[Request]]) -> list[Document]:
        modes = sorted({name[1] for name in by_slice if name[0] == rollout})
        return [
            self.slice(
                mode, None, None,
                [r for name, some in by_slice.items() if name[:2] == (rollout, mode) for r in some],
            )
            for mode in modes
        ]  # fmt: skip

    def by_slice(self, requests: Iterable[Request]) -> dict[SliceName, list[Request]]:
        """Requests by rollout, mode, language and workflow."""
        groups: dict[SliceName, list[Request]] = {}
        for request in requests:
            groups.setdefault(self.slice_of(request), []).append(request)
        return groups

    def slice_of(self, request: Request) -> SliceName:
        """Rollout, mode, language and workflow of a request."""
        names = ("stable", "candidate", "control")
        sides = [request.sides[n] for n in names if n in request.sides]
        first = sides[0]
        language = language_of(sides, self.detect)
        return first["rollout_id"], first["mode"], language, first.get("workflow") or None

    def slice(
        self, mode: str, language: str | None, workflow: str | None, requests: list[Request]
    ) -> Document:
        """One slice of the report."""
        pairs = [r for r in requests if len(r.sides.keys() & {"stable", "candidate"}) == 2]
        return {
            "mode": mode,
            "language": language,
            "workflow": workflow,
            "pairs": len(pairs),
            **{
                side: side_figures(
                    [r.sides[side] for r in requests if side in r.sides], self.satisfies
                )
                for side in ("stable", "candidate")
            },
            "delta": delta_figures(pairs),
        }


# --- comparing --------------------------------------------------------------------------------

RELATIVE_ERROR = 0.01
SMALLEST = 1e-6


def differences(expected: Any, actual: Any, path: str = "") -> list[str]:
    """Every figure of one document that the other does not have; empty when they agree.

    Whole numbers agree exactly, percentiles within 1 %, means and sums within rounding.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        unlike = (
            expected.keys() - actual.keys()
            if _is_measured(path)
            else (expected.keys() ^ actual.keys())
        )
        if unlike:
            return [f"{path}: keys {sorted(unlike)}"]
        return [d for k in expected for d in differences(expected[k], actual[k], f"{path}.{k}")]
    if isinstance(expected, list) and isinstance(actual, list):
        return _list_differences(expected, actual, path)
    return [] if _agree(expected, actual, path) else [f"{path}: {expected!r} != {actual!r}"]


def _is_measured(path: str) -> bool:
    """Whether a report may hold measures there that the oracle does not compute."""
    return path.rpartition(".")[2] in ("stable", "candidate", "delta")


def _list_differences(expected: list[Any], actual: list[Any], path: str) -> list[str]:
    left, right = _by_name(expected), _by_name(actual)
    if left.keys() != right.keys() or len(expected) != len(actual):
        return [f"{path}: {sorted(left.keys() ^ right.keys())}"]
    return [d for name in left for d in differences(left[name], right[name], f"{path}[{name}]")]


def _by_name(items: list[Document]) -> dict[str, Document]:
    """Rollouts and slices by what they are of, so that their order does not matter."""
    names = ("rollout_id", "mode", "language", "workflow")
    return {"/".join(str(item[n]) for n in names if n in item): item for item in items}


def _agree(expected: Any, actual: Any, path: str) -> bool:
    if expected is None or actual is None or isinstance(expected, str):
        return bool(expected == actual)
    if path.rpartition(".")[2] in ("p50", "p95", "p99"):
        slack = RELATIVE_ERROR * (1 + 1e-9) * max(expected, SMALLEST) + (
            SMALLEST * (1 + RELATIVE_ERROR) if expected < SMALLEST else 0.0
        )
        return bool(abs(actual - expected) <= slack)
    if isinstance(expected, int):
        return type(actual) is int and expected == actual
    return math.isclose(expected, actual, rel_tol=1e-6, abs_tol=1e-9)
