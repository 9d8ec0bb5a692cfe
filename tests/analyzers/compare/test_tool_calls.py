from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.tool_calls import arguments_invalid, compare_tool_calls
from understudy.schemas.events import ToolCall

NAMES, CALLS = True, True


def call(name: str, arguments: str | None = None) -> ToolCall:
    """A call as it is decoded from an event whose JSON has these arguments."""
    text = f'{{"name": {json.dumps(name)}' + (f', "arguments": {arguments}}}' if arguments else "}")
    return msgspec.json.decode(text.encode(), type=ToolCall)


def quoted(arguments: str) -> str:
    return json.dumps(arguments)


@pytest.mark.parametrize(
    ("left", "right", "names", "calls"),
    [
        (None, None, True, True),
        (None, (), True, True),
        ((call("f"),), None, False, False),
        ((call("f"),), (call("f"),), True, True),
        ((call("f"),), (call("g"),), False, False),
        ((call("f"), call("g")), (call("g"), call("f")), True, True),
        ((call("f"), call("f"), call("g")), (call("g"), call("g"), call("f")), False, False),
        ((call("f"), call("f")), (call("f"),), False, False),
    ],
)
def test_names_in_any_order(left: Any, right: Any, names: bool, calls: bool) -> None:
    columns = compare_tool_calls([left], [right])
    assert columns.names_match.tolist() == [names]
    assert columns.calls_match.tolist() == [calls]


@pytest.mark.parametrize(
    ("left", "right", "match"),
    [
        (['{"a": 1}', '{"a": 2}'], ['{"a": 2}', '{"a": 1}'], True),
        (['{"a": 1}', '{"a": 2}'], ['{"a": 2.0}', quoted('{"a": 1}')], True),
        (['{"a": 1}', '{"a": 1}'], ['{"a": 1}', '{"a": 2}'], False),
        (['{"a": 1}', '{"a": 1}', '{"a": 2}'], ['{"a": 2}', '{"a": 2}', '{"a": 1}'], False),
        (["{}", quoted("abc")], [quoted("abc"), "null"], True),
        ([f'{{"a": 1{"0" * 21}}}', "{}"], ["{}", f'{{"a": 1{"0" * 21}}}'], True),
        ([f'{{"a": 1{"0" * 21}}}', "{}"], ["{}", f'{{"a": 1{"0" * 20}1}}'], False),
    ],
)
def test_calls_of_one_tool_in_any_order(left: list[str], right: list[str], match: bool) -> None:
    columns = compare_tool_calls(
        [tuple(call("f", arguments) for arguments in left)],
        [tuple(call("f", arguments) for arguments in right)],
    )
    assert columns.names_match.tolist() == [True]
    assert columns.calls_match.tolist() == [match]


def test_many_calls_of_one_tool_take_linear_time() -> None:
    forwards = tuple(call("f", f'{{"a": {n}}}') for n in range(3_000))
    assert compare_tool_calls([forwards], [forwards[::-1]]).calls_match.all()
    assert not compare_tool_calls([forwards], [(*forwards[:0:-1], forwards[1])]).calls_match.any()


@pytest.mark.parametrize(
    ("left", "right", "match"),
    [
        ('{"a": 1}', '{"a": 1}', True),
        (f'{{"a": 1{"0" * 21}}}', f'{{ "a": 1{"0" * 21}}}', True),
        (f'{{"a": 1{"0" * 21}}}', f'{{"a": 1{"0" * 20}1}}', False),
        (quoted(f'{{"a": 1{"0" * 21}}}'), f'{{"a": 1{"0" * 20}1}}', False),
        ('{"a": 1, "b": 2}', '{"b":2.0,"a":1}', True),
        ('{"a": 1}', '{"a": true}', False),
        ('{"a": "é"}', '{"a": "\\u00e9"}', True),
        (quoted('{"a": 1}'), '{"a":1}', True),
        (quoted('{"a": 1}'), quoted('{ "a" : 1.0 }'), True),
        (quoted('{"a": 1}'), quoted('{"a": 2}'), False),
        (quoted('{"a": [1, 2]}'), '{"a": [2, 1]}', False),
        # no arguments
        (None, "null", True),
        (None, quoted(""), True),
        (None, quoted(" "), True),
        (None, quoted("null"), True),
        (None, "{}", True),
        (None, quoted("{}"), True),
        ("{}", quoted("{ }"), True),
        (None, "[]", False),
        (None, '{"a": null}', False),
        # not JSON
        (quoted('{"a": 1'), quoted('{"a": 1'), True),
        (quoted('{"a": 1'), quoted('{"a": 1 '), False),
        (quoted("abc"), quoted('"abc"'), False),
        (quoted("abc"), "{}", False),
        (quoted("5"), "5", True),
        (quoted("[" * 10_000), quoted("[" * 10_001), False),
    ],
)
def test_arguments_are_compared_as_values(left: str | None, right: str | None, match: bool) -> None:
    columns = compare_tool_calls([(call("f", left),)], [(call("f", right),)])
    assert columns.names_match.tolist() == [True]
    assert columns.calls_match.tolist() == [match]


@pytest.mark.parametrize(
    ("arguments", "invalid"),
    [
        (None, False),
        ("null", False),
        ("{}", False),
        ('{"a": 1}', False),
        (quoted(""), False),
        (quoted("{}"), False),
        (quoted(' \n{"a": [1]}'), False),
        (quoted('{"a": "\\ud800"}'), False),
        (quoted("null"), False),
        (quoted('{"a": 1'), True),
        (quoted("{'a': 1}"), True),
        (quoted('{"a": NaN}'), True),
        (quoted("abc"), True),
        ("5", True),
        ("[1]", True),
        ("true", True),
        (quoted("[1]"), True),
        (quoted(quoted("{}")), True),
        (quoted('{"a":' * 500 + "1" + "}" * 500), True),
        ('{"a":' * 500 + "1" + "}" * 500, True),
        (quoted('{"a":' * 100_000), True),
    ],
)
def test_arguments_must_be_an_object_or_nothing(arguments: str | None, invalid: bool) -> None:
    assert arguments_invalid([(call("f", arguments),)]).tolist() == [invalid]
    assert arguments_invalid([(call("g"), call("f", arguments))]).tolist() == [invalid]


def test_an_answer_without_calls_has_no_invalid_arguments() -> None:
    assert arguments_invalid([None, ()]).tolist() == [False, False]


OBJECTS = st.dictionaries(
    st.text(max_size=3),
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(max_size=3)
    | st.lists(st.integers(0, 3)),
    max_size=3,
)


@given(OBJECTS, OBJECTS, st.booleans(), st.booleans())
def test_how_arguments_are_written_does_not_matter(
    left: dict[str, Any], right: dict[str, Any], as_text: bool, indented: bool
) -> None:
    written = json.dumps(right, indent=2 if indented else None, sort_keys=True)
    a = (call("f", json.dumps(left)),)
    b = (call("f", quoted(written) if as_text else written),)
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert compare_tool_calls([a], [b]).calls_match.tolist() == [same]
    assert compare_tool_calls([b], [a]).calls_match.tolist() == [same]
    assert arguments_invalid([a, b]).tolist() == [False, False]
