"""GenAI spans, written by OpenTelemetry's own SDK where it is installed."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from understudy.schemas.adapters.detect import read_recording
from understudy.schemas.adapters.otlp import answer_of_span
from understudy.schemas.adapters.recorded_answer import RecordedAnswer
from understudy.schemas.adapters.recording import Place, ReadingOptions, Recording
from understudy.schemas.events import Error, Timing, Usage

PLAIN = ReadingOptions()
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Wie spät?"}]}]
ANSWERED = [
    {
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "content": "Hm."},
            {"type": "text", "content": "Zwölf."},
            {"type": "tool_call", "id": "c", "name": "clock", "arguments": {"zone": "CET"}},
        ],
        "finish_reason": "stop",
    }
]
GENAI: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "wren",
    "gen_ai.response.model": "wren-1",
    "gen_ai.conversation.id": "k-1",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.output.type": "json",
    "app.case": "c-7",
}


def span(**parts: Any) -> dict[str, Any]:
    return {"name": "chat wren", "spanId": "s", "traceId": "t", "attributes": {}, **parts}


def answer(**parts: Any) -> RecordedAnswer:
    return answer_of_span(span(**parts), Place(1), PLAIN).answer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the SDK's exporters of OTLP as JSON and to the console write of two calls and a tool."""
    pytest.importorskip("opentelemetry.exporter.otlp.json.file", reason="no OpenTelemetry SDK")
    from opentelemetry.exporter.otlp.json.file import FileSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    path, console = tmp_path_factory.mktemp("otlp") / "spans.jsonl", io.StringIO()
    provider = TracerProvider(resource=Resource({"service.version": "4"}))
    for exporter in (FileSpanExporter(path), ConsoleSpanExporter(out=console)):
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("handle request"):
        with tracer.start_as_current_span("chat wren", attributes=GENAI) as one:
            one.set_attribute("gen_ai.input.messages", json.dumps(ASKED))
            one.set_attribute("gen_ai.output.messages", json.dumps(ANSWERED))
        with tracer.start_as_current_span("chat wren", attributes=GENAI) as one:
            one.set_attribute("gen_ai.input.messages", json.dumps(ASKED))
            one.set_attribute("error.type", "timeout")
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "clock"}
        with tracer.start_as_current_span("execute_tool clock", attributes=tool):
            pass
        with suppress(TimeoutError), tracer.start_as_current_span("chat", attributes=GENAI) as one:
            one.set_attribute("gen_ai.input.messages", json.dumps(ASKED))
            raise TimeoutError("too slow")
    provider.shutdown()
    return {"otlp": path.read_bytes(), "console": console.getvalue().encode()}


@pytest.mark.parametrize("exporter", ["otlp", "console"])
def test_what_the_sdk_writes(written: dict[str, bytes], exporter: str) -> None:
    recording: Recording = read_recording(written[exporter], PLAIN)
    assert recording.format == "otlp"
    assert recording.problems == []
    assert recording.has_hashed_ids
    assert recording.skipped == {"execute_tool span": 1, "other span": 1}
    first, failed, raised = recording.answers
    assert len({one.answer.id for one in recording.answers}) == 1, "the same was asked"
    assert first.answer.request is not None
    assert (first.answer.request.prompt, first.answer.request.expects) == ("Wie spät?", "json")
    response = first.answer.response
    assert response is not None
    assert (response.output, response.reasoning) == ("Zwölf.", "Hm.")
    assert [call.name for call in response.tool_calls or ()] == ["clock"]
    assert (response.model, response.finish_reason) == ("wren-1", "stop")
    assert first.answer.usage == Usage(12, 3, None, 4)
    assert first.answer.conversation_id == "k-1"
    assert first.answer.timing is not None
    assert first.answer.timing.duration_ms is not None
    assert first.answer.unreadable_fields == ()
    assert failed.answer.error == Error("timeout")
    assert raised.answer.error == Error("TimeoutError")


@pytest.mark.parametrize("name", ["app.case", "service.version"])
def test_an_attribute_of_the_span_or_its_resource_names_the_request(
    written: dict[str, bytes], name: str
) -> None:
    for content in written.values():
        recording = read_recording(content, ReadingOptions({"id": name}))
        assert {one.answer.id for one in recording.answers} == {
            "c-7" if name == "app.case" else "4"
        }
        assert {one.call for one in recording.answers} == {""}


def test_an_attribute_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match=r"has no attribute app\.case"):
        answer_of_span(
            span(attributes=GENAI | {"app.case": None}),
            Place(1),
            ReadingOptions({"id": "app.case"}),
        )


def test_without_content_somebody_has_to_say_what_pairs() -> None:
    with pytest.raises(ValueError, match="--id"):
        answer(attributes=GENAI)


def test_an_answer_whose_content_was_not_recorded_is_not_an_empty_one() -> None:
    options = ReadingOptions({"id": "app.case"})
    found = [
        answer_of_span(span(attributes=GENAI, spanId=name), Place(1), options).answer.response
        for name in ("s1", "s2")
    ]
    assert [one.output_form for one in found if one] == ["hashed", "hashed"]
    assert len({one.output for one in found if one}) == 2


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.output.type": "json"},
        {"gen_ai.openai.request.response_format": "json_object"},
        {"gen_ai.request.structured_output_schema": '{"type": "json_schema"}'},
    ],
)
def test_json_is_expected_by_any_instrumentations_name(attributes: dict[str, Any]) -> None:
    told = answer(attributes={"gen_ai.prompt": "a", **attributes})
    assert told.request is not None
    assert told.request.expects == "json"


def test_text_is_not() -> None:
    wanted = {"gen_ai.request.structured_output_schema": '{"type": "text"}'}
    told = answer(attributes={"gen_ai.prompt": "a", "gen_ai.is_streaming": True, **wanted})
    assert told.request is not None
    assert told.request.expects == "text"
    assert told.response is not None
    assert told.response.stream is True


def test_events_of_the_conventions_before() -> None:
    told = answer(
        attributes={"gen_ai.operation.name": "chat"},
        events=[
            {"name": "gen_ai.user.message", "attributes": {"content": "Wie spät?"}},
            {
                "name": "gen_ai.choice",
                "attributes": {"finish_reason": "stop", "message": '{"content": "Zwölf."}'},
            },
        ],
    )
    assert told.request is not None
    assert told.request.prompt == "Wie spät?"
    assert told.response is not None
    assert (told.response.output, told.response.finish_reason) == ("Zwölf.", "stop")


def test_openllmetrys_attributes() -> None:
    told = answer(
        attributes={
            "llm.request.type": "chat",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "Wie spät?",
            "gen_ai.completion.0.content": "Zwölf.",
            "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.completion.0.tool_calls.0.name": "clock",
            "gen_ai.completion.0.tool_calls.0.arguments": "{}",
            "gen_ai.usage.prompt_tokens": 12,
        }
    )
    assert told.request is not None
    assert told.request.prompt == "Wie spät?"
    assert told.response is not None
    assert (told.response.output, told.response.finish_reason) == ("Zwölf.", "stop")
    assert [call.name for call in told.response.tool_calls or ()] == ["clock"]
    assert told.usage == Usage(input_tokens=12)


def test_times_are_exact_to_the_microsecond() -> None:
    told = answer(
        attributes={"gen_ai.prompt": "a", "gen_ai.response.time_to_first_chunk": 0.25},
        startTimeUnixNano="1795865109306710164",
        endTimeUnixNano="1795865110306739785",
    )
    assert told.timing == Timing(1000.029, 250)
    assert told.response is not None
    assert told.response.stream is True
    assert (
        answer(attributes={"gen_ai.prompt": "a"}, startTimeUnixNano="9" * 30).request_time is None
    )


def test_spans_that_were_captured_by_a_collector(tmp_path: Path) -> None:
    attributes = [{"key": "gen_ai.prompt", "value": {"stringValue": "a"}}]
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span(attributes=attributes)]}]}]}
    (found,) = read_recording(json.dumps(document, indent=1).encode(), PLAIN).answers
    assert str(found.place) == "1 at resourceSpans[0].scopeSpans[0].spans[0]"
