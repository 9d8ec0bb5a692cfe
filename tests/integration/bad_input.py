"""Bad input as cases that a replay and the whole path share: lines, and where each must end."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

DEEP = 10_000
DEEP_JSON = "[" * DEEP + "]" * DEEP
PAIR = ["stable", "candidate"]
TRIPLE = ["stable", "candidate", "control"]


def event(pair_id: str, side: str = "stable", /, **changes: Any) -> bytes:
    """A valid event but for `changes`; a field changed to `...` is left out."""
    fields: dict[str, Any] = {
        "schema_version": 1,
        "rollout_id": "r",
        "pair_id": pair_id,
        "mode": "shadow",
        "side": side,
        "sides": PAIR,
        "request_time": "2025-03-03T12:00:00.5Z",
        "language": "en",
        "response": {"output": "hello"},
        "timing": {"duration_ms": 100.0},
    }
    merged = {name: value for name, value in {**fields, **changes}.items() if value is not ...}
    return json.dumps(merged, ensure_ascii=False).encode("utf-8", "surrogatepass")


def pair(pair_id: str, /, **changes: Any) -> list[bytes]:
    """Both sides, the changes on the candidate."""
    return [event(pair_id), event(pair_id, "candidate", **changes)]


def replaced(old: str, new: bytes) -> bytes:
    """A valid event with a piece of its text replaced."""
    line = event("replaced")
    assert old.encode() in line
    return line.replace(old.encode(), new)


UNMATCHED = {"unmatched_stable": 1}


@dataclass(frozen=True)
class Case:
    """Lines, the places where they end (zeros left out), and why some are invalid."""

    name: str
    lines: list[bytes]
    places: dict[str, int]
    reasons: list[str] = field(default_factory=list)
    candidate: dict[str, int] = field(default_factory=dict)
    """What the report must say of the candidate side over all."""
    in_a_file: dict[str, int] | None = None
    """Where the lines end in a replay of a file with nothing else, if that is elsewhere: events are
    sorted, and encodings told by the first bytes."""


def _invalid(name: str, line: bytes, reason: str, in_a_file: dict[str, int] | None = None) -> Case:
    return Case(name, [line], {"invalid": 1}, [reason], in_a_file=in_a_file)


def _damaged(name: str, line: bytes) -> Case:
    """An event that is read but for what is broken; its partner is missing."""
    return Case(name, [line], UNMATCHED)


def _output(text: str, expects: str = "text") -> dict[str, Any]:
    return {"response": {"output": text}, "request": {"expects": expects}}


def _calls(arguments: Any) -> dict[str, Any]:
    return {"response": {"tool_calls": [{"name": "f", "arguments": arguments}]}}


LATER = "2025-03-03T12:30:00Z"

CASES = [
    _invalid("not JSON", b"hello", "not_json"),
    _invalid("half a JSON", event("half")[:80], "not_json"),
    _invalid("two events on a line", event("a") + event("b"), "not_json"),
    _invalid("an array", b"[]", "schema"),
    _invalid("null", b"null", "schema"),
    _invalid("a number", b"17", "schema"),
    _invalid("an empty object", b"{}", "schema"),
    _invalid("binary", bytes(range(256)).replace(b"\n", b""), "not_json"),
    _damaged("not UTF-8", replaced("hello", b"h\xe9llo")),
    _invalid("UTF-16", event("wide").decode().encode("utf-16"), "not_json"),
    _damaged("byte order mark", b"\xef\xbb\xbf" + event("bom")),
    _invalid("pair_id a number", event("x", pair_id=7), "schema"),
    _invalid("pair_id empty", event(""), "schema"),
    _invalid("rollout_id with a slash", event("x", rollout_id="a/b"), "schema"),
    _invalid("sides as text", event("x", sides="stable"), "schema"),
    _damaged("output an object", event("x", response={"output": {}})),
    _damaged("duration as text", event("x", timing={"duration_ms": "5"})),
    _invalid("no time zone", event("x", request_time="2025-03-03T12:00:00"), "schema"),
    _invalid("time as a number", event("x", request_time=1741003200), "schema"),
    _invalid("month 13", event("x", request_time="2025-13-03T12:00:00Z"), "schema"),
    _invalid("version 2", event("x", schema_version=2), "unsupported_version"),
    _invalid("version 0", event("x", schema_version=0), "unsupported_version"),
    _invalid("version as text", event("x", schema_version="1"), "schema"),
    _invalid("no version", event("x", schema_version=...), "schema"),
    _invalid("no side", event("x", side=...), "schema"),
    _invalid("no sides", event("x", sides=...), "schema"),
    _invalid("side not among sides", event("x", sides=["candidate", "control"]), "sides"),
    _invalid("a fourth side", event("x", "shadow"), "schema"),
    _invalid("stable twice in sides", event("x", sides=["stable", "stable"]), "sides"),
    _invalid("canary with a pair", event("x", mode="canary"), "sides"),
    _invalid("shadow with one side", event("x", sides=["stable"]), "sides"),
    _damaged("NaN duration", event("x", timing={"duration_ms": float("nan")})),
    _damaged("infinite duration", event("x", timing={"duration_ms": float("inf")})),
    _damaged("duration 1e999", replaced("100.0", b"1e999")),
    _damaged("negative duration", event("x", timing={"duration_ms": -1})),
    _damaged("negative tokens", event("x", usage={"output_tokens": -1})),
    _damaged("tokens beyond 2^31", event("x", usage={"input_tokens": 2**31})),
    _damaged("negative cost", event("x", usage={"cost_usd": -0.01})),
    _damaged("lone surrogate, escaped", replaced("hello", rb"\ud800")),
    _damaged("lone surrogate, raw", event("x", **_output("\udfff"))),
    _damaged("5 MB output", event("x", **_output("x" * 5_000_000))),
    _invalid("2 MB without an identity", b'{"a":"' + b"x" * 2_000_000 + b'"}', "too_large"),
    _invalid("10 MB line", b"x" * 10_000_000, "too_large"),
    _invalid("10 000 deep event", b'{"a":' * DEEP + b"1" + b"}" * DEEP, "schema"),
    _invalid("10 000 deep array", DEEP_JSON.encode(), "schema"),
    _invalid("10 000 open brackets", b"[" * DEEP, "schema"),
    _damaged(
        "10 000 deep arguments",
        replaced('{"output": "hello"}',
                 b'{"tool_calls":[{"name":"f","arguments":' + DEEP_JSON.encode() + b"}]}"),
    ),
    _invalid("in 2099", event("x", request_time="2099-12-31T23:59:59Z"), "clock_ahead"),
    _invalid("in 2100", event("x", request_time="2100-01-01T00:00:00Z"), "time_range"),
    _invalid("in 9999", event("x", request_time="9999-12-31T23:59:59Z"), "time_range"),
    _invalid("in 1970", event("x", request_time="1970-01-01T00:00:00Z"), "time_range"),
    _invalid("in 1901", event("x", request_time="1901-01-01T00:00:00Z"), "time_range"),
    _invalid("in year 1", event("x", request_time="0001-01-01T00:00:00+01:00"), "time_range"),
    Case("in 2000, first", [event("x", request_time="2000-01-01T00:00:00Z")], UNMATCHED),
    Case(
        "in 2000, after others",
        [*pair("a"), event("x", request_time="2000-01-01T00:00:00Z")],
        {"pairs": 1, "late": 1},
        in_a_file={"pairs": 1, **UNMATCHED},
    ),
    Case("partner missing", [event("x")], UNMATCHED),
    Case("candidate alone", [event("x", "candidate")], {"unmatched_candidate": 1}),
    Case("partner too late", [event("x"), *pair("y", request_time=LATER), event("x", "candidate")],
         {"unmatched_stable": 2, "unmatched_candidate": 1, "late": 1},
         in_a_file={"pairs": 1, "unmatched_stable": 1, "unmatched_candidate": 1}),
    Case("a broken answer", pair("x", response={"output": {"a": 1}}), {"pairs": 1},
         candidate={"errors": 1}),
    Case("a runaway answer", pair("x", **_output("x" * 1_100_000)), {"pairs": 1},
         candidate={"errors": 1}),
    Case("broken measurements",
         pair("x", timing={"duration_ms": -3}, usage={"output_tokens": "31", "input_tokens": 5}),
         {"pairs": 1}, candidate={"errors": 0, "input_tokens": 5, "output_tokens": 0}),
    Case("half an emoji", [event("x"), event("x", "candidate").replace(b"hello", b"\\ud83c")],
         {"pairs": 1}, candidate={"errors": 0}),
    Case("a call without a name", pair("x", response={"tool_calls": [{"arguments": {}}]}),
         {"pairs": 1}, candidate={"errors": 0}),
    Case("the caller hung up", pair("x", error={"type": "client_disconnected", "status": 499}),
         {"pairs": 1}, candidate={"errors": 0}),
    Case("same side twice", [event("x"), event("x"), event("x", "candidate")],
         {"pairs": 1, "duplicate": 1}),
    Case("same pair twice", [*pair("x"), *pair("x")], {"pairs": 1, "duplicate": 2}),
    Case("same side twice, other answer",
         [event("x"), event("x", response={"output": "bye"}), event("x", "candidate")],
         {"pairs": 1, "duplicate": 1}),
    Case("three sides", [event("x", side, sides=TRIPLE) for side in TRIPLE], {"pairs": 1}),
    Case("three sides, control missing",
         [event("x", side, sides=TRIPLE) for side in PAIR], {"pairs": 1}),
    Case("a third side that was not announced",
         [*pair("x"), event("x", "control", sides=TRIPLE)],
         {"pairs": 1, "invalid": 1}, ["disagrees"]),
    Case("sides in another order", pair("x", sides=["candidate", "stable"]), {"pairs": 1}),
    Case("other language", pair("x", language="ja"), {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("other mode", pair("x", mode="interleave"), {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("canary beside shadow", pair("x", mode="canary", sides=["candidate"]),
         {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("other workflow", pair("x", workflow="w"), {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("other conversation", pair("x", conversation_id="c"),
         {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("turns without a conversation", pair("x", turn=2), {"pairs": 1}),
    Case("other time", pair("x", request_time="2025-03-03T12:00:06Z"),
         {**UNMATCHED, "invalid": 1}, ["disagrees"]),
    Case("slightly other time", pair("x", request_time="2025-03-03T12:00:00.503Z"), {"pairs": 1}),
    Case("retry after a failure",
         [event("x"), event("x", "candidate", error={"type": "500"}, fallback={"attempts": 1}),
          event("x", "candidate", fallback={"attempts": 2})],
         {"pairs": 1, "superseded": 1}, candidate={"errors": 0}),
    Case("unfinished attempt",
         pair("x", fallback={"final": False}), {"pairs": 1}, candidate={"errors": 1}),
    Case("unknown rollout", [event("x", side, rollout_id="nobody-knows") for side in PAIR],
         {"pairs": 1}),
    Case("unknown fields and nulls",
         pair("x", surprise={"a": [1]}, request=None, usage=None, fallback=None, error=None),
         {"pairs": 1}),
    Case("no answer and no error", pair("x", response=None), {"pairs": 1}),
    Case("language that is none", [event("x", side, language="klingon!") for side in PAIR],
         {"pairs": 1}),
    Case("large output", pair("x", **_output("w " * 400_000)), {"pairs": 1}),
    Case("10 000 deep JSON as output", pair("x", **_output(DEEP_JSON, "json")), {"pairs": 1},
         candidate={"json_expected": 1, "json_valid": 0}),
    Case("10 000 open brackets as output", pair("x", **_output("[" * DEEP, "json")), {"pairs": 1},
         candidate={"json_expected": 1, "json_valid": 0}),
    Case("10 000 deep JSON as text", pair("x", **_output(DEEP_JSON)), {"pairs": 1}),
    Case("10 000 deep arguments in a string", pair("x", **_calls(DEEP_JSON)), {"pairs": 1}),
    Case("arguments that are no JSON", pair("x", **_calls("{'a': 1}")), {"pairs": 1}),
    Case("escaped surrogate in JSON as output", pair("x", **_output('["\\ud800"]', "json")),
         {"pairs": 1}, candidate={"json_expected": 1, "json_valid": 1}),
    Case("NUL and controls in output", pair("x", **_output("\x00\x1b[31m\u202e")), {"pairs": 1}),
    Case("zero duration", pair("x", timing={"duration_ms": 0}), {"pairs": 1}),
    Case("the longest duration", pair("x", timing={"duration_ms": 7 * 86_400_000}), {"pairs": 1}),
    Case("limits of usage",
         pair("x", usage={"cost_usd": 1000, "input_tokens": 2**31 - 1,
                          "output_tokens": 2**31 - 1}),
         {"pairs": 1}, candidate={"input_tokens": 2**31 - 1, "output_tokens": 2**31 - 1}),
]  # fmt: skip
