"""Which requests of a partition are not finished, and so which offset may be committed. Pure.

At least once: a request is finished when all its records have reached the broker, or it is certain
that there will be none. Reading again from the first unfinished one asks nothing twice but what was
in flight, since finished evaluations are found in the log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class _Request:
    offset: int
    timestamp_ms: int
    tasks: int = 0
    """Evaluations that are under way."""
    is_whole: bool = False
    """No further task will be added."""


@dataclass(slots=True)
class PartitionProgress:
    """The unfinished requests of one partition."""

    number: int
    position: int
    """The next offset to be read."""
    may_be_asked_before: int = 0
    """Requests that begin before this offset may have been asked about by a process that ended
    without telling."""
    is_revoked: bool = False
    """Another worker may have it: nobody waits for what is not done yet."""
    timestamp_ms: int = 0
    """Kafka's, of the newest record."""
    _open: dict[str, _Request] = field(default_factory=dict)

    @property
    def unfinished(self) -> int:
        """Requests that are not finished."""
        return len(self._open)

    def begin(self, key: str, offset: int, timestamp_ms: int) -> None:
        """Note the first record of a request."""
        self._open.setdefault(key, _Request(offset, timestamp_ms))

    def may_be_asked_already(self, key: str) -> bool:
        """Whether a process that ended without telling may have asked about a request."""
        return self._open[key].offset < self.may_be_asked_before

    def add_task(self, key: str) -> Ticket:
        """Note one more evaluation of a request."""
        self._open[key].tasks += 1
        return Ticket(self, key)

    def end_task(self, key: str) -> None:
        """Note that an evaluation is finished."""
        request = self._open.get(key)
        if request is not None:
            request.tasks -= 1
            self._drop_finished(key, request)

    def end(self, key: str) -> None:
        """Note that no further evaluation of a request will be added."""
        request = self._open.get(key)
        if request is not None:
            request.is_whole = True
            self._drop_finished(key, request)

    def safe_offset(self, max_wait_ms: int) -> int:
        """Return the offset before which all is finished.

        A request that has waited for a side for longer than `max_wait_ms` holds nothing up: in a
        rollout that has ended, no later event would ever end its wait.
        """
        since_ms = self.timestamp_ms - max_wait_ms
        return min(
            (
                request.offset
                for request in self._open.values()
                if request.is_whole or request.timestamp_ms >= since_ms
            ),
            default=self.position,
        )

    def _drop_finished(self, key: str, request: _Request) -> None:
        if request.is_whole and request.tasks <= 0:
            del self._open[key]


class Ticket(NamedTuple):
    """One evaluation under way."""

    progress: PartitionProgress
    key: str

    def finish(self) -> None:
        """Note that it is finished."""
        self.progress.end_task(self.key)
