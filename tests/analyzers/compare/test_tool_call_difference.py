"""Tool calls that differ."""

from __future__ import annotations

import orjson
import pytest

from understudy.analyzers.compare.tool_call_difference import (
    MAX_CALLS,
    CallStatus,
    tool_call_differences,
)


def calls(*pairs: tuple[str, object]) -> str:
    return orjson.dumps([{"name": n, "arguments": a} for n, a in pairs]).decode()


def statuses(stable: str, candidate: str) -> list[tuple[str, str]]:
    return [(one.name, one.status) for one in tool_call_differences(stable, candidate) or []]


def test_calls_of_a_tool_are_paired_in_order() -> None:
    stable = calls(("a", {"x": 1}), ("a", {"x": 2}), ("b", {}))
    candidate = calls(("c", {}), ("a", {"x": 1}), ("a", {"x": 3}))
    assert statuses(stable, candidate) == [
        ("a", CallStatus.SAME), ("a", CallStatus.ARGUMENTS), ("b", CallStatus.MISSING),
        ("c", CallStatus.EXTRA),
    ]  # fmt: skip


def test_arguments_that_differ_are_named() -> None:
    [one] = tool_call_differences(calls(("a", {"x": 1})), calls(("a", '{"x": 2}'))) or []
    assert [(f.path, f.stable, f.candidate) for f in one.fields] == [("/x", "1", "2")]


def test_what_is_no_object_is_shown_as_it_is() -> None:
    [one] = tool_call_differences(calls(("a", "go")), calls(("a", "stop"))) or []
    assert (one.status, one.stable, one.candidate, one.fields) == ("arguments", "go", "stop", [])
    [none] = tool_call_differences(calls(("a", None)), calls(("a", None))) or []
    assert none.status is CallStatus.SAME


def test_calls_without_a_counterpart_and_none_at_all() -> None:
    assert statuses("", calls(("a", {}))) == [("a", CallStatus.EXTRA)]
    assert tool_call_differences("", "") == []
    assert tool_call_differences("[{", "") is None
    assert tool_call_differences("{}", "") is None
    assert len(tool_call_differences(calls(*[("a", {})] * 99), "") or []) == MAX_CALLS


@pytest.mark.parametrize("levels", [200, 260, 1_000, 5_000])
def test_arguments_of_any_depth_are_compared(levels: int) -> None:
    """Parsers read more levels than encoders write."""
    deep = "[" * levels + "]" * levels
    for stable, candidate in (("{}", deep), (deep, "{}"), (deep, deep)):
        [one] = tool_call_differences(calls(("a", stable)), calls(("a", candidate))) or []
        assert one.name == "a"
    [alone] = tool_call_differences("", calls(("a", deep))) or []
    assert (alone.status, alone.candidate[:1] in "[…") == ("extra", True)
    for call in (f'[{{"name": {deep}, "arguments": {deep}}}]', deep):
        tool_call_differences(call, call)
