"""Recognises further copies of a record by its key. Pure.

Like the join it looks back a limited time and a limited part of the log, and is a function of what
was read: whether a record is a copy never depends on how long a worker has been running.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class DedupCache:
    """Keys with the time and the position in the log at which they last came.

    The reader adds the size of every record to `log_bytes`, also of those without a key: the
    distance between two records must not depend on where reading began.
    """

    max_age_ms: int
    max_bytes: int
    """How many bytes of the log it looks back at."""
    log_bytes: int = 0
    """Bytes of the log read so far."""
    _last: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    """In the order of the log."""

    def __len__(self) -> int:
        return len(self._last)

    def is_copy(self, key: Hashable, time_ms: int, watermark_ms: int) -> bool:
        """Whether a key has come before within the look-back; notes it either way.

        `watermark_ms` includes the record: a copy that is further on in time than the look-back is
        a new record.
        """
        last = self._last.pop(key, None)
        self._last[key] = (time_ms if last is None else max(time_ms, last[0]), self.log_bytes)
        return last is not None and self._is_near(*last, watermark_ms)

    def evict(self, watermark_ms: int) -> None:
        """Evict keys that lie too far back, the oldest in the log first."""
        while self._last:
            key, last = next(iter(self._last.items()))
            if self._is_near(*last, watermark_ms):
                return
            del self._last[key]

    def _is_near(self, time_ms: int, place: int, watermark_ms: int) -> bool:
        return (
            time_ms >= watermark_ms - self.max_age_ms and place >= self.log_bytes - self.max_bytes
        )
