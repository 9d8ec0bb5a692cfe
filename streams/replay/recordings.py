"""Recorded events: NDJSON files, plain, .gz or .zst, read line by line.

Several files are read side by side in the order of their `request_time`, as several gateways (or
one file a side) would have written them; within a file the order is the file's.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import heapq
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import msgspec
import zstandard

if TYPE_CHECKING:
    from typing_extensions import Buffer

Progress = Callable[[int], None]
"""Called with the number of bytes of the files read since the last call."""

_PROGRESS_LINES = 2000
_ZSTD_CHUNK_BYTES = 16 * 1024
"""Read at a time; what it unpacks to is held in memory."""


class RecordingError(Exception):
    """A file that cannot be read; the message names it."""


class _Timed(msgspec.Struct, gc=False):
    request_time: Annotated[dt.datetime, msgspec.Meta(tz=True)]


_timed = msgspec.json.Decoder(_Timed)


def total_bytes(paths: Sequence[Path]) -> int:
    """Sizes of the files together. Raises `RecordingError` for a missing one."""
    try:
        return sum(path.stat().st_size for path in paths)
    except OSError as error:
        raise RecordingError(f"{error.filename}: {error.strerror}") from None


def read_recordings(paths: Sequence[Path], progress: Progress | None = None) -> Iterator[bytes]:
    """Lines of all files, without line ends; empty lines are skipped.

    Raises `RecordingError` for a file that is missing or damaged.
    """
    if len(paths) == 1:
        yield from _lines(paths[0], progress)
        return
    for _, line in heapq.merge(
        *(_with_time(_lines(path, progress)) for path in paths), key=lambda timed: timed[0]
    ):
        yield line


def _with_time(lines: Iterator[bytes]) -> Iterator[tuple[dt.datetime, bytes]]:
    """Each line with the largest request_time of its file so far."""
    latest = dt.datetime.min.replace(tzinfo=dt.UTC)
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            latest = max(latest, _timed.decode(line).request_time)
        yield latest, line


def _lines(path: Path, progress: Progress | None) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            told = 0
            for number, line in enumerate(_unpacked(path, file)):
                if progress and number % _PROGRESS_LINES == 0:
                    progress(file.tell() - told)
                    told = file.tell()
                if line := line.strip():
                    yield line
            if progress:
                progress(file.tell() - told)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise RecordingError(f"{path}: {error}") from None


def _unpacked(path: Path, file: IO[bytes]) -> IO[bytes]:
    """The file's content by its ending."""
    if path.suffix == ".gz":
        return gzip.open(file)  # type: ignore[return-value]
    if path.suffix == ".zst":
        return io.BufferedReader(_ZstdFrames(file), 1 << 20)
    return file


class _ZstdFrames(io.RawIOBase):
    """The content of all frames of a file. Raises `EOFError` where the last one breaks off.

    zstandard's own reader takes a file that breaks off for one that ends.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        target = memoryview(buffer).cast("B")
        while not self._content and (packed := self._file.read(_ZSTD_CHUNK_BYTES)):
            self._content = memoryview(self._unpack(packed))
        taken = min(len(self._content), len(target))
        if not taken and self._frame is not None:
            raise EOFError("the file breaks off before its end")
        target[:taken], self._content = self._content[:taken], self._content[taken:]
        return taken

    def _unpack(self, packed: bytes) -> bytes:
        parts = []
        while packed:
            frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            parts.append(frame.decompress(packed))
            self._frame, packed = (None, frame.unused_data) if frame.eof else (frame, b"")
        return b"".join(parts)
