"""What can be read of a broken record is read, and the rest is named."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.schemas.events import Event, InvalidEvent, SalvagedEvent, decode_event, encode_event
from understudy.schemas.salvage import (
    LONGEST_NUMBER,
    MAX_NESTING,
    Damage,
    NoDocument,
    cleaned,
    encoded,
    fields_of,
    parse,
)


class Inner(msgspec.Struct):
    count: Annotated[int, msgspec.Meta(ge=0)] | None = None
    word: str | None = None


class Outer(msgspec.Struct):
    name: str
    inner: Inner | None = None
    size: float | None = None


FIELDS = fields_of(Outer)


def clean(document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    damage = Damage()
    return cleaned(document, FIELDS, {}, ["name"], damage), list(damage.fields)


@pytest.mark.parametrize(
    ("document", "kept", "broken"),
    [
        ({"name": "a", "size": 1.5, "more": "\ud800"}, {"name": "a", "size": 1.5}, []),
        ({"name": "a", "size": "1.5"}, {"name": "a"}, ["size"]),
        ({"name": "a", "inner": {"count": -1, "word": "x"}}, {"name": "a", "inner": {"word": "x"}},
         ["inner.count"]),
        ({"name": "a", "inner": 7}, {"name": "a"}, ["inner"]),
        ({"name": "a", "inner": {"word": "\ud83c"}}, {"name": "a", "inner": {"word": "\ufffd"}},
         ["inner.word"]),
        ({"name": 7}, {"name": 7}, []),
        ({"name": "\ud83c"}, {"name": "\ud83c"}, []),
        ({"size": None}, {}, []),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_left_out_and_named(
    document: dict[str, Any], kept: dict[str, Any], broken: list[str]
) -> None:
    assert clean(document) == (kept, broken)


@pytest.mark.parametrize(
    ("payload", "document"),
    [
        (rb'{"a": "\ud83c"}', {"a": "\ud83c"}),
        (rb'{"a": "\ud83c\udf89"}', {"a": "🎉"}),
        (b'{"a": "\xe9"}', {"a": "\udce9"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": "x\ny"}', {"a": "x\ny"}),
        (b'{"a": Infinity}', {"a": math.inf}),
        (b'{"a": 1180591620717411303424}', {"a": 2**70}),
    ],
)
def test_what_is_almost_json(payload: bytes, document: dict[str, Any]) -> None:
    assert parse(payload) == document


@pytest.mark.parametrize(
    "payload", [b"", b"[1]", b"{", b'{"a": 1} {"a": 2}', b"[" * 99_999, b"\xff"]
)
def test_what_is_no_document(payload: bytes) -> None:
    with pytest.raises(NoDocument):
        parse(payload)


def test_a_number_beyond_all_measure_stops_nothing() -> None:
    document = parse(b'{"name": "a", "size": 1' + b"0" * 9_999 + b"}")
    assert clean(document) == ({"name": "a"}, ["size"]) or math.isnan(document["size"])
    assert parse(b'{"size": ' + b"9" * LONGEST_NUMBER + b"}")["size"] > 0


def test_strict_json_comes_out() -> None:
    assert json.loads(encoded({"a": "é"})) == {"a": "é"}
    assert json.loads(encoded({"a": 2**70, "b": math.nan})) == {"a": 2**70, "b": None}
    with pytest.raises(ValueError, match="surrogates"):
        encoded({"a": "\ud800"})


NAMES = st.text(max_size=5) | st.sampled_from(
    ["type", "text", "value", "content", "role", "name", "function", "arguments", "input", "code"]
)
"""Of the fields by which vendors' shapes are told apart, too."""
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud83c"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
IDENTITY = {
    "schema_version": 1, "rollout_id": "r", "pair_id": "p", "mode": "shadow", "side": "stable",
    "sides": ["stable", "candidate"], "request_time": "2026-03-02T12:00:00Z",
}  # fmt: skip
OPTIONAL = [one.name for one in msgspec.structs.fields(Event) if not one.required]


@given(
    st.dictionaries(st.sampled_from([n for n in OPTIONAL if n != "conversation_id"]), ANYTHING),
    st.dictionaries(st.sampled_from(["output", "tool_calls", "finish_reason", "model"]), ANYTHING),
)
def test_whatever_an_answer_is_the_event_is_read(
    fields: dict[str, Any], response: dict[str, Any]
) -> None:
    document = {"response": response, **fields, **IDENTITY}
    event = decode_event(json.dumps(document).encode())
    assert event.pair_id == "p"
    assert decode_event(encode_event(event)).pair_id == "p"
    if isinstance(event, SalvagedEvent):
        assert len(set(event.unreadable_fields)) == len(event.unreadable_fields)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    with contextlib.suppress(InvalidEvent):
        decode_event(payload)


@pytest.mark.parametrize(
    "deep", ["[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000]
)
@pytest.mark.parametrize("first", [True, False])
def test_what_nests_beyond_all_measure_is_left_out(deep: str, first: bool) -> None:
    others = '"name": "a", "text": "[[{{\\"[ ok"'
    part = f'"response": {{"tool_calls": [{{"name": "f", "arguments": {deep}}}]}}'
    document = parse(f"{{{part + ', ' + others if first else others + ', ' + part}}}".encode())
    assert (document["name"], document["text"]) == ("a", '[[{{"[ ok')
    assert document["response"] == {"tool_calls": [{"name": "f", "arguments": "\ud800"}]}


def test_what_nests_as_deep_as_answers_may_is_kept() -> None:
    deep = "[" * (MAX_NESTING - 1) + "]" * (MAX_NESTING - 1)
    many = "[" + ",".join(["[]"] * 300) + "]"
    document = parse(f'{{"a": {deep}, "b": {many}}}'.encode())
    assert json.dumps(document["a"]) == deep
    assert len(document["b"]) == 300
