"""Tables of answers: CSV, TSV and JSON lines."""

from __future__ import annotations

import datetime as dt

import pytest

from understudy.schemas.adapters.detect import UnknownFormat, read_recording
from understudy.schemas.adapters.recording import Place, ReadingOptions, Recording
from understudy.schemas.adapters.tables import csv_rows
from understudy.schemas.events import Error, Request, Response, Timing, Usage


def read(content: str, **columns: str) -> Recording:
    return read_recording(content.encode(), ReadingOptions(columns))


def test_the_usual_names_are_found_whatever_their_case() -> None:
    recording = read('ID,Answer,Language\n7,"a, b\nc",de\n8,,\n')
    assert recording.format == "table"
    first, second = recording.answers
    assert (first.answer.id, first.answer.language) == ("7", "de")
    assert first.answer.response == Response(output="a, b\nc")
    assert first.place == Place(2)
    assert second.place == Place(4), "the first row spans two lines"
    assert second.answer.response == Response(output="")
    assert second.answer.error is None, "an empty cell is an empty answer"
    assert second.answer.language is None


def test_all_that_a_table_may_tell() -> None:
    names = (
        "id,output,prompt,workflow,session_id,turn,timestamp,expects,model,finish_reason,"
        "prompt_tokens,completion_tokens,cost,latency_ms,ttft_ms"
    )
    cells = "1,{},Why?,search,s,2,2026-03-02T12:00:00Z,json,wren-1,stop,12,3.0,0.5,1500,250"
    (found,) = read(f"{names}\n{cells}\n").answers
    answer = found.answer
    assert answer.unreadable_fields == ()
    assert answer.request == Request(prompt="Why?", expects="json")
    assert answer.response == Response("wren-1", "{}", finish_reason="stop", stream=True)
    assert (answer.conversation_id, answer.turn, answer.workflow) == ("s", 2, "search")
    assert answer.request_time == dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert answer.usage == Usage(12, 3, 0.5)
    assert answer.timing == Timing(1500, 250)
    assert found.sources == ("wren-1",)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_first_line_tells_the_delimiter(delimiter: str) -> None:
    (found,) = read(delimiter.join(("id", "output")) + "\r\n" + delimiter.join("ab")).answers
    assert (found.answer.id, found.answer.response) == ("a", Response(output="b"))


def test_columns_go_by_the_names_that_the_user_gives() -> None:
    (found,) = read("key,gpt,id\n1,so,9\n", id="key", output="gpt").answers
    assert (found.answer.id, found.answer.response) == ("1", Response(output="so"))
    lines = '{"meta": {"key": 1}, "choices": [{"text": "so"}]}\n'
    (found,) = read(lines, id="meta.key", output="choices.0.text").answers
    assert (found.answer.id, found.answer.response) == ("1", Response(output="so"))


def test_failures_of_a_table() -> None:
    rows = (
        '{"id": 1, "output": null}\n{"id": 2, "error": "timeout"}\n'
        '{"id": 3, "output": "a", "error": ""}\n'
    )
    errors = [found.answer.error for found in read(rows).answers]
    assert errors == [Error("no_output"), Error("timeout"), None]
    csv = "id,output,error,status\n1,,rate_limit,429\n2,,,503\n3,so,,200\n"
    errors = [found.answer.error for found in read(csv).answers]
    assert errors == [Error("rate_limit", 429), Error("503", 503), None]


def test_documents_that_are_answers_become_text_and_calls_are_read() -> None:
    (json, call) = read(
        '{"id": 1, "output": {"total": 3}}\n'
        '{"id": 2, "output": null, "tool_calls": [{"name": "find", "arguments": {}}]}\n'
    ).answers
    assert json.answer.response == Response(output='{"total": 3}')
    assert call.answer.response is not None
    assert [one.name for one in call.answer.response.tool_calls or ()] == ["find"]
    assert call.answer.error is None


def test_rows_without_an_id_are_named_by_their_prompt() -> None:
    recording = read("prompt,answer\nWhy?,so\nWhy?,because\n")
    assert recording.has_hashed_ids
    first, second = recording.answers
    assert first.answer.id == second.answer.id
    assert first.call != second.call, "two rows are two requests"
    (problem,) = read("answer\nso\n").problems
    assert "neither an id nor a prompt" in problem.detail


def test_two_columns_of_one_table_hold_both_sides() -> None:
    options = ReadingOptions(outputs=("old", "new"))
    first, second = read_recording(b"question,old,new\nWhy?,so,because\n", options).answers
    assert first.answer.id == second.answer.id == "2", "the row names the request"
    assert (first.sources, second.sources) == (("old",), ("new",))
    assert second.answer.response == Response(output="because")
    assert second.answer.request == Request(prompt="Why?")


def test_what_is_wrong_in_a_row_is_told_with_its_line() -> None:
    recording = read("id,output,turn\n1,a,x\n,b,1\n3,c,1,more\n4,d\n")
    assert [(str(one.place), one.detail) for one in recording.problems] == [
        ("2", "not readable: turn"),
        ("3", "has no id"),
        ("4", "has 4 cells, the first line 3"),
    ]
    assert [found.answer.id for found in recording.answers] == ["1", "4"]


def test_a_table_without_answers_says_what_there_is() -> None:
    with pytest.raises(UnknownFormat, match="--output: id, gpt"):
        read("id,gpt\n1,a\n")


def test_an_output_that_is_not_there_is_told() -> None:
    with pytest.raises(UnknownFormat, match="no column gpt; there are: id, output"):
        read("id,output\n1,a\n", output="gpt")


def test_a_quote_that_never_ends_takes_the_rest_of_the_file() -> None:
    found = list(csv_rows(b'id,output\n1,"a\n2,b\n'))
    assert found == [(Place(2), {"id": "1", "output": "a\n2,b\n"})]


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("id,output\n1,café\n".encode("cp1252"), "café"),
        ("id,output\n1,café\n".encode(), "café"),
        ("id,output\n1,naïve café ".encode() + b"\xff\n", "naïve café \ufffd"),
    ],
)
def test_the_code_page_of_windows_is_no_damage(content: bytes, output: str) -> None:
    ((_, record),) = csv_rows(content)
    assert record["output"] == output
