"""Tool calls of several answers together; single cases are in `test_sides`."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from understudy.analyzers.compare.tool_validity import broken_calls
from understudy.schemas.events import Tool, ToolCall

SCHEMA = {"type": "object", "required": ["city"]}


def call(name: str, arguments: Any = None) -> ToolCall:
    return ToolCall(name, msgspec.Raw(json.dumps(arguments).encode()))


def tool(name: str, schema: Any = None) -> Tool:
    return Tool(name, msgspec.Raw(json.dumps(schema).encode()))


def test_each_answer_is_judged_by_its_own_request() -> None:
    calls = [(call("f"),), (call("f"),), None, (), (call("f"), call("g")), (call("f", {}),)]
    tools = [("f",), ("g",), ("f",), None, ("f",), (tool("f", SCHEMA),)]
    none = np.zeros(len(calls), dtype=bool)
    found = broken_calls(calls, none, tools)
    assert found.tolist() == [False, True, False, False, True, True]


def test_what_is_known_to_be_broken_stays_so() -> None:
    calls = [(call("f"),), None, None]
    known = np.array([True, True, False])
    found = broken_calls(calls, known, [None, None, None])
    assert found.tolist() == [True, True, False]


def test_no_answers() -> None:
    assert broken_calls([], np.zeros(0, dtype=bool), []).tolist() == []


@pytest.mark.parametrize("schema", [None, {"type": "no such type"}, {"$ref": "http://example/x"}])
def test_a_schema_that_cannot_be_used_checks_nothing(schema: Any) -> None:
    calls, none = [(call("f", {"a": 1}),)], np.zeros(1, dtype=bool)
    assert not broken_calls(calls, none, [(tool("f", schema),)])[0]


def test_numbers_that_no_validator_holds_stop_nothing() -> None:
    huge = ToolCall("f", msgspec.Raw(b'{"city": 1e999}'))
    none = np.zeros(1, dtype=bool)
    assert broken_calls([(huge,)], none, [(tool("f", SCHEMA),)]).shape == (1,)
