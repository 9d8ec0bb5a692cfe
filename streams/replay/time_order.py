"""The lines of a recording in the order of their request times.

A worker takes events as they come and judges them by the largest time read so far, so one event
whose clock runs four minutes ahead makes those after it late. A recording need not suffer that: it
is sorted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from understudy.streams.replay.line_sorter import MAX_HELD_BYTES, LineSorter
from understudy.streams.replay.recordings import (
    BEFORE_ALL_TIME,
    Place,
    Progress,
    RecordedLine,
    RecordingError,
    file_name,
    read_recordings,
)

_NUMBER_BITS: Final = 44
"""Of a place: the line, below the number of its file."""


@dataclass(slots=True)
class Disorder:
    """How far lines lie behind others: in the files, and as they were given out."""

    lines: int = 0
    late_as_recorded: int = 0
    """Lines after one whose time lies more than the join timeout later."""
    first_ahead: Place | None = None
    """The first line that lies so far ahead of one after it."""
    late_as_given: int = 0
    """The same in the order in which the lines were given out: 0 where they were sorted."""


class Recording:
    """Events of files in the order of their times, or as recorded; iterate over it once."""

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        join_timeout_ms: int,
        progress: Progress | None = None,
        as_recorded: bool = False,
        max_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        """Sort with so many bytes of memory, about; what they do not hold goes through files."""
        self._paths = paths
        self._timeout_ms = join_timeout_ms
        self._progress = progress
        self._as_recorded = as_recorded
        self._max_bytes = max_bytes
        self._places = array("Q")
        self.disorder = Disorder()

    def __iter__(self) -> Iterator[bytes]:
        """The lines. Raises `RecordingError` after those that could be read."""
        newest_ms = BEFORE_ALL_TIME
        lines = self._examined(read_recordings(self._paths))
        for line in lines if self._as_recorded else self._sorted(lines):
            if line.time_ms >= newest_ms:
                newest_ms = line.time_ms
            elif line.time_ms < newest_ms - self._timeout_ms:
                self.disorder.late_as_given += 1
            self._places.append(line.file << _NUMBER_BITS | line.number)
            if self._progress and line.file_bytes:
                self._progress(line.file_bytes)
            yield line.payload

    def place(self, index: int) -> Place:
        """Where a line comes from, by its index in the order in which they were given out."""
        place = self._places[index]
        return self._place(place >> _NUMBER_BITS, place & ((1 << _NUMBER_BITS) - 1))

    def _place(self, file: int, number: int) -> Place:
        return Place(file_name(self._paths[file]), number)

    def _examined(self, lines: Iterator[RecordedLine]) -> Iterator[RecordedLine]:
        """The lines as they come; note what a worker would make of their order."""
        newest: RecordedLine | None = None
        for line in lines:
            self.disorder.lines += 1
            if newest is None or line.time_ms >= newest.time_ms:
                newest = line
            elif line.time_ms < newest.time_ms - self._timeout_ms:
                self.disorder.late_as_recorded += 1
                if self.disorder.first_ahead is None:
                    self.disorder.first_ahead = self._place(newest.file, newest.number)
            yield line

    def _sorted(self, lines: Iterator[RecordedLine]) -> Iterator[RecordedLine]:
        """The lines by time; a file's damage comes last."""
        sorter = LineSorter(self._max_bytes)
        damage: RecordingError | None = None
        try:
            for line in lines:
                sorter.add(line)
        except RecordingError as error:
            damage = error
        yield from sorter.drain()
        if damage is not None:
            raise damage
