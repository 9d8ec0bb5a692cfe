"""Sorts the lines of a recording by time, with temporary files where memory does not hold them.

What does not fit into memory is written away sorted, part by part, and the parts are merged. The
files have no name, so nobody else reads them, and they are gone when the process ends, however it
does.
"""

from __future__ import annotations

import heapq
import io
import tempfile
from collections.abc import Iterable, Iterator
from operator import attrgetter
from struct import Struct
from typing import IO, Final

from understudy.streams.replay.recordings import RecordedLine, RecordingError
from understudy.streams.zstd import zstd

MAX_HELD_BYTES: Final = 96 * 1024 * 1024
"""Of lines in memory: 65,000 events of 1.2 kB, few beside what a replay needs anyway, and a part
large enough that ten million events are a hundred and fifty parts."""
_LINE_OVERHEAD_BYTES: Final = 300
"""What Python needs for a line besides its bytes."""
_HEAD: Final = Struct("<qIQQI")
"""Time, file, number, bytes of the file, bytes of the line."""
_LEVEL: Final = 1
"""The fastest: events become a fifth, in 3 µs each."""
_BUFFER_BYTES: Final = 64 * 1024
"""Read ahead of each part."""


_time_ms = attrgetter("time_ms")
"""Sorting and merging keep the order of reading among equal times."""


class LineSorter:
    """Takes lines in any order, and gives them out in theirs."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        """Hold so many bytes of lines in memory, about."""
        self._max_bytes = max_bytes
        self._held: list[RecordedLine] = []
        self._nbytes = 0
        self._parts: list[IO[bytes]] = []

    def add(self, line: RecordedLine) -> None:
        """Take a line. Raises `RecordingError` where there is no room for temporary files."""
        self._held.append(line)
        self._nbytes += len(line.payload) + _LINE_OVERHEAD_BYTES
        if self._nbytes > self._max_bytes:
            self._write_away()

    def drain(self) -> Iterator[RecordedLine]:
        """All lines by time, and in the order of reading among equals; none is kept."""
        if not self._parts:
            held, self._held, self._nbytes = self._held, [], 0
            held.sort(key=_time_ms)
            held.reverse()
            while held:
                yield held.pop()
            return
        if self._held:
            self._write_away()  # what comes after needs the memory
        parts, self._parts = self._parts, []
        try:
            yield from heapq.merge(*map(_read_part, parts), key=_time_ms)
        finally:
            for part in parts:
                part.close()

    def _write_away(self) -> None:
        self._held.sort(key=_time_ms)
        try:
            self._parts.append(_written_part(self._held))
        except OSError as error:
            raise RecordingError(
                f"no temporary file to sort a large recording with: {error.strerror}; name a "
                "folder with more room in TMPDIR"
            ) from None
        self._held, self._nbytes = [], 0


def _written_part(lines: Iterable[RecordedLine]) -> IO[bytes]:
    """A file with all of the lines, to be read from its beginning; none is left where one fails."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when it has been read
    try:
        with zstd.ZstdFile(file, "wb", level=_LEVEL) as packed:
            for line in lines:
                packed.write(_encoded(line))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _encoded(line: RecordedLine) -> bytes:
    payload = line.payload
    head = _HEAD.pack(line.time_ms, line.file, line.number, line.file_bytes, len(payload))
    return head + payload


def _read_part(file: IO[bytes]) -> Iterator[RecordedLine]:
    with zstd.ZstdFile(file) as unpacked, io.BufferedReader(unpacked, _BUFFER_BYTES) as part:
        while head := part.read(_HEAD.size):
            time_ms, file_number, number, file_bytes, nbytes = _HEAD.unpack(head)
            yield RecordedLine(time_ms, part.read(nbytes), file_number, number, file_bytes)
