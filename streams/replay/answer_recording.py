"""Two recorded runs as a recording of events, for what reads those."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from understudy.schemas.adapters.cases import Case
from understudy.schemas.events import encode_event
from understudy.streams.replay.answer_events import (
    are_documents,
    events_of_cases,
    expecting_json,
    with_one_conversation,
)
from understudy.streams.replay.answer_files import AnswerFiles, RecordedRuns
from understudy.streams.replay.recordings import Place
from understudy.streams.replay.time_order import Disorder, Recording


class AnswerRecording:
    """The events of two runs in the order of their requests' times; iterate over it once or more.

    A request has the time of stable's record, else of the candidate's. Where none of them tells a
    time, all have that of the reading; where some do, the others have that of the one before.
    """

    def __init__(
        self, runs: RecordedRuns, files: AnswerFiles, rollout_id: str, now: dt.datetime
    ) -> None:
        cases = with_one_conversation(runs.cases)
        self.is_json_inferred = files.expects is None and are_documents(cases)
        """Whether JSON is taken for expected because stable's answers are."""
        if self.is_json_inferred:
            cases = expecting_json(cases)
        times = _times(cases, now)
        order = sorted(range(len(cases)), key=times.__getitem__)
        self._cases = [cases[place] for place in order]
        self._times = [times[place] for place in order]
        self._rollout_id = rollout_id
        self.disorder = Disorder(lines=sum(len(case.answers) for case in cases))
        self._places = [
            Place(found.place.file, found.place.line)
            for case in self._cases
            for found in (case.stable, case.candidate)
            if found is not None
        ]

    def __iter__(self) -> Iterator[bytes]:
        for event in events_of_cases(self._cases, self._rollout_id, self._times):
            yield encode_event(event)

    def place(self, index: int) -> Place:
        """Where the record of an event stands, by its index in the order of the events."""
        return self._places[index]


AnyRecording = Recording | AnswerRecording
"""What gives out events line by line, and knows where each stands."""


def _times(cases: Sequence[Case], now: dt.datetime) -> list[dt.datetime]:
    """The time of each request, (n,)."""
    known = [next((o.request_time for o in case.answers if o.request_time), None) for case in cases]
    latest = next((time for time in known if time is not None), now)
    times = []
    for time in known:
        latest = time or latest
        times.append(latest)
    return times
