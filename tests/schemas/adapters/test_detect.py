"""One way in for all formats: files are read by their content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.schemas.adapters.test_api_bodies import CHAT
from tests.schemas.adapters.test_langfuse import API
from tests.schemas.adapters.test_litellm_payload import START_S, payload
from tests.schemas.adapters.test_otlp import span
from understudy.schemas.adapters.detect import UnknownFormat, format_of, read_recording
from understudy.schemas.adapters.recording import (
    FORMATS,
    Format,
    Place,
    ReadingOptions,
    Recording,
)

PLAIN = ReadingOptions()
BATCH = {"custom_id": "r-1", "response": {"status_code": 200, "body": CHAT}, "error": None}
ASKED = {
    "custom_id": "r-1",
    "body": {
        "messages": [],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
    },
}
EVENT = {"schema_version": 1, "pair_id": "p", "side": "stable", "response": {"output": "a"}}
RECORDS: dict[str, dict[str, object]] = {
    "events": EVENT,
    "batch": BATCH,
    "promptfoo": {"promptIdx": 0, "testIdx": 0, "provider": "wren-1", "vars": {"a": 1}},
    "langfuse": API,
    "litellm": {**payload(), "messages": [{"role": "user", "content": "Why?"}]},
    "otlp": span(attributes={"gen_ai.prompt": "a"}),
    "table": {"id": 1, "output": "a"},
}


def lines(*records: object) -> bytes:
    return b"\n".join(msgspec.json.encode(one) for one in records)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_told_by_its_content(kind: Format) -> None:
    record = RECORDS[kind]
    assert format_of(record) == kind
    recording = read_recording(lines(record), PLAIN)
    assert (recording.format, len(recording.answers), recording.problems) == (kind, 1, [])
    as_list = b"[" + lines(record) + b"]"
    assert len(read_recording(as_list, PLAIN).answers) == 1
    indented = msgspec.json.format(lines(record), indent=2)
    twice = read_recording(indented + b"\n" + indented, PLAIN)
    assert len(twice.answers) + twice.superseded == 2
    assert twice.superseded == (kind == "litellm"), "what has one trace is one call there"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_format_that_was_named_is_held_to(kind: Format) -> None:
    assert read_recording(lines(RECORDS[kind]), PLAIN, kind).format == kind
    other: Format = "batch" if kind != "batch" else "otlp"
    with pytest.raises(UnknownFormat, match=f"is not {FORMATS[other]}"):
        read_recording(lines(RECORDS[kind]), PLAIN, other)


def test_any_lines_may_be_read_as_a_table() -> None:
    options = ReadingOptions({"id": "custom_id", "output": "response.body.model"})
    recording = read_recording(lines(BATCH), options, "table")
    assert recording.answers[0].answer.response is not None
    assert recording.answers[0].answer.response.output == "wren-1"


def test_output_errors_and_requests_of_a_batch_may_stand_in_one_file() -> None:
    recording = read_recording(
        lines(ASKED, BATCH, {**BATCH, "custom_id": "r-2", "response": None}), PLAIN
    )
    assert len(recording.answers) == 2
    assert [one.id for one in recording.requests] == ["r-1"]
    assert list(recording.json_schemas.values()) == [{}]


def test_records_of_another_kind_are_told() -> None:
    recording = read_recording(lines(BATCH, {"id": 1, "output": "a"}, 7), PLAIN)
    assert [str(one.place) for one in recording.problems] == ["2", "3"]
    assert "is no part of batch files" in recording.problems[0].detail
    assert "bare value" in recording.problems[1].detail


@pytest.mark.parametrize("content", [b"", b"\n\n", b"7", b"{\n", b"[]", b"id,output\n\0"])
def test_a_file_without_records_is_refused(content: bytes) -> None:
    with pytest.raises(UnknownFormat):
        read_recording(content, PLAIN)


def test_an_input_nested_too_deeply_takes_no_other_with_it() -> None:
    deep = b'{"prompt": ' + b"[" * 900 + b"]" * 900 + b', "output": "a"}\n'
    recording: Recording = read_recording(deep + b'{"prompt": "Why?", "output": "b"}\n', PLAIN)
    assert recording.answers[-1].place == Place(2)


def test_attempts_in_litellms_log_are_one_answer_and_its_mirror_another() -> None:
    asked = {"messages": [{"role": "user", "content": "Why?"}]}
    failed = {"status": "failure", "response": None, "error_information": {"error_code": "503"}}
    mirror = {"metadata": {"is_silent_experiment": True}, "model_group": "new"}
    first, retry = (
        {**payload(), **asked, **failed},
        {**payload(), **asked, "startTime": START_S + 2},
    )
    other = {**payload(), **asked, "trace_id": "t-2"}
    recording = read_recording(lines(retry, first, {**first, **mirror}, other), PLAIN)
    assert (recording.superseded, recording.skipped) == (1, {})
    answered, mirrored, again = recording.answers
    assert answered.answer.error is None
    assert answered.answer.fallback is not None
    assert answered.answer.fallback.attempts == 2
    assert answered.place == Place(1), "the one that counts began last"
    assert mirrored.sources[0] == "new"
    assert mirrored.answer.error is not None
    assert answered.answer.id == again.answer.id
    assert answered.call != again.call
    withheld = {**first, "messages": [{"role": "user", "content": "redacted-by-litellm"}]}
    (problem,) = read_recording(lines(withheld), PLAIN).problems
    assert "--id" in problem.detail
    named = read_recording(lines(first), ReadingOptions({"id": "litellm_call_id"}))
    assert [(one.answer.id, one.call) for one in named.answers] == [("05c7d9ed", "")]


JSON = st.sampled_from(
    [None, True, 0, -1, 2**70, 1e308, "", "x", [], {}, [1], [[]], {"a": 1}, [None], '{"a":', "[1]"]
)
"""What stands where something else should."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values within a document."""
    if path:
        yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else [])
    )
    for key, one in inner:
        yield from places(one, (*path, key))


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_whatever_stands_in_a_record_takes_no_other_with_it(kind: str, data: st.DataObject) -> None:
    document = msgspec.json.decode(msgspec.json.encode(RECORDS[kind]))
    *path, last = data.draw(st.sampled_from(list(places(document))))
    holder = document
    for key in path:
        holder = holder[key]
    holder[last] = data.draw(JSON)
    whole = RECORDS[kind]
    other = {**whole, "trace_id": "another"} if kind == "litellm" else whole
    found = read_recording(lines(whole, document, other), PLAIN).answers
    kept = {one.place.line for one in found}
    assert 3 in kept
    assert 1 in kept or kind == "litellm", "an attempt of the first call may be the one that counts"


def test_a_csv_file_may_begin_with_a_bracket() -> None:
    recording = read_recording(b"[a] output,id\nx,1\n", ReadingOptions({"output": "[a] output"}))
    assert recording.format == "table"
    assert len(recording.answers) == 1
