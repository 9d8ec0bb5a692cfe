"""One call of a model: how long it takes, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from understudy.gateways.call_errors import TOO_LARGE, error_of
from understudy.gateways.call_notes import CallNotes
from understudy.gateways.call_reader import (
    MAX_TEXT,
    AnswerFacts,
    AnswerTooLarge,
    CallReader,
    StreamReader,
)
from understudy.gateways.exchange import SideRecord
from understudy.gateways.prices import PriceTable
from understudy.schemas.events import Error, Request, Response, Usage
from understudy.schemas.vendor_shapes import UNREADABLE

NOT_READ: Final = Error(type=UNREADABLE)
"""Of an answer in which nothing of the expected shape is found."""


class CallReading(msgspec.Struct, frozen=True):
    """How calls are read and priced, the same for both models."""

    reader: CallReader
    prices: PriceTable
    clock_s: Callable[[], float]

    def request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Request | None:
        """Return what was asked; None where that cannot be read."""
        try:
            return self.reader.read_request(args, kwargs)
        except Exception:
            return None


class ModelCall:
    """Created when the call starts; one of the methods that return a record ends it."""

    def __init__(self, reading: CallReading, model: str | None) -> None:
        self._reading = reading
        self._model = model
        self._began_s = reading.clock_s()
        self._first_token_s: float | None = None
        self._unread: Error | None = None
        self.notes = CallNotes()

    def answered(self, answer: Any) -> SideRecord:
        """Return the record of an answer that came at once."""
        try:
            facts = self._reading.reader.read_answer(answer)
            return self._record(facts)
        except Exception as failure:
            return self.failed(_unread(failure))

    def raised(self, failure: BaseException) -> SideRecord:
        """Return the record of a call that raised."""
        return self.failed(error_of(failure))

    def failed(self, error: Error, *, dropped_for: str | None = None) -> SideRecord:
        """Return the record of a call without an answer."""
        return SideRecord(
            error=error,
            duration_s=self._elapsed_s(),
            first_token_s=self._first_token_s,
            fallback=self.notes.fallback(),
            dropped_for=dropped_for,
        )

    def take_chunk(self, chunk: Any) -> bool:
        """Take a chunk of a streamed answer; return whether the answer has begun."""
        if self._unread is None:
            try:
                has_begun = self._stream.add(chunk)
            except Exception as failure:
                self._unread, has_begun = _unread(failure), True
            if has_begun and self._first_token_s is None:
                self._first_token_s = self._elapsed_s()
        return self._first_token_s is not None

    @property
    def is_too_large(self) -> bool:
        """Whether more has been streamed than an event can hold."""
        return self._stream.characters > MAX_TEXT or self._unread is TOO_LARGE

    def stream_ended(self) -> SideRecord:
        """Return the record of a stream that came to its end."""
        if self._unread is not None:
            return self.failed(self._unread)
        try:
            return self._record(self._stream.facts())
        except Exception as failure:
            return self.failed(_unread(failure))

    @cached_property
    def _stream(self) -> StreamReader:
        return self._reading.reader.stream_reader()

    def _record(self, facts: AnswerFacts) -> SideRecord:
        response, notes = facts.response or Response(), self.notes
        if notes.cache_hit is not None or notes.finish_reason is not None or not response.model:
            response = msgspec.structs.replace(
                response,
                model=response.model or notes.fallback_model or self._model,
                cache_hit=response.cache_hit if notes.cache_hit is None else notes.cache_hit,
                finish_reason=notes.finish_reason or response.finish_reason,
            )
        usage = facts.usage
        if notes.cost_usd is not None:
            usage = msgspec.structs.replace(usage or Usage(), cost_usd=notes.cost_usd)
        return SideRecord(
            response=response,
            usage=self._reading.prices.priced(usage, response.model, self._model),
            fallback=facts.fallback or notes.fallback(),
            duration_s=self._elapsed_s(),
            first_token_s=self._first_token_s,
        )

    def _elapsed_s(self) -> float:
        return self._reading.clock_s() - self._began_s


def _unread(failure: Exception) -> Error:
    return TOO_LARGE if isinstance(failure, AnswerTooLarge) else NOT_READ
