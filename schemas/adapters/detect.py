"""Reads a file of recorded answers by its content, whatever its name: one way in for all formats.

Each record is read by what it is, so the output, error and input lines of a batch may stand in one
file. A record of another kind than its file is a problem that is told, as is all that cannot be
read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from understudy.schemas.adapters import (
    langfuse,
    litellm_payload,
    openai_batch,
    otlp,
    promptfoo,
    recorded_events,
    tables,
)
from understudy.schemas.adapters.json_records import json_records
from understudy.schemas.adapters.recorded_answer import RecordedAnswer, id_text
from understudy.schemas.adapters.recording import (
    FORMATS,
    Format,
    FoundAnswer,
    FoundRequest,
    Place,
    Problem,
    ReadingOptions,
    Record,
    Recording,
    hash_id,
    look_up,
)

_HEAD_BYTES: Final = 4_096
"""Of a binary file, so many hold a byte that no text has."""
_ReadAnswer = Callable[[Record, Place, ReadingOptions], FoundAnswer]


class UnknownFormat(ValueError):
    """A file whose content is none of the formats, or not of the one that was named."""


def read_recording(
    content: bytes, options: ReadingOptions, wanted: Format | None = None
) -> Recording:
    """Read all that a file holds; `content` is UTF-8.

    Raises `UnknownFormat` for one in which there is nothing to read, or which is not as `wanted`.
    """
    if b"\0" in content[:_HEAD_BYTES]:
        raise UnknownFormat("is no text")
    is_json = _is_json(content)
    found = json_records(content) if is_json else tables.csv_rows(content)
    reader = _Reader(options, wanted)
    for one in found:
        if isinstance(one, Problem):
            reader.recording.problems.append(one)
        else:
            reader.take(*one)
    recording = reader.finish()
    if not reader.has_begun:
        why = (
            f": line {recording.problems[0].place} {recording.problems[0].detail}"
            if recording.problems
            else ""
        )
        raise UnknownFormat(f"holds no records{why}")
    return recording


def _is_json(content: bytes) -> bool:
    """Whether a file holds JSON; a CSV file may begin with a bracket, too."""
    head = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:64]
    after = head[1:].lstrip()[:1]
    return head[:1] == b"{" or (head[:1] == b"[" and after in b'{["]')


def format_of(record: Any) -> Format:
    """What a record is, by the names in it; `table` where nothing tells."""
    if not isinstance(record, Mapping):
        return "table"
    if recorded_events.is_event(record):
        return "events"
    if openai_batch.is_batch_output(record) or openai_batch.is_batch_input(record):
        return "batch"
    if promptfoo.is_results(record) or promptfoo.is_row(record):
        return "promptfoo"
    if litellm_payload.is_payload(record):
        return "litellm"
    if otlp.is_traces(record) or otlp.is_span(record):
        return "otlp"
    if langfuse.is_observation(record) or langfuse.observations_of(record, Place(1)) is not None:
        return "langfuse"
    return "table"


class _Reader:
    """Reads the records of one file into a recording."""

    def __init__(self, options: ReadingOptions, wanted: Format | None) -> None:
        self._options = options
        self._wanted = wanted
        self._rows: list[tuple[Place, Record]] = []
        """Of a table: which columns it has is known when all rows are."""
        self._attempts: dict[tuple[str, str, bool], list[FoundAnswer]] = {}
        """Of calls in LiteLLM's log, by id, trace and whether they were mirrored."""
        self.recording = Recording(wanted or "table")
        self.has_begun = False

    def take(self, place: Place, record: Any) -> None:
        """Read a record, or those within it."""
        if not isinstance(record, Mapping):
            self._note(place, "is no record, but a bare value")
            return
        kind = format_of(record)
        if not self.has_begun:
            self._begin(kind)
        elif kind != self.recording.format and self._wanted != "table":
            self._note(place, f"is no part of {FORMATS[self.recording.format]}")
            return
        try:
            self._read(place, record)
        except (ValueError, RecursionError) as error:
            self._note(place, str(error))

    def _note(self, place: Place, detail: str) -> None:
        self.recording.problems.append(Problem(place, detail))

    def _begin(self, kind: Format) -> None:
        if self._wanted is not None and self._wanted not in ("table", kind):
            raise UnknownFormat(f"is not {FORMATS[self._wanted]}, but {FORMATS[kind]}")
        self.recording.format = self._wanted or kind
        self.has_begun = True

    def _read(self, place: Place, record: Record) -> None:
        """Read a record by its format. Raises ValueError where it cannot be used."""
        match self.recording.format:
            case "events":
                answer = recorded_events.answer_of_event(record, self._options)
                self._add(FoundAnswer(answer, place, _model_of(answer)))
            case "batch":
                self._read_batch(place, record)
            case "promptfoo":
                self._read_promptfoo(place, record)
            case "litellm":
                self._read_payload(place, record)
            case "otlp":
                self._read_spans(place, record)
            case "langfuse":
                self._read_observations(place, record)
            case "table":
                self._rows.append((place, record))

    def _add(self, found: FoundAnswer) -> None:
        self.recording.answers.append(found)
        if found.answer.unreadable_fields:
            self._note(found.place, f"not readable: {', '.join(found.answer.unreadable_fields)}")

    def _skip(self, what: str) -> None:
        self.recording.skipped[what] += 1

    def _read_batch(self, place: Place, record: Record) -> None:
        if openai_batch.is_batch_output(record):
            answer = openai_batch.answer_of_batch(record, self._options)
            self._add(FoundAnswer(answer, place, _model_of(answer)))
            return
        named, request, schema = openai_batch.request_of_batch(record)
        self.recording.requests.append(FoundRequest(named, request, place))
        if schema is not None and request.schema_id is not None:
            self.recording.json_schemas[request.schema_id] = schema

    def _read_promptfoo(self, place: Place, record: Record) -> None:
        is_whole = promptfoo.is_results(record)
        for where, row in promptfoo.rows_of(record, place) if is_whole else [(place, record)]:
            if isinstance(row, Mapping) and promptfoo.is_row(row):
                self._read_one(where, row, promptfoo.answer_of_row)
            else:
                self._note(where, "is no row of an evaluation")

    def _read_spans(self, place: Place, record: Record) -> None:
        self.recording.has_hashed_ids = self._options.id_name is None
        spans = otlp.spans_of(record, place) if otlp.is_traces(record) else iter([(place, record)])
        for where, span in spans:
            if otlp.is_answer(span):
                self._read_one(where, span, otlp.answer_of_span)
            else:
                operation = otlp.operation_of(span)
                self._skip(f"{operation} span" if operation else "other span")

    def _read_observations(self, place: Place, record: Record) -> None:
        self.recording.has_hashed_ids = self._options.id_name is None
        inner = langfuse.observations_of(record, place)
        for where, one in [(place, record)] if inner is None else inner:
            if not isinstance(one, Mapping) or not langfuse.is_observation(one):
                self._note(where, "is no observation")
            elif langfuse.is_generation(one):
                self._read_one(where, one, langfuse.answer_of_observation)
            else:
                self._skip(f"{langfuse.kind_of(one)} observation")

    def _read_payload(self, place: Place, record: Record) -> None:
        name = self._options.id_name
        named = look_up(record, name) if name else hash_id(litellm_payload.messages_of(record))
        if named is None:
            why = (
                f"has no {name}"
                if name
                else "has no messages to pair it by; name a field with --id"
            )
            raise ValueError(why)
        self.recording.has_hashed_ids = name is None
        trace = str(record.get("trace_id") or place)
        answer = litellm_payload.answer_of_payload(record, id=id_text(named))
        sources = tuple(str(record[key]) for key in ("model_group", "model") if record.get(key))
        found = FoundAnswer(answer, place, sources, "" if name else trace)
        key = (answer.id, trace, litellm_payload.is_mirrored(record))
        self._attempts.setdefault(key, []).append(found)

    def _fold_attempts(self) -> None:
        """Retries and fallbacks of one call are one answer."""
        for found in self._attempts.values():
            found.sort(key=_started)
            folded = litellm_payload.fold_attempts([one.answer for one in found])
            self._add(found[-1]._replace(answer=folded, sources=found[0].sources))
            self.recording.superseded += len(found) - 1

    def finish(self) -> Recording:
        """Read what had to wait for the end. Raises `UnknownFormat` for a table without answers."""
        self._fold_attempts()
        if self._rows:
            names = dict.fromkeys(name for _, row in self._rows for name in row)
            try:
                columns = tables.Columns(list(names), self._options)
            except ValueError as error:
                raise UnknownFormat(str(error)) from None
            is_pair, has_ids = self._options.outputs is not None, "id" in columns.names
            self.recording.has_hashed_ids = not is_pair and not has_ids
            for place, row in self._rows:
                self._read_row(
                    place, row, columns, str(place.line) if is_pair and not has_ids else None
                )
            self.recording.problems.sort(key=lambda one: one.place)
        return self.recording

    def _read_row(
        self, place: Place, record: Record, columns: tables.Columns, named: str | None
    ) -> None:
        """Read the answer, or the two answers, of a row."""
        for output in self._options.outputs or (None,):
            try:
                answer = tables.answer_of_row(record, columns, output, named)
            except (ValueError, RecursionError) as error:
                self._note(place, str(error))
                return
            names = (output,) if output is not None else _model_of(answer)
            call = str(place) if self.recording.has_hashed_ids else ""
            self._add(FoundAnswer(answer, place, names, call))

    def _read_one(self, place: Place, record: Record, read: _ReadAnswer) -> None:
        """Read one of the records within a document; one that is broken takes no other with it."""
        try:
            self._add(read(record, place, self._options))
        except (ValueError, RecursionError) as error:
            self._note(place, str(error))


def _started(found: FoundAnswer) -> float:
    """When a call began, in seconds since 1970; what tells none comes first."""
    time = found.answer.request_time
    return 0.0 if time is None else time.timestamp()


def _model_of(answer: RecordedAnswer) -> tuple[str, ...]:
    response = answer.response
    return (response.model,) if response is not None and response.model else ()
