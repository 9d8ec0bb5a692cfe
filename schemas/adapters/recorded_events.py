"""Our own events as a format among others: recordings of what gateways wrote."""

from __future__ import annotations

from understudy.schemas.adapters.recorded_answer import RecordedAnswer, answer_of
from understudy.schemas.adapters.recording import ReadingOptions, Record, look_up


def is_event(record: Record) -> bool:
    """Whether a record is an event of a gateway."""
    return {"schema_version", "pair_id", "side"} <= record.keys()


def answer_of_event(record: Record, options: ReadingOptions) -> RecordedAnswer:
    """The answer that an event tells of. Raises ValueError for one without an id."""
    named = look_up(record, options.id_name) if options.id_name else record["pair_id"]
    return answer_of({**record, "id": named})
