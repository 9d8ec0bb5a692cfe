"""Requests whose texts are redacted before they leave, in a thread of their own.

Patterns take milliseconds of a long text, and a model that finds names takes more: neither may
hold up the event loop that serves users. What waits is bounded in bytes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from understudy.schemas.events import Event

_EVENT_BYTES: Final = 2_048
"""Of an event without its texts, as it lies in memory."""

Publish = Callable[[Sequence[Event]], object]


class RedactionQueue:
    """Hands requests on in their order; any thread may call it."""

    def __init__(self, publish: Publish, max_bytes: int) -> None:
        """`publish` is called in the thread, with one request at a time, and never raises."""
        self._publish = publish
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Sequence[Event], int]] = deque()
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def put(self, events: Sequence[Event]) -> bool:
        """Take a request; False where there is no room for it, or after the end."""
        size = sum(map(_bytes_of, events))
        with self._changed:
            if self._is_closed or self._bytes + size > self._max_bytes:
                return False
            self._waiting.append((events, size))
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="understudy-redaction", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all has been handed on; whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._bytes == 0, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Flush, and take nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        return self.flush(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if not self._waiting:
                    return
                events, size = self._waiting.popleft()
            self._publish(events)
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()


def _bytes_of(event: Event) -> int:
    """Roughly what an event holds: its texts, which are what can be large."""
    size = _EVENT_BYTES
    if event.request is not None:
        size += len(event.request.prompt or "")
    if (response := event.response) is not None:
        texts = (response.output, response.refusal, response.reasoning)
        size += sum(len(text) for text in texts if text)
        size += sum(len(bytes(call.arguments)) for call in response.tool_calls or ())
    return size
