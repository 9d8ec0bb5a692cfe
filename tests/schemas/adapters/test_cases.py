"""Two sides brought together, attempts folded."""

from __future__ import annotations

import datetime as dt
from typing import Any

from understudy.schemas.adapters.cases import cases_of, one_a_request, with_requests
from understudy.schemas.adapters.recorded_answer import answer_of
from understudy.schemas.adapters.recording import FoundAnswer, FoundRequest, Place
from understudy.schemas.events import Request

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def found(
    named: str, output: str | None, line: int = 1, call: str = "", **parts: Any
) -> FoundAnswer:
    error = {"type": "timeout"} if output is None else None
    answer = answer_of({"id": named, "response": {"output": output}, "error": error, **parts})
    return FoundAnswer(answer, Place(line), call=call)


def output_of(one: FoundAnswer | None) -> str | None:
    return None if one is None or one.answer.response is None else one.answer.response.output


def test_the_last_answer_without_an_error_counts() -> None:
    side = one_a_request([found("a", None, 1), found("a", "so", 2), found("a", None, 3)])
    assert output_of(side.by_id["a"]) == "so"
    assert (side.superseded, side.duplicates, side.several) == (1, 1, [])
    side = one_a_request([found("a", None, 1, usage={"input_tokens": 1}), found("a", None, 2)])
    assert side.by_id["a"].place == Place(2)


def test_several_answers_under_one_id_are_told() -> None:
    side = one_a_request([found("a", "so", 1), found("a", "or so", 2), found("b", "x", 3)])
    assert output_of(side.by_id["a"]) == "or so"
    assert [(one.place.line, other.place.line) for one, other in side.several] == [(1, 2)]


def test_attempts_are_ordered_by_time_where_all_tell_it() -> None:
    late = found("a", "late", 1, request_time=NOON + dt.timedelta(seconds=1))
    early = found("a", "early", 2, request_time=NOON)
    assert output_of(one_a_request([late, early]).by_id["a"]) == "late"
    assert output_of(one_a_request([late, found("a", "x", 2)]).by_id["a"]) == "x"


def test_the_same_input_in_two_calls_is_two_requests() -> None:
    calls = [found("h", None, 1, "t1"), found("h", "a", 2, "t1"), found("h", "b", 3, "t2")]
    side = one_a_request(calls)
    assert {named: output_of(one) for named, one in side.by_id.items()} == {"h": "a", "h#2": "b"}
    assert side.by_id["h#2"].answer.id == "h#2"


def test_cases_keep_what_one_side_lacks() -> None:
    stable = one_a_request([found("b", "1"), found("a", "2")])
    candidate = one_a_request([found("c", "3"), found("a", "4")])
    cases = cases_of(stable, candidate)
    assert [(c.id, output_of(c.stable), output_of(c.candidate)) for c in cases] == [
        ("b", "1", None),
        ("a", "2", "4"),
        ("c", None, "3"),
    ]
    assert [case.is_common for case in cases] == [False, True, False]
    assert [len(case.answers) for case in cases] == [1, 2, 1]


def test_what_was_asked_may_stand_in_another_file() -> None:
    asked = FoundRequest("a", Request(prompt="Why?", expects="json"), Place(1))
    plain, own = found("a", "so"), found("a", "so", request={"prompt": "How?"})
    assert with_requests([plain], [asked])[0].answer.request == asked.request
    assert with_requests([own], [asked]) == [own]
    assert with_requests([plain], []) == [plain]
