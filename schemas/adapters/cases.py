"""Two recordings of answers to the same requests, brought together: one case a request.

Attempts under one id are folded into one answer, and what one side lacks stays visible.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from understudy.schemas.adapters.recorded_answer import RecordedAnswer, id_text
from understudy.schemas.adapters.recording import FoundAnswer, FoundRequest
from understudy.schemas.events import Request


@dataclass(slots=True)
class SideAnswers:
    """The answers of one side, one for each request, in the order in which they were found."""

    by_id: dict[str, FoundAnswer] = field(default_factory=dict)
    duplicates: int = 0
    """Records that say the same as one before them under the same id."""
    superseded: int = 0
    """Attempts that another one of the same request replaced."""
    several: list[tuple[FoundAnswer, FoundAnswer]] = field(default_factory=list)
    """Ids with more than one answer that is no error: the one replaced, and the one that counts."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request; a side that is None has no record of it."""

    id: str
    stable: FoundAnswer | None
    candidate: FoundAnswer | None

    @property
    def is_common(self) -> bool:
        """Whether both sides have a record."""
        return self.stable is not None and self.candidate is not None

    @property
    def answers(self) -> list[RecordedAnswer]:
        """What is there, stable's first."""
        return [found.answer for found in (self.stable, self.candidate) if found is not None]


def one_a_request(found: Iterable[FoundAnswer]) -> SideAnswers:
    """Fold the attempts of each request into the answer that counts.

    That is the last one without an error, else the last one: by time where all tell it, else by
    order. Where an id is a hash of the input (`call` tells which records are of one call), the
    same input again is another request: `id#2`.
    """
    calls: dict[str, dict[str, list[FoundAnswer]]] = {}
    for one in found:
        calls.setdefault(one.answer.id, {}).setdefault(one.call, []).append(one)
    side = SideAnswers()
    for named, by_call in calls.items():
        for number, attempts in enumerate(by_call.values(), start=1):
            counts = _folded(attempts, side)
            if number > 1:
                renamed = msgspec.structs.replace(counts.answer, id=id_text(f"{named}#{number}"))
                counts = counts._replace(answer=renamed)
            side.by_id[counts.answer.id] = counts
    return side


def _folded(attempts: Sequence[FoundAnswer], side: SideAnswers) -> FoundAnswer:
    """The attempt that counts; note what becomes of the others."""
    if len(attempts) == 1:
        return attempts[0]
    distinct: list[FoundAnswer] = []
    for one in attempts:
        if any(one.answer == other.answer for other in distinct):
            side.duplicates += 1
        else:
            distinct.append(one)
    times = [one.answer.request_time for one in distinct]
    if all(time is not None for time in times):
        distinct.sort(key=lambda one: one.answer.request_time.timestamp())  # type: ignore[union-attr]
    answered = [one for one in distinct if one.answer.error is None]
    side.superseded += len(distinct) - 1
    if len(answered) > 1:
        side.several.append((answered[0], answered[-1]))
    return (answered or distinct)[-1]


def with_requests(
    found: Sequence[FoundAnswer], requests: Iterable[FoundRequest]
) -> list[FoundAnswer]:
    """The answers, with what was asked where only another file tells it."""
    requested = {one.id: one.request for one in requests}
    if not requested:
        return list(found)
    return [_asked(one, requested) for one in found]


def _asked(found: FoundAnswer, requested: Mapping[str, Request]) -> FoundAnswer:
    request = requested.get(found.answer.id)
    if request is None or found.answer.request is not None:
        return found
    return found._replace(answer=msgspec.structs.replace(found.answer, request=request))


def cases_of(stable: SideAnswers, candidate: SideAnswers) -> list[Case]:
    """All requests that either side has, in the order of stable's, then of candidate's."""
    ids = dict.fromkeys((*stable.by_id, *candidate.by_id))
    return [Case(one, stable.by_id.get(one), candidate.by_id.get(one)) for one in ids]
