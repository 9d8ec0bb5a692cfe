from __future__ import annotations

import gc
import json
import time
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.compare.json_output import (
    MAX_DEPTH,
    NO_DOCUMENT,
    check_json,
    check_json_schema,
    compile_json_schema,
)
from understudy.schemas.measures import JsonState

NOT_EXPECTED, VALID, FENCED, TRUNCATED, TRAILING_TEXT, NOT_JSON, TOO_DEEP, QUOTED = JsonState


def states(outputs: list[str | None]) -> list[JsonState]:
    columns = check_json(outputs, np.ones(len(outputs), np.bool_))
    for state, document in zip(columns.state, columns.documents, strict=True):
        assert (state == VALID) == (document is not NO_DOCUMENT)
    return [JsonState(state) for state in columns.state.tolist()]


@pytest.mark.parametrize(
    ("output", "state"),
    [
        # values
        ("{}", VALID),
        ("null", VALID),
        ("0", VALID),
        ('"text"', VALID),
        (" \t\r\n[1, 2.5e-3] \n", VALID),
        ('{"a":1,"a":2}', VALID),
        ('"\\ud800"', VALID),
        ("[1e999, -1e999]", VALID),
        ("[12345678901234567890123]", VALID),
        ("[" + "9" * 5000 + "]", VALID),
        ('"\x7f\u2028"', VALID),
        # nothing
        (None, NOT_JSON),
        ("", NOT_JSON),
        (" \n", NOT_JSON),
        # not in the grammar
        ("NaN", NOT_JSON),
        ("[NaN]", NOT_JSON),
        ("[-Infinity]", NOT_JSON),
        ("01", NOT_JSON),
        ("+1", NOT_JSON),
        (".5", NOT_JSON),
        ("True", NOT_JSON),
        ("{'a': 1}", NOT_JSON),
        ("{a: 1}", NOT_JSON),
        ("[1, 2,]", NOT_JSON),
        ('{"a": 1 /* one */}', NOT_JSON),
        ('["a\nb"]', NOT_JSON),
        ('["\\x41"]', NOT_JSON),
        ("\u00a0[1}", NOT_JSON),
        ("Sorry, I cannot help with that.", NOT_JSON),
        ("As others found [1], it depends.", NOT_JSON),
        # a fence
        ('```json\n{"a": 1}\n```', FENCED),
        ('```\n{"a": 1}\n```', FENCED),
        ("  ```JSON\r\n[1]\r\n```\n", FENCED),
        ('```json\n{"a": 1', FENCED),
        ('```json\n{"a": 1,}\n```', FENCED),
        ('Here you are:\n```json\n{"a": 1}\n```\nAnything else?', FENCED),
        ("```python\nprint(1)\n```", NOT_JSON),
        ("```", NOT_JSON),
        # breaks off
        ("{", TRUNCATED),
        ('{"a', TRUNCATED),
        ('{"a": "x\\', TRUNCATED),
        ('{"a": "x\\u00', TRUNCATED),
        ('{"a": [1, 2', TRUNCATED),
        ('{"a": tr', TRUNCATED),
        ('{"a": -', TRUNCATED),
        ('[{"a": 1}, ', TRUNCATED),
        ('{"a": "語', TRUNCATED),
        ('"never closed', TRUNCATED),
        # text around
        ('{"a": 1} Hope this helps!', TRAILING_TEXT),
        ('{"a": 1}\n{"a": 2}', TRAILING_TEXT),
        ('{"a": 1}}', TRAILING_TEXT),
        ('Sure! {"a": 1}', TRAILING_TEXT),
        ('Use {braces}: {"a": 1} as asked.', TRAILING_TEXT),
        ("The answer is [1, 2]", TRAILING_TEXT),
        ("\ufeff{}", TRAILING_TEXT),
        # nesting
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, VALID),
        ('"{\\"a\\": 1}"', QUOTED),
        (' " [1, 2] " ', QUOTED),
        ('"{\\"a\\": 1"', VALID),
        ('"yes"', VALID),
        ('"5"', VALID),
        ('""', VALID),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), TOO_DEEP),
        ('{"a":' * 200 + "1" + "}" * 200, TOO_DEEP),
        ("[" * 10_000 + "]" * 10_000, TOO_DEEP),
        ('{"a":' * 10_000, TOO_DEEP),
        ('["\\ud800", ' + "[" * 10_000, TOO_DEEP),
        ("[" + '"' + "[" * 5000 + '"' + "]", VALID),
        ("[" + "[]," * 5000 + "[]]", VALID),
    ],
)
def test_what_becomes_of_an_output(output: str | None, state: JsonState) -> None:
    assert states([output]) == [state]


def test_only_expected_outputs_are_looked_at() -> None:
    columns = check_json(["{}", "{}", "no"], np.array([True, False, False]))
    assert columns.state.tolist() == [VALID, NOT_EXPECTED, NOT_EXPECTED]
    assert columns.documents == [{}, NO_DOCUMENT, NO_DOCUMENT]


def test_null_is_a_document() -> None:
    assert check_json(["null"], np.ones(1, np.bool_)).documents == [None]


def _reject(constant: str) -> NoReturn:
    raise ValueError(constant)


def oracle(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_reject)
    except ValueError:
        return False
    return not text.startswith("\ufeff")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~é"), inner, max_size=4)
    ),
    max_leaves=12,
)
JSON_TEXTS = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    JSON_VALUES,
    st.booleans(),
    st.sampled_from([None, 1]),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    text = list(draw(JSON_TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.text('{}[]",:\\/bnu0123456789dDeE+-. \t\n\x00\x0b\u00a0é\ufefftruefalsn', max_size=2)
        )
    return "".join(text)


@given(damaged())
def test_validity_agrees_with_another_parser(text: str) -> None:
    assert (states([text]) == [VALID]) == (bool(text) and oracle(text))


@given(JSON_VALUES)
def test_documents_are_what_was_written(value: Any) -> None:
    columns = check_json([json.dumps(value)], np.ones(1, np.bool_))
    assert columns.state.tolist() == [VALID]
    assert columns.documents == [value]


@pytest.mark.parametrize(
    ("output", "document"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        (
            "[1e999, 18446744073709551616, -9223372036854775809]",
            [float("inf"), 2.0**64, -(2.0**63)],
        ),
        ('["\\ud800", 12345678901234567890]', ["\ud800", 12345678901234567890]),
    ],
)
def test_numbers_beyond_64_bits_become_doubles(output: str, document: Any) -> None:
    found = check_json([output], np.ones(1, np.bool_)).documents[0]
    assert (found, repr(found)) == (document, repr(document))


@given(
    st.lists(JSON_VALUES, min_size=1, max_size=3) | st.dictionaries(st.text(), JSON_VALUES),
    st.data(),
)
def test_every_beginning_of_a_container_is_truncated(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(1, len(text) - 1))
    assert states([text[:cut]]) == [TRUNCATED]


@pytest.mark.parametrize(
    "output",
    [
        "garbage " * 130_000,
        "{" * 1_000_000,
        "[1," * 350_000,
        '"' * 1_000_001,
        "\\" * 1_000_000,
        "```" * 350_000,
        "``` {" * 200_000,
        '{"a":' * 100 + "x" * 1_000_000,
        '[{"' * 300_000,
        '{"a": "' + "\\" * 999_999,
        "[" + "1e99999," * 120_000,
        "0" * 1_000_000,
        "[" + "9" * 1_000_000 + "]",
        "\u0000" * 1_000_000,
        "{}[]" * 250_000,
    ],
)
def test_a_megabyte_of_garbage_takes_linear_time(output: str) -> None:
    started = time.process_time()
    states([output])
    assert time.process_time() - started < 3.0


SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("output", "schema_id", "verdict"),
    [
        ('{"a": 1}', "known", 1),
        ('{"a": 1.0}', "known", 1),
        ('{"a": "1"}', "known", 0),
        ("[]", "known", 0),
        ("no JSON", "known", 0),
        ("", "known", 0),
        ('{"a": 1}', "unknown", -1),
        ('{"a": 1}', None, -1),
        ("no JSON", None, -1),
        ('{"a": 1, "b": "\\ud800"}', "known", 1),
        ('{"a": 1e999}', "known", 0),
        ('{"b":' * 120 + "1" + "}" * 120, "known", 0),
    ],
)
def test_a_json_schema(output: str, schema_id: str | None, verdict: int) -> None:
    validators = {"known": compile_json_schema(SCHEMA)}
    columns = check_json([output], np.ones(1, np.bool_))
    found = check_json_schema(columns.documents, columns.state, [schema_id], validators)
    assert found.dtype == np.int8
    assert found.tolist() == [verdict]


def test_no_schema_is_checked_where_json_was_not_expected() -> None:
    validators = {"known": compile_json_schema(b'{"type": "object"}')}
    columns = check_json(["{}"], np.zeros(1, np.bool_))
    assert check_json_schema(columns.documents, columns.state, ["known"], validators) == [-1]


@pytest.mark.parametrize(
    "schema",
    [b"{", {"type": "no such type"}, {"$ref": "#/nowhere"}, b"[1]", b"1", {"pattern": "("}],
)
def test_a_bad_schema_is_a_clear_error(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"not (JSON|a JSON Schema)"):
        compile_json_schema(schema)


def test_a_schema_fetches_nothing() -> None:
    with pytest.raises(ValueError, match="is not part of the schema"):
        compile_json_schema({"$ref": "http://127.0.0.1:9/other.json"})


def test_a_pattern_that_backtracks_ends() -> None:
    validators = {"slow": compile_json_schema({"pattern": "^(?=(a+)+$)(a|aa)+$"})}
    started = time.process_time()
    columns = check_json(['"' + "a" * 40 + '!"'], np.ones(1, np.bool_))
    found = check_json_schema(columns.documents, columns.state, ["slow"], validators)
    assert found.tolist() == [0]
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "output", ["no JSON", "{", "[1e400, }", "[" * 200, '"\\ud800"', "[1, 2", '{"a": 1} {"b": 2}']
)
def test_an_answer_that_is_no_json_leaves_no_reference_cycle(output: str) -> None:
    """It would keep the frames above alive, and with them a whole batch."""
    gc.collect()
    gc.disable()
    try:
        states([output])
        assert gc.collect() == 0
    finally:
        gc.enable()
