"""Our own events as a format among others."""

from __future__ import annotations

from pathlib import Path

import msgspec

from understudy.schemas.adapters.recorded_events import answer_of_event, is_event
from understudy.schemas.adapters.recording import ReadingOptions
from understudy.schemas.events import decode_event
from understudy.schemas.salvage import parse

VALID = Path(__file__).parents[3] / "schemas" / "examples" / "valid"


def plain(part: object) -> object:
    """A part without the white space of its raw JSON."""
    return msgspec.json.decode(msgspec.json.encode(part))


def test_every_example_keeps_all_that_it_says() -> None:
    for file in VALID.glob("*.json"):
        payload = file.read_bytes()
        record, event = parse(payload), decode_event(payload)
        assert is_event(record)
        answer = answer_of_event(record, ReadingOptions())
        assert answer.id == event.pair_id
        for part in ("request", "response", "error", "usage", "timing", "fallback", "language"):
            assert plain(getattr(answer, part)) == plain(getattr(event, part)), file.name


def test_another_field_may_name_the_request() -> None:
    record = {"schema_version": 1, "pair_id": "p", "side": "stable", "attributes": {"case": "c"}}
    assert answer_of_event(record, ReadingOptions({"id": "attributes.case"})).id == "c"
