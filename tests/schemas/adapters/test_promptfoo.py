"""Results that promptfoo 0.123 wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.schemas.adapters.detect import read_recording
from understudy.schemas.adapters.promptfoo import answer_of_row
from understudy.schemas.adapters.recording import FoundAnswer, Place, ReadingOptions
from understudy.schemas.events import Error, Timing, Usage

FILES = Path(__file__).parent / "files"
PLAIN = ReadingOptions()
ROW = {
    "promptIdx": 0,
    "testIdx": 3,
    "provider": "wren-1",
    "vars": {"word": "rain"},
    "promptId": "p",
}


def read(name: str, **columns: str) -> list[FoundAnswer]:
    recording = read_recording((FILES / name).read_bytes(), ReadingOptions(columns))
    assert recording.format == "promptfoo"
    assert recording.problems == []
    return recording.answers


@pytest.mark.parametrize("name", ["promptfoo-0.123.json", "promptfoo-0.123.jsonl"])
def test_rows_of_both_providers_share_their_ids(name: str) -> None:
    found = read(name)
    by_source: dict[str, set[str]] = {}
    for one in found:
        by_source.setdefault(one.sources[0], set()).add(one.answer.id)
    assert by_source.keys() == {"steady", "newcomer"}
    assert by_source["steady"] == by_source["newcomer"]
    assert len(by_source["steady"]) == 3
    assert {one.sources for one in found} == {("steady", "wren-1"), ("newcomer", "wren-2")}


def test_an_assertion_that_failed_is_no_error_of_the_model() -> None:
    found = read("promptfoo-0.123.json", id="testCase.metadata.case")
    broken = next(o for o in found if o.answer.id == "w-1" and "wren-2" in o.sources)
    assert broken.answer.error is None
    assert broken.answer.response is not None
    assert broken.answer.response.output == '{"word": "rain", "letters": '
    assert broken.answer.response.finish_reason == "length"
    assert broken.answer.request is not None
    assert broken.answer.request.expects == "json"
    assert broken.answer.request.prompt == 'How many letters has "rain"? Answer as JSON.'
    assert broken.answer.usage == Usage(input_tokens=14, output_tokens=6, cost_usd=0.00002)


def test_a_call_that_failed_is_one() -> None:
    found = read("promptfoo-0.123.json", id="testCase.metadata.case")
    failed = next(o for o in found if o.answer.id == "w-2" and "wren-2" in o.sources)
    assert failed.answer.error == Error("503", 503)


def test_repeats_are_calls_of_their_own() -> None:
    first, second = (
        answer_of_row({**ROW, "testIdx": n}, Place(n), ReadingOptions()) for n in (0, 1)
    )
    assert first.answer.id == second.answer.id
    assert first.call != second.call


def test_rows_without_variables_are_named_by_their_prompt() -> None:
    rows = [{**ROW, "vars": {}, "promptId": str(n), "prompt": {"raw": "Why?"}} for n in range(2)]
    first, second = (answer_of_row(row, Place(1), PLAIN).answer.id for row in rows)
    assert first == second
    with pytest.raises(ValueError, match="has no id"):
        answer_of_row({**ROW, "vars": {}}, Place(1), PLAIN)


def test_an_answer_from_the_cache_has_no_time() -> None:
    row = {**ROW, "response": {"output": {"a": 1}, "cached": True}, "latencyMs": 2}
    answer = answer_of_row(row, Place(1), PLAIN).answer
    assert answer.timing is None
    assert answer.response is not None
    assert answer.response.cache_hit is True
    assert answer.response.output == '{"a": 1}', "promptfoo has parsed it"
    row = {**row, "response": {"output": "a"}}
    assert answer_of_row(row, Place(1), PLAIN).answer.timing == Timing(duration_ms=2)


def test_a_row_without_a_response_is_a_failure() -> None:
    assert answer_of_row(ROW, Place(1), PLAIN).answer.error == Error("no_response")
