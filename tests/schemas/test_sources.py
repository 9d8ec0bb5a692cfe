"""Each source knows the key, the time and the words of its records."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.streams.pairing.log import EPOCH, event, judgement, opinion
from understudy.schemas.events import InvalidEvent, identity_of
from understudy.schemas.sources import SOURCE_RECORDS
from understudy.schemas.windows import SOURCES, Source

RECORDS: dict[Source, bytes] = {
    "events": event("a", at_s=3),
    "feedback": opinion("a", at_s=3),
    "evaluations": judgement("a", at_s=3, requested_s=-3_600),
}


def test_all_sources_are_known() -> None:
    assert tuple(SOURCE_RECORDS) == SOURCES


@pytest.mark.parametrize("source", SOURCES)
def test_key_and_time_of_a_record(source: Source) -> None:
    records = SOURCE_RECORDS[source]
    found = records.read(RECORDS[source], 1_000_000)
    assert found.key == "r/a"
    at = EPOCH + dt.timedelta(seconds=3)
    assert found.time_ms == int(at.timestamp() * 1000)
    identity = identity_of(RECORDS[source])
    assert identity is not None
    assert records.key(identity) == found.key
    assert records.time_field.encode() in RECORDS[source]


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_no_record_is_refused(source: Source) -> None:
    with pytest.raises(InvalidEvent):
        SOURCE_RECORDS[source].read(b"{}", 1_000_000)


def test_only_evaluations_are_never_late() -> None:
    assert [one for one in SOURCES if not SOURCE_RECORDS[one].can_be_late] == ["evaluations"]
