"""What a file of recorded answers holds, whatever its format: answers, requests, problems.

Readers are pure: they take records out of a file's content and return what they found, with the
place of each, so that nothing is lost without a word.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from understudy.schemas.adapters.recorded_answer import RecordedAnswer
from understudy.schemas.events import Request

Record = Mapping[str, Any]
Format = Literal["events", "batch", "promptfoo", "langfuse", "otlp", "litellm", "table"]
FORMATS: Final[Mapping[Format, str]] = {
    "events": "events of Understudy",
    "batch": "batch files of OpenAI or Anthropic",
    "promptfoo": "promptfoo results",
    "langfuse": "a Langfuse export",
    "litellm": "payloads that LiteLLM logged",
    "otlp": "OpenTelemetry spans",
    "table": "a table (CSV, TSV or JSON lines)",
}
"""What the formats are called in messages, in the order in which a record is tried."""
_HASH_DIGITS: Final = 16
"""64 bits: among a million inputs two share a hash once in forty million files."""


class Place(NamedTuple):
    """Where a record stands."""

    line: int
    """From 1; of a record that spans several lines, the first."""
    path: str = ""
    """Within the JSON document that begins there, such as `results.results[3]`."""
    file: str = ""
    """Its name, which readers do not know."""

    def __str__(self) -> str:
        line = f"{self.file}:{self.line}" if self.file else str(self.line)
        return f"{line} at {self.path}" if self.path else line


class FoundAnswer(NamedTuple):
    """An answer and where it comes from."""

    answer: RecordedAnswer
    place: Place
    sources: tuple[str, ...] = ()
    """Who answered, by all names that the format has for it: a provider's label and id, a model."""
    call: str = ""
    """What only the attempts of one call share; empty where the id itself names the call."""


class FoundRequest(NamedTuple):
    """What was asked, from a file that holds no answers to it."""

    id: str
    request: Request
    place: Place


class Problem(NamedTuple):
    """A record that could not be used, or not whole."""

    place: Place
    detail: str


@dataclass(slots=True)
class Recording:
    """What was found in one file."""

    format: Format
    answers: list[FoundAnswer] = field(default_factory=list)
    requests: list[FoundRequest] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    """Records that are no answers of a model, by what they are: spans of tools, traces, …"""
    superseded: int = 0
    """Attempts of a call that others followed, where the format tells which belong together."""
    json_schemas: dict[str, Any] = field(default_factory=dict)
    """Schemas that requests carry themselves, by the `schema_id` that they were given here."""
    has_hashed_ids: bool = False
    """Whether ids are hashes of the input, since nothing in the file names the request."""


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How records are read: what its columns, fields or attributes are called, and what is fixed.

    A name may be a path, such as `metadata.case` or `choices.0.text`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of an answer (`id`, `output`, `prompt`, …) to the name it has in the file."""
    outputs: tuple[str, str] | None = None
    """Two columns of one table that hold stable's and candidate's answers."""

    @property
    def id_name(self) -> str | None:
        """What names the request, where the user says so."""
        return self.columns.get("id")


def look_up(record: Any, path: str) -> Any:
    """The value at a name or a path of names and list indexes; None where there is none."""
    if isinstance(record, Mapping) and path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    if isinstance(record, Mapping):
        inner = record.get(head)
    elif isinstance(record, list) and head.isdecimal() and int(head) < len(record):
        inner = record[int(head)]
    else:
        return None
    return look_up(inner, rest) if dot else inner


def hash_id(*inputs: Any) -> str | None:
    """A name for a request made of what was asked; None where that is not known."""
    if all(one is None or one in ("", [], {}) for one in inputs):
        return None
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:_HASH_DIGITS]


def parsed(value: Any) -> Any:
    """The JSON value in a text that holds a document, as exports write them; else the value."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return value
    return value


def withheld(name: Any) -> dict[str, Any]:
    """The output of an answer whose text was not recorded: what needs it is not measured.

    `name` is of this answer alone, so that it is equal to no other.
    """
    return {"output": f"not recorded: {name}", "output_form": "hashed"}


def without_unknown(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without what is None, at any depth; parts of which nothing is known leave."""
    kept: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict) and name in _PARTS:
            value = without_unknown(value) or None
        if value is not None:
            kept[name] = value
    return kept


_PARTS: Final = frozenset({"request", "response", "error", "usage", "timing", "fallback"})
