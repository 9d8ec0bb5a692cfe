"""What vendors write in shapes of their own is read as what it means."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.events import Event, SalvagedEvent, Tool, decode_event

IDENTITY: dict[str, Any] = {
    "schema_version": 1, "rollout_id": "r", "pair_id": "p", "mode": "canary", "side": "candidate",
    "sides": ["candidate"], "request_time": "2026-03-02T12:00:00Z",
}  # fmt: skip


def read(**fields: Any) -> Event:
    return decode_event(json.dumps({**IDENTITY, **fields}).encode())


def unreadable(event: Event) -> tuple[str, ...]:
    return event.unreadable_fields if isinstance(event, SalvagedEvent) else ()


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ([{"type": "text", "text": "Hello "}, {"type": "text", "text": "you"}], "Hello you"),
        ([{"type": "output_text", "text": "Hello", "annotations": []}], "Hello"),
        ([{"text": "Hello"}], "Hello"),
        (["Hello ", "you"], "Hello you"),
        ([{"type": "text", "text": {"value": "Hello", "annotations": []}}], "Hello"),
        ([{"type": "image_url", "image_url": "x"}, {"type": "text", "text": "Hello"}], "Hello"),
        ({"type": "text", "text": "Hello"}, "Hello"),
        ([{"type": "text", "text": ""}], ""),
        ([], ""),
    ],
)
def test_content_parts_become_text(output: Any, text: str) -> None:
    event = read(response={"output": output})
    assert event.response is not None
    assert event.response.output == text
    assert unreadable(event) == ()
    assert event.error is None


@pytest.mark.parametrize("kind", [[1], {"a": 1}, 7, True])
def test_a_part_of_no_kind_is_not_readable_and_takes_no_other_with_it(kind: Any) -> None:
    event = read(response={"output": [{"type": kind, "text": "x"}, {"type": "text", "text": "so"}]})
    assert event.response is not None
    assert event.response.output == "so"
    assert unreadable(event) == ("response.output",)


LEAVES = st.sampled_from([None, True, 7, "", "x", "text", "tool_use", "thinking", [], [1], {}])
PARTS = st.recursive(
    st.dictionaries(
        st.sampled_from(["type", "text", "name", "input", "role", "content", "refusal"]), LEAVES
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["function", "functionCall", "text", "content"]), inner)
    ),
    max_leaves=4,
)
"""What vendors' shapes are made of, put together anyhow."""


@given(PARTS, PARTS, PARTS, PARTS, PARTS)
def test_whatever_shapes_are_made_of_the_event_is_read(
    output: Any, calls: Any, prompt: Any, tools: Any, error: Any
) -> None:
    event = read(
        response={"output": output, "tool_calls": calls, "finish_reason": tools},
        request={"prompt": prompt, "tools": tools},
        error=error,
    )
    assert event.pair_id == "p"


def test_parts_that_are_no_text_go_where_they_belong() -> None:
    parts = [
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
        {"type": "refusal", "refusal": "I will not."},
    ]
    event = read(response={"output": parts})
    response = event.response
    assert response is not None
    assert (response.output, response.reasoning, response.refusal) == (None, "Hm.", "I will not.")
    (call,) = response.tool_calls or ()
    assert (call.name, json.loads(bytes(call.arguments))) == ("f", {"a": 1})
    assert (unreadable(event), event.error) == ((), None)


@pytest.mark.parametrize(
    "response", ["Hello", [{"type": "text", "text": "Hello"}], {"output": "Hello"}]
)
def test_a_response_may_be_its_text(response: Any) -> None:
    event = read(response=response)
    assert event.response is not None
    assert event.response.output == "Hello"


@pytest.mark.parametrize(
    ("calls", "names", "arguments", "fields"),
    [
        ([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
         ["f"], ["{}"], ()),
        ([{"functionCall": {"name": "f", "args": {"a": 1}}}], ["f"], [{"a": 1}], ()),
        ([{"type": "tool_use", "name": "f", "input": {}}], ["f"], [{}], ()),
        ({"name": "f", "arguments": None}, ["f"], [None], ()),
        ([{"arguments": {"a": 1}}, {"name": "g"}], ["", "g"], [{"a": 1}, None],
         ("response.tool_calls.name",)),
        ([{"name": None, "arguments": 2**70}], [""], [2**70], ("response.tool_calls.name",)),
        (["f()", {"name": "g", "arguments": "\ud83c"}], ["g"], ["\ufffd"],
         ("response.tool_calls",)),
    ],
)  # fmt: skip
def test_tool_calls(
    calls: Any, names: list[str], arguments: list[Any], fields: tuple[str, ...]
) -> None:
    event = read(response={"output": {"type": "text", "text": "x"}, "tool_calls": calls})
    found = (event.response.tool_calls if event.response else None) or ()
    assert [call.name for call in found] == names
    assert [json.loads(bytes(call.arguments)) for call in found] == arguments
    assert unreadable(event) == fields


def test_tools_are_names_or_objects_with_a_schema() -> None:
    schema = {"type": "object", "required": ["city"]}
    plain = read(request={"tools": ["f", {"name": "g", "parameters": schema}, {"name": "h"}]})
    assert type(plain) is Event, "our own shapes are read at full speed"
    vendors = read(
        request={
            "tools": [
                "f",
                {"type": "function", "function": {"name": "g", "parameters": schema}},
                {"name": "h", "input_schema": None},
            ]
        }
    )
    for event in (plain, vendors):
        tools = (event.request.tools if event.request else None) or ()
        assert tools[0] == "f"
        named = [tool for tool in tools if isinstance(tool, Tool)]
        assert [tool.name for tool in named] == ["g", "h"]
        assert [msgspec.json.decode(tool.parameters) for tool in named] == [schema, None]
        assert unreadable(event) == ()


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hallo"}],
         "Hallo"),
        ([{"role": "user", "content": [{"type": "text", "text": "Hallo"}, {"type": "image"}]}],
         "Hallo"),
        ([{"content": "Hallo"}, "du"], "Hallo"),
        ([], ""),
    ],
)  # fmt: skip
def test_a_prompt_may_be_a_list_of_messages(prompt: Any, text: str) -> None:
    event = read(request={"prompt": prompt})
    assert event.request is not None
    assert event.request.prompt == text
    assert unreadable(event) == ()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": None, "status": 503}, "503"),
        ({"code": "rate_limit"}, "rate_limit"),
        ({}, None),
        ({"message": "?"}, "unknown"),
        (True, "unknown"),
        ("timeout", "timeout"),
        (False, None),
        ("", None),
    ],
)
def test_an_error_without_a_type_is_an_error(error: Any, kind: str | None) -> None:
    event = read(error=error)
    assert (event.error.type if event.error else None) == kind


def test_finish_reasons_may_be_a_list() -> None:
    event = read(response={"output": "x", "finish_reason": ["stop"]})
    assert event.response is not None
    assert (event.response.finish_reason, unreadable(event)) == ("stop", ())
