"""Recognises records that repeat an earlier one, however long ago, within a look-back. Pure.

Numbers of 64 bits stand for records. Those of the newest stretch of the log are in a dictionary,
those of older stretches in sorted arrays: 12 bytes a record, so that a month of a partition's
records fits. A stretch begins at a multiple of `STRETCH_RECORDS` in the log, wherever reading
began, so that what is known at a place in the log is a function of the log alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

STRETCH_RECORDS: Final = 65_536
"""As a dictionary some megabytes; looking into 32 arrays takes microseconds."""
MOST_STRETCHES: Final = 32
"""Two million records a partition, 25 MB: sixty judged pairs a minute on twelve partitions for a
year. What repeats an earlier record still is a new one."""


class _Stretch(NamedTuple):
    """An older stretch of the log, sorted by fingerprint; each once, as it came last."""

    number: int
    fingerprints: NDArray[np.uint64]
    seen_s: NDArray[np.uint32]

    @classmethod
    def of(cls, number: int, seen: dict[int, int]) -> _Stretch:
        fingerprints = np.fromiter(seen.keys(), np.uint64, len(seen))
        order = np.argsort(fingerprints)
        times = np.fromiter(seen.values(), np.uint32, len(seen))
        return cls(number, fingerprints[order], times[order])

    def seen_at_s(self, fingerprint: int) -> int | None:
        """When a record came last in this stretch."""
        place = int(np.searchsorted(self.fingerprints, np.uint64(fingerprint)))
        if place == len(self.fingerprints) or int(self.fingerprints[place]) != fingerprint:
            return None
        return int(self.seen_s[place])


@dataclass(slots=True)
class SeenFingerprints:
    """Fingerprints of the records of one partition, with the second at which they were stored."""

    look_back_s: int
    _number: int = 0
    """Of the stretch that the log is in."""
    _newest: dict[int, int] = field(default_factory=dict)
    _older: deque[_Stretch] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._newest) + sum(len(one.fingerprints) for one in self._older)

    def is_copy(self, fingerprint: int, offset: int, stored_s: int) -> bool:
        """Whether a record repeats one within the look-back; notes it either way.

        Offsets never fall. `stored_s` is the largest second at which a record up to this one was
        stored.
        """
        self._turn_to(offset // STRETCH_RECORDS)
        seen_s = self._newest.get(fingerprint)
        if seen_s is None:
            found = (one.seen_at_s(fingerprint) for one in reversed(self._older))
            seen_s = next((time_s for time_s in found if time_s is not None), None)
        self._newest[fingerprint] = stored_s
        return seen_s is not None and seen_s >= stored_s - self.look_back_s

    def _turn_to(self, number: int) -> None:
        """Begin the stretch with a number, if it is another; forget those that lie too far back."""
        if number == self._number:
            return
        if self._newest:
            self._older.append(_Stretch.of(self._number, self._newest))
            self._newest = {}
        self._number = number
        while self._older and self._older[0].number < number - MOST_STRETCHES:
            self._older.popleft()


def first_offset_needed(offset: int) -> int:
    """Return where to begin so that everything is known of the records before an offset."""
    return max(0, offset // STRETCH_RECORDS - MOST_STRETCHES) * STRETCH_RECORDS
