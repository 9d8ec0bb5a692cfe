"""How a Router reads the calls that pass through it: what was asked, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from understudy.schemas.events import MAX_EVENT_BYTES, Fallback, Request, Response, Usage

MAX_TEXT: Final = MAX_EVENT_BYTES // 4
"""Characters of a prompt or an answer: in UTF-8 most take up to three bytes, and both have to fit
into one event. About sixty thousand tokens."""


class AnswerFacts(msgspec.Struct, frozen=True):
    """What an answer says of itself."""

    response: Response | None = None
    usage: Usage | None = None
    fallback: Fallback | None = None


NO_FACTS: Final = AnswerFacts()


class ReadingFailed(ValueError):
    """An answer that is none: nothing of the expected shape is in it."""


class AnswerTooLarge(ReadingFailed):
    """An answer that no event can hold."""


class StreamReader(Protocol):
    """Gathers one streamed answer."""

    characters: int
    """Gathered so far."""

    def add(self, chunk: Any) -> bool:
        """Take a chunk; return whether it carries a part of the answer. Raises on garbage."""

    def facts(self) -> AnswerFacts:
        """Return what has been gathered."""


class CallReader(Protocol):
    """Reads calls of one kind. What it raises is the failure of the side that it reads."""

    def read_request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request:
        """Return what was asked."""

    def read_answer(self, answer: Any) -> AnswerFacts:
        """Return what was answered at once."""

    def stream_reader(self) -> StreamReader:
        """Return a reader of one streamed answer."""


def text_of(value: Any) -> str | None:
    """Return a field that should be text.

    Raises `ReadingFailed` for what is neither text nor None, `AnswerTooLarge` beyond `MAX_TEXT`.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise ReadingFailed(f"a text is a {type(value).__name__}")
    if len(value) > MAX_TEXT:
        raise AnswerTooLarge(f"{len(value)} characters, an event holds {MAX_TEXT}")
    return value
