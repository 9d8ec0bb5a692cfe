"""Cases of two recorded runs as the events that a gateway would have written. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from understudy.schemas.adapters.cases import Case
from understudy.schemas.adapters.recorded_answer import event_of
from understudy.schemas.adapters.recording import FoundAnswer
from understudy.schemas.events import Event, Request, Side

PAIR: Final[tuple[Side, Side]] = ("stable", "candidate")
_DOCUMENT_SHARE: Final = 0.95
"""Of stable's answers: with as many JSON documents, JSON is what callers parse, prompts in which
the model asks back or declines left out."""
_MIN_DOCUMENTS: Final = 5
"""Fewer say nothing about what callers parse."""


def events_of_cases(
    cases: Sequence[Case], rollout_id: str, times: Sequence[dt.datetime]
) -> Iterator[Event]:
    """The events of all cases, both sides of a case one after the other.

    `times` are those of the requests, shape (n,). A side that has no record writes none, so that
    pairing counts it as lost.
    """
    for case, time in zip(cases, times, strict=True):
        for side, found in zip(PAIR, (case.stable, case.candidate), strict=True):
            if found is not None:
                yield event_of(
                    found.answer, rollout_id=rollout_id, mode="shadow", side=side, sides=PAIR,
                    request_time=time,
                )  # fmt: skip


def with_one_conversation(cases: Sequence[Case]) -> list[Case]:
    """The cases, each with what its sides have to agree on: conversation, turn and workflow.

    Of two files one may tell what the other does not; stable's word counts.
    """
    return [_agreed(case) for case in cases]


def _agreed(case: Case) -> Case:
    if case.stable is None or case.candidate is None:
        return case
    stable, candidate = case.stable.answer, case.candidate.answer
    shared: dict[str, Any] = {
        name: getattr(stable, name) or getattr(candidate, name)
        for name in ("conversation_id", "turn", "workflow", "language")
    }
    return replace(case, stable=_with(case.stable, shared), candidate=_with(case.candidate, shared))


def _with(found: FoundAnswer, shared: dict[str, Any]) -> FoundAnswer:
    return found._replace(answer=msgspec.structs.replace(found.answer, **shared))


def are_documents(cases: Sequence[Case]) -> bool:
    """Whether stable's answers are JSON documents, though no request says that they should be."""
    answers = [case.stable.answer for case in cases if case.stable is not None]
    if any(one.request is not None and one.request.expects != "text" for one in answers):
        return False
    texts = [one.response.output for one in answers if one.response is not None]
    given = [text for text in texts if text and text.strip()]
    documents = sum(map(_is_document, given))
    return documents >= max(_MIN_DOCUMENTS, _DOCUMENT_SHARE * len(given))


def _is_document(text: str) -> bool:
    """Whether a text is a JSON object or array, and nothing else."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def expecting_json(cases: Sequence[Case]) -> list[Case]:
    """The cases with requests whose callers parse JSON."""
    return [
        replace(case, stable=_expecting(case.stable), candidate=_expecting(case.candidate))
        for case in cases
    ]


def _expecting(found: FoundAnswer | None) -> FoundAnswer | None:
    if found is None:
        return None
    request = msgspec.structs.replace(found.answer.request or Request(), expects="json")
    return found._replace(answer=msgspec.structs.replace(found.answer, request=request))
