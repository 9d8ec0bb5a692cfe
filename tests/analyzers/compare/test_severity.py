"""How bad pairs are, and what is worst about them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from understudy.analyzers.compare.options import CompareOptions
from understudy.analyzers.compare.pairs import compare_pairs
from understudy.analyzers.compare.severity import KINDS, NOTHING_WORSE, Severities, severities
from understudy.analyzers.compare.sides import read_sides
from understudy.schemas.events import Error, Event, Request, Response, Timing, ToolCall

TIME = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
GOOD = Response(output="Take the second road on the left, then go straight on to the station.")


def event(response: Response | None = GOOD, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "schema_version": 1, "rollout_id": "r", "pair_id": "p", "mode": "shadow",
        "side": "stable", "sides": ("stable", "candidate"), "request_time": TIME,
        "response": response, "language": "en", **changes,
    }  # fmt: skip
    return Event(**fields)


def found(stable: Event, candidate: Event) -> Severities:
    options = CompareOptions()
    left, right = (read_sides([one], ["en"], options) for one in (stable, candidate))
    return severities(right.measures, left.measures, compare_pairs(left, right, options))


FAILED = event(None, error=Error(type="timeout"))
JSON = Request(expects="json")
TOOLS = Request(tools=("mail", "search"))
JAPANESE = Response(output="駅へは二つ目の角を左に曲がってまっすぐ進んでください。お気をつけて。")
LONG = Response(output=" ".join(f"Then take road number {n} on the left." for n in range(40)))


def call(name: str, arguments: bytes = b'{"a":1}') -> Response:
    return Response(tool_calls=(ToolCall(name, msgspec.Raw(arguments)),))


@pytest.mark.parametrize(
    ("stable", "candidate", "kind", "severity"),
    [
        (event(), FAILED, "error", 1.0),
        (event(), event(Response(output="  ")), "empty", 1.0),
        (event(), event(Response(refusal="I cannot")), "refusal", 1.0),
        (event(Response(output="[1]"), request=JSON),
         event(Response(output="[1"), request=JSON), "json", 1.0),
        (event(call("mail"), request=TOOLS), event(call("spam"), request=TOOLS), "tool_call", 1.0),
        (event(call("mail"), request=TOOLS), event(GOOD, request=TOOLS), "tool_call", 0.9),
        (event(call("mail"), request=TOOLS), event(call("search"), request=TOOLS),
         "tool_call", 0.5),
        (event(call("mail"), request=TOOLS), event(call("mail", b'{"a":2}'), request=TOOLS),
         "tool_call", 0.3),
        (event(), event(JAPANESE), "language", 1.0),
        (event(), event(Response(output=GOOD.output, finish_reason="length")), "truncation", 1.0),
        (event(Response(output='{"a": 1, "b": 2}'), request=JSON),
         event(Response(output='{"a": 1, "b": 3}'), request=JSON), "json", 0.5 / 16),
        (event(timing=Timing(duration_ms=1000.0)), event(timing=Timing(duration_ms=32_000.0)),
         "duration", 0.5),
    ],
)  # fmt: skip
def test_worst_of_a_pair(stable: Event, candidate: Event, kind: str, severity: float) -> None:
    one = found(stable, candidate)
    assert one.kind(0) == kind
    assert one.worst[0] == pytest.approx(severity)
    assert one.kinds(0)[0] == kind


@pytest.mark.parametrize(
    ("stable", "candidate"),
    [
        (event(), event()),
        (FAILED, event()),
        (FAILED, FAILED),
        (event(), event(None, error=Error(type="quota", source="gateway"))),
        (event(Response(output="[1"), request=JSON), event(Response(output="[1"), request=JSON)),
        (event(Response(output="Yes.")), event(Response(output="Yes, it is."))),
        (event(timing=Timing(duration_ms=10.0)), event(timing=Timing(duration_ms=900.0))),
    ],
)
def test_what_both_fail_at_and_what_nobody_notices_is_not_worse(
    stable: Event, candidate: Event
) -> None:
    one = found(stable, candidate)
    assert (one.kind(0), one.kinds(0), one.worst[0]) == (NOTHING_WORSE, [], 0.0)


def test_length_counts_either_way_and_grows_with_the_ratio() -> None:
    longer, shorter = found(event(), event(LONG)), found(event(LONG), event())
    assert "length" in longer.kinds(0)
    place = KINDS.index("length")  # type: ignore[arg-type]
    assert longer.values[0, place] == shorter.values[0, place] < 0.5


def test_candidate_alone_is_judged_by_what_it_failed_at() -> None:
    side = read_sides([FAILED, event()], ["en", "en"], CompareOptions()).measures
    one = severities(side)
    assert [one.kind(0), one.kind(1)] == ["error", NOTHING_WORSE]
