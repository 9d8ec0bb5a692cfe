"""Exports of Langfuse, made after its documentation of fields."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from understudy.schemas.adapters.detect import read_recording
from understudy.schemas.adapters.langfuse import answer_of_observation
from understudy.schemas.adapters.recording import Place, ReadingOptions, Recording
from understudy.schemas.events import Error, Timing, Usage

API: dict[str, Any] = {
    "id": "o-1",
    "traceId": "t-1",
    "type": "GENERATION",
    "name": "answer",
    "startTime": "2026-03-02T12:00:00.000Z",
    "completionStartTime": "2026-03-02T12:00:00.250Z",
    "endTime": "2026-03-02T12:00:01.500Z",
    "model": "wren-1",
    "input": [{"role": "user", "content": "Wie spät?"}],
    "output": {"role": "assistant", "content": "Zwölf."},
    "usageDetails": {"input": 12, "output": 3, "total": 15, "input_cached_tokens": 4},
    "costDetails": {"input": 0.001, "output": 0.002, "total": 0.003},
    "level": "DEFAULT",
    "metadata": {"case": "c-7"},
    "sessionId": "s-1",
}
STORAGE: dict[str, Any] = {
    "id": "o-1",
    "trace_id": "t-1",
    "type": "GENERATION",
    "start_time": "2026-03-02 12:00:00.000000",
    "completion_start_time": "2026-03-02 12:00:00.250000",
    "end_time": "2026-03-02 12:00:01.500000",
    "provided_model_name": "wren-1",
    "input": '[{"role": "user", "content": "Wie spät?"}]',
    "output": '{"role": "assistant", "content": "Zwölf."}',
    "usage_details": {"input": 12, "output": 3, "input_cached_tokens": 4},
    "total_cost": 0.003,
    "level": "DEFAULT",
    "session_id": "s-1",
}


def read(*records: Any, **columns: str) -> Recording:
    content = b"\n".join(msgspec.json.encode(one) for one in records)
    return read_recording(content, ReadingOptions(columns))


@pytest.mark.parametrize("record", [API, STORAGE])
def test_a_generation_of_the_api_and_of_blob_storage(record: dict[str, Any]) -> None:
    recording = read(record)
    assert recording.format == "langfuse"
    assert recording.has_hashed_ids
    (found,) = recording.answers
    answer = found.answer
    assert answer.unreadable_fields == ()
    assert answer.request_time == dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert answer.conversation_id == "s-1"
    assert answer.request is not None
    assert answer.request.prompt == "Wie spät?"
    assert answer.response is not None
    assert (answer.response.output, answer.response.model) == ("Zwölf.", "wren-1")
    assert answer.response.stream is True
    assert answer.usage == Usage(12, 3, 0.003, 4)
    assert answer.timing == Timing(duration_ms=1500, time_to_first_token_ms=250)
    assert (found.sources, found.call) == (("wren-1",), "t-1")


def test_both_kinds_of_export_name_a_request_alike() -> None:
    first, second = (read(record).answers[0].answer.id for record in (API, STORAGE))
    assert first == second


def test_a_row_of_a_csv_export() -> None:
    names = ("id", "traceId", "type", "startTime", "input", "output", "latency", "totalCost")
    cells = ("o-1", "t-1", "GENERATION", "2026-03-02T12:00:00Z", "Why?", "So.", "1.5", "0.25")
    (found,) = read_recording(
        f"{','.join(names)}\n{','.join(cells)}\n".encode(), ReadingOptions()
    ).answers
    assert found.answer.response is not None
    assert found.answer.response.output == "So."
    assert found.answer.timing == Timing(duration_ms=1500)
    assert found.answer.usage == Usage(cost_usd=0.25)


def test_the_user_may_say_what_names_a_request() -> None:
    assert read(API, id="metadata.case").answers[0].answer.id == "c-7"
    storage = {**STORAGE, "metadata": '{"case": "c-7"}'}
    (found,) = read(storage, id="metadata.case").answers
    assert (found.answer.id, found.call) == ("c-7", "")


def test_an_output_that_was_not_recorded_is_not_an_empty_one() -> None:
    response = read({**API, "output": None}).answers[0].answer.response
    assert response is not None
    assert response.output_form == "hashed"


def test_failures_carry_their_message() -> None:
    record = {**API, "level": "ERROR", "statusMessage": "timeout", "output": None}
    assert read(record).answers[0].answer.error == Error("timeout")


def test_pages_and_traces_hold_observations() -> None:
    others = [{**API, "type": kind, "id": kind} for kind in ("SPAN", "TOOL", "TOOL")]
    page = read({"data": [API, *others], "meta": {"page": 1}})
    assert len(page.answers) == 1
    assert page.skipped == {"span observation": 1, "tool observation": 2}
    assert page.answers[0].place == Place(1, "data[0]")
    observation = {name: value for name, value in API.items() if name != "sessionId"}
    trace = read({"id": "t-1", "sessionId": "s-9", "observations": [observation]})
    assert trace.answers[0].answer.conversation_id == "s-9"


def test_an_answer_may_be_the_body_of_an_api() -> None:
    body = {"choices": [{"message": {"content": "So."}, "finish_reason": "length"}], "model": "m"}
    found = answer_of_observation({**API, "output": body}, Place(1), ReadingOptions())
    assert found.answer.response is not None
    assert (found.answer.response.output, found.answer.response.finish_reason) == ("So.", "length")
    assert found.answer.response.model == "wren-1"
    json = answer_of_observation({**API, "output": {"a": 1}}, Place(1), ReadingOptions())
    assert json.answer.response is not None
    assert json.answer.response.output == '{"a": 1}'


def test_without_an_input_somebody_has_to_say_what_pairs() -> None:
    (problem,) = read({**API, "input": None}).problems
    assert "--id" in problem.detail
