"""Cases as events."""

from __future__ import annotations

import datetime as dt
from typing import Any

from understudy.schemas.adapters.cases import Case
from understudy.schemas.adapters.recorded_answer import answer_of
from understudy.schemas.adapters.recording import FoundAnswer, Place
from understudy.schemas.events import decode_event, encode_event
from understudy.streams.replay.answer_events import (
    are_documents,
    events_of_cases,
    expecting_json,
    with_one_conversation,
)

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def found(output: str | None = "a", **parts: Any) -> FoundAnswer:
    return FoundAnswer(answer_of({"id": "1", "response": {"output": output}, **parts}), Place(1))


def test_both_sides_of_a_case_follow_each_other_at_its_time() -> None:
    cases = [Case("1", found(), found()), Case("1", None, found()), Case("1", found(), None)]
    times = [NOON + dt.timedelta(seconds=n) for n in range(3)]
    events = list(events_of_cases(cases, "r", times))
    assert [(event.side, event.request_time.second) for event in events] == [
        ("stable", 0),
        ("candidate", 0),
        ("candidate", 1),
        ("stable", 2),
    ]
    assert all(event.sides == ("stable", "candidate") for event in events)
    assert [decode_event(encode_event(event)) for event in events] == events


def test_sides_agree_on_what_belongs_to_the_request() -> None:
    stable = found(conversation_id="c", turn=2)
    candidate = found(conversation_id="other", workflow="search", language="de")
    (case,) = with_one_conversation([Case("1", stable, candidate)])
    for answer in case.answers:
        assert (answer.conversation_id, answer.turn) == ("c", 2)
        assert (answer.workflow, answer.language) == ("search", "de")
    alone = Case("1", stable, None)
    assert with_one_conversation([alone]) == [alone]


def test_answers_that_are_documents_show_that_json_is_expected() -> None:
    def cases(*outputs: str | None, **parts: Any) -> list[Case]:
        return [Case("1", found(output, **parts), found("no JSON")) for output in outputs]

    documents = ['{"a": 1}', " [1]\n"] * 10
    assert are_documents(cases(*documents))
    assert are_documents(cases(*documents, "I cannot do that.", None, ""))
    assert not are_documents(cases(*documents, "so", "so"))
    assert not are_documents(cases(*documents[:4])), "too few to tell"
    assert not are_documents(cases(*["12", "true", '"a"'] * 5)), "text may look like that"
    assert not are_documents(cases(*documents, request={"expects": "json"})), "it is known"
    assert not are_documents([Case("1", None, found("{}"))] * 10)


def test_json_is_then_expected_of_both() -> None:
    cases = expecting_json([Case("1", found(request={"prompt": "Why?"}), None)])
    (answer,) = cases[0].answers
    assert answer.request is not None
    assert (answer.request.prompt, answer.request.expects) == ("Why?", "json")
