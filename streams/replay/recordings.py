"""Recordings of events: NDJSON from files, pipes or stdin, read line by line.

What a file is goes by its first bytes, not by its name: gzip, zstd, UTF-8 with or without a byte
order mark, UTF-16. Several files, such as one for each gateway or side, are merged in the order of
their times; within a file the order stays.
"""

from __future__ import annotations

import codecs
import datetime as dt
import gzip
import heapq
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import IO, Annotated, Any, Final, NamedTuple

import msgspec

from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.zstd import zstd

Progress = Callable[[int], None]
"""Called with the number of bytes of the files that have been dealt with since the last call."""

STDIN: Final = Path("-")
"""Names standard input on the command line."""
MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Far above any event limit: what is longer is cut, so that one line cannot fill the memory."""
BEFORE_ALL_TIME: Final = -(1 << 63)
"""Sorts before every time: for lines at the start of a file that have none."""

_CHUNK_BYTES: Final = 256 * 1024
_PROGRESS_LINES: Final = 2000
"""Between two reports of progress, so that they cost nothing."""
_BOM: Final = codecs.BOM_UTF8
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_HEAD_BYTES: Final = 6
"""Enough to tell all formats apart."""
_OTHERS: Final = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
}
_UTF_16: Final = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b'{\x00"\x00': "utf-16-le",
    b'\x00{\x00"': "utf-16-be",
}


class RecordingError(Exception):
    """A file that cannot be read; the message names it."""


class Place(NamedTuple):
    """Where a line comes from."""

    file: str
    line: int
    """From 1, empty lines counted too, as editors do."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class RecordedLine(msgspec.Struct, gc=False):
    """A line of a recording."""

    time_ms: int
    """Its own time, or that of the line before it in its file."""
    payload: bytes
    file: int
    """Which of the files."""
    number: int
    """Of the line in its file, from 1."""
    file_bytes: int
    """Bytes of the file that were read since this was last reported; mostly 0."""


class _Timed(msgspec.Struct, gc=False):
    request_time: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    feedback_time: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None


_timed: Final = msgspec.json.Decoder(_Timed)


def request_time(line: bytes) -> dt.datetime | None:
    """The time of a recorded event or rating; None where it has none that can be read."""
    try:
        timed = _timed.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return timed.request_time or timed.feedback_time


def total_bytes(paths: Sequence[Path]) -> int | None:
    """Sizes of the files together, None where a pipe is among them.

    Raises `RecordingError` for a missing one.
    """
    try:
        if not all(path.is_file() for path in paths if path != STDIN and path.stat()):
            return None
        return None if STDIN in paths else sum(path.stat().st_size for path in paths)
    except OSError as error:
        raise RecordingError(f"{error.filename}: {error.strerror}") from None


def file_name(path: Path) -> str:
    """The name of a file in messages."""
    return "<stdin>" if path == STDIN else str(path)


def read_recordings(paths: Sequence[Path]) -> Iterator[RecordedLine]:
    """Lines of all files, without line ends; empty lines are skipped.

    Raises `RecordingError` for a file that is missing or damaged.
    """
    files = [_lines(path, number) for number, path in enumerate(paths)]
    if len(files) == 1:
        return files[0]
    return map(itemgetter(1), heapq.merge(*map(_with_latest, files), key=itemgetter(0)))


def read_content(path: Path) -> bytes:
    """All of a file, unpacked and as UTF-8. Raises `RecordingError` for one that cannot be read."""
    try:
        with _Counted(path) as counted, io.BufferedReader(counted, _CHUNK_BYTES) as packed:
            return b"".join(_decoded(_unpacked(path, packed)))
    except (OSError, EOFError, UnicodeError, zlib.error, zstd.ZstdError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> RecordingError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return RecordingError(f"{file_name(path)}: {reason}")


def _with_latest(lines: Iterator[RecordedLine]) -> Iterator[tuple[int, RecordedLine]]:
    """Each line of a file with the largest time so far."""
    latest_ms = BEFORE_ALL_TIME
    for line in lines:
        latest_ms = max(latest_ms, line.time_ms)
        yield latest_ms, line


def _lines(path: Path, file: int) -> Iterator[RecordedLine]:
    """The lines of a file that are not empty."""
    reported = 0
    time_ms = BEFORE_ALL_TIME
    try:
        with _Counted(path) as counted, io.BufferedReader(counted, _CHUNK_BYTES) as packed:
            for number, line in enumerate(_split(_decoded(_unpacked(path, packed))), start=1):
                line = line.strip()
                if line.startswith(_BOM):  # also where files were put together with cat
                    line = line[len(_BOM) :].lstrip()
                if not line:
                    continue
                time = request_time(line)
                if time is not None:
                    time_ms = to_epoch_ms(time)
                read = 0
                if number % _PROGRESS_LINES == 0:
                    read, reported = counted.nbytes - reported, counted.nbytes
                yield RecordedLine(time_ms, line, file, number, read)
    except (OSError, EOFError, UnicodeError, zlib.error, zstd.ZstdError) as error:
        raise _damaged(path, error) from None


class _Counted(io.RawIOBase):
    """A file or stdin, which counts what was read of it."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = sys.stdin.buffer if path == STDIN else path.open("rb", buffering=0)
        self._is_ours = path != STDIN
        self.nbytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read at least the bytes by which formats are told apart, unless the file ends."""
        got = 0
        while got == 0 or self.nbytes + got < _HEAD_BYTES:
            read = self._read(len(buffer) - got)
            if not read:
                break
            buffer[got : got + len(read)] = read
            got += len(read)
        self.nbytes += got
        return got

    def _read(self, size: int) -> bytes:
        file = self._file
        return file.read1(size) if isinstance(file, io.BufferedReader) else file.read(size)

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if self._is_ours and not self.closed:
            self._file.close()
        super().close()


def _unpacked(path: Path, packed: io.BufferedReader[Any]) -> Iterator[bytes]:
    """The content in chunks, unpacked. Raises `RecordingError` for a format that is not read."""
    head = packed.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise RecordingError(
                f"{file_name(path)} is {name}; a recording is NDJSON, plain, gzip or zstd"
            )
    content: IO[bytes] | gzip.GzipFile | zstd.ZstdFile = packed
    if head.startswith(_GZIP):
        content = gzip.GzipFile(fileobj=packed)
    elif head.startswith(_ZSTD):
        content = zstd.ZstdFile(packed)
    while chunk := content.read1(_CHUNK_BYTES):  # type: ignore[union-attr]
        yield chunk


def _decoded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks as UTF-8, whatever they are encoded in."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    encoding = next((name for mark, name in _UTF_16.items() if head.startswith(mark)), None)
    if encoding is None:
        yield head
        yield from chunks
        return
    # A lone surrogate becomes bytes that are no UTF-8, so that its line alone is invalid.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    yield decoder.decode(head).encode("utf-8", "surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    decoder.decode(b"", final=True)


def _split(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long, its first bytes."""
    rest = bytearray()
    for chunk in chunks:
        head, *lines = chunk.split(b"\n")
        rest += head[: MAX_LINE_BYTES - len(rest)]
        if lines:
            yield bytes(rest)
            yield from lines[:-1]
            rest = bytearray(lines[-1])
    if rest:
        yield bytes(rest)
