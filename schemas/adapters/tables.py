"""Tables of answers: CSV, TSV or JSON lines with an id and an answer in each row.

Columns are found by their usual names, or by those that the user gives. A cell that is empty is
unknown; an answer that is empty is an answer.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from understudy.schemas.adapters.recorded_answer import RecordedAnswer, answer_of
from understudy.schemas.adapters.recording import (
    Place,
    Problem,
    ReadingOptions,
    Record,
    hash_id,
    look_up,
    parsed,
    without_unknown,
)

USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "custom_id", "request_id", "pair_id", "case_id", "case", "question_id", "uuid"),
    "output": ("output", "answer", "response", "completion", "generation", "prediction", "text"),
    "prompt": ("prompt", "input", "question", "query", "messages"),
    "language": ("language", "lang"),
    "workflow": ("workflow", "feature", "task"),
    "conversation_id": ("conversation_id", "session_id", "thread_id"),
    "turn": ("turn",),
    "request_time": ("request_time", "timestamp", "time"),
    "expects": ("expects",),
    "schema_id": ("schema_id",),
    "model": ("model",),
    "tool_calls": ("tool_calls",),
    "finish_reason": ("finish_reason", "stop_reason"),
    "refusal": ("refusal",),
    "reasoning": ("reasoning",),
    "error": ("error",),
    "status": ("status", "status_code"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cost_usd": ("cost_usd", "cost"),
    "duration_ms": ("duration_ms", "latency_ms"),
    "time_to_first_token_ms": ("time_to_first_token_ms", "ttft_ms"),
}
"""Field of an answer to the names by which its column is found, the first that is there."""
_PLACES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("prompt", "expects", "schema_id"), "request"),
    **dict.fromkeys(
        ("output", "model", "tool_calls", "finish_reason", "refusal", "reasoning"), "response"
    ),
    **dict.fromkeys(("input_tokens", "output_tokens", "cost_usd"), "usage"),
    **dict.fromkeys(("duration_ms", "time_to_first_token_ms"), "timing"),
}
"""Part of the event that a field belongs to; the others belong to the event itself."""
_WHOLE: Final = frozenset({"turn", "status", "input_tokens", "output_tokens"})
_NUMBERS: Final = _WHOLE | {"cost_usd", "duration_ms", "time_to_first_token_ms"}
_JSON: Final = frozenset({"prompt", "output", "tool_calls"})
"""Fields that may hold a JSON document as text, or as it is."""
_DELIMITERS: Final = ",\t;|"
NO_OUTPUT: Final = "no_output"
"""Type of the error of a row whose answer is null: whoever wrote it had none."""
MAX_CELL: Final = 64 * 1024 * 1024
"""Characters: as far as lines of recordings are read; the library's own limit is 131 072."""


def csv_rows(content: bytes) -> Iterator[tuple[Place, dict[str, Any]] | Problem]:
    """The rows of a CSV or TSV file by the names in its first line."""
    text = _text_of(content).removeprefix("\ufeff")
    csv.field_size_limit(MAX_CELL)
    header = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not any(cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
            elif len(cells) > len(names):
                yield Problem(Place(begins), f"has {len(cells)} cells, the first line {len(names)}")
            else:
                yield Place(begins), dict(zip(names, cells, strict=False))
    except csv.Error as error:
        yield Problem(Place(line), f"is no CSV: {error}")


def _text_of(content: bytes) -> str:
    """The text of a file that should be UTF-8; spreadsheets of Windows write their own code page.

    A file is taken for one of those where more of its bytes beyond ASCII are no UTF-8 than are.
    """
    text = content.decode("utf-8", "replace")
    damaged = text.count("\ufffd")
    if not damaged or 2 * damaged < sum(not character.isascii() for character in text):
        return text
    return content.decode("cp1252", "replace")


class Columns:
    """Which columns of a table hold what."""

    def __init__(self, names: Sequence[str], options: ReadingOptions) -> None:
        """Find the columns among the names that a table has.

        Raises ValueError where the answer's is not there.
        """
        by_name = {name.lower(): name for name in reversed(names)}
        usual = {
            field: next((by_name[one] for one in names_used if one in by_name), None)
            for field, names_used in USUAL_NAMES.items()
        }
        given = {field: by_name.get(name.lower(), name) for field, name in options.columns.items()}
        self.names = {field: name for field, name in {**usual, **given}.items() if name}
        wanted = options.outputs or [
            options.columns[f] for f in ("id", "output") if f in options.columns
        ]
        there = ", ".join(names)
        for name in wanted:
            if not _is_there(name, names):
                raise ValueError(f"has no column {name}; there are: {there}")
        if not options.outputs and not {"output", "tool_calls"} & self.names.keys():
            raise ValueError(f"has no column named like an answer; name it with --output: {there}")

    def value(self, record: Record, field: str) -> Any:
        """What a record has in a field; None for nothing or an empty cell."""
        name = self.names.get(field)
        value = None if name is None else look_up(record, name)
        return None if value == "" else value

    def id_of(self, record: Record) -> Any:
        """What names a row's request: its id, or a hash of its prompt where no column has ids.

        Raises ValueError where neither is there.
        """
        if "id" in self.names:
            return self.value(record, "id")
        found = hash_id(self.value(record, "prompt"))
        if found is None:
            raise ValueError("has neither an id nor a prompt; name a column with --id or --prompt")
        return found


def _is_there(name: str, names: Sequence[str]) -> bool:
    """Whether a column, or the one that a path begins with, is among names, whatever their case."""
    lower = {one.lower() for one in names}
    return name.lower() in lower or name.partition(".")[0].lower() in lower


def answer_of_row(
    record: Record, columns: Columns, output: str | None = None, named: str | None = None
) -> RecordedAnswer:
    """The answer in a row; in the column `output`, where a table has several.

    A row without a column for its id has the hash of its prompt, or what it is `named`. Raises
    ValueError where none of them is there.
    """
    document: dict[str, Any] = {"request": {}, "response": {}, "usage": {}, "timing": {}}
    for field in columns.names:
        if field in ("id", "error", "status", "output"):
            continue
        value = _typed(field, columns.value(record, field))
        holder = _PLACES.get(field)
        (document if holder is None else document[holder])[field] = value
    name = output or columns.names.get("output")
    answer = None if name is None else look_up(record, name)
    document["response"]["output"] = _text(answer)
    document["id"] = named or columns.id_of(record)
    document["error"] = _error(record, columns, document["response"])
    return answer_of(without_unknown(document))


def _typed(field: str, value: Any) -> Any:
    """A cell as the type that its field has; text that is none stays, and will be unknown."""
    if field in _JSON:
        return parsed(value)
    if not isinstance(value, str) or field not in _NUMBERS:
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if field in _WHOLE and number.is_integer() else number


def _text(value: Any) -> Any:
    """An answer; a document that stands for itself, instead of as text, becomes its text."""
    if isinstance(value, Mapping) and "type" not in value:
        return json.dumps(value, ensure_ascii=False)
    return value


def _error(record: Record, columns: Columns, response: Mapping[str, Any]) -> Any:
    error = parsed(columns.value(record, "error"))
    status = _typed("status", columns.value(record, "status"))
    has_failed = isinstance(status, int) and status >= 400
    if error or has_failed:
        named = error if isinstance(error, Mapping) else {"type": str(error or status)}
        return {"status": status if isinstance(status, int) else None, **named}
    answered = any(response.get(name) is not None for name in ("output", "tool_calls", "refusal"))
    return None if answered else {"type": NO_OUTPUT}
