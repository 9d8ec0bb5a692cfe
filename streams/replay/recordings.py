"""Recordings of events: NDJSON files, plain, .gz or .zst, read line by line.

Several files, such as one for each gateway or side, are merged in the order of `request_time`;
within a file the order stays.
"""

from __future__ import annotations

import datetime as dt
import gzip
import heapq
import io
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Progress = Callable[[int], None]
"""Called with the number of bytes of the files read since the last call."""

_PROGRESS_LINES: Final = 2000
"""Between two calls of `Progress`, so that they cost nothing."""


class RecordingError(Exception):
    """A file that cannot be read; the message names it."""


class _Timed(msgspec.Struct, gc=False):
    request_time: Annotated[dt.datetime, msgspec.Meta(tz=True)]


_timed: Final = msgspec.json.Decoder(_Timed)


def request_time(line: bytes) -> dt.datetime | None:
    """The request time of a recorded event; None where it has none that can be read."""
    try:
        return _timed.decode(line).request_time
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


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
        latest = max(latest, request_time(line) or latest)
        yield latest, line


def _lines(path: Path, progress: Progress | None) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            reported = 0
            for number, line in enumerate(_unpacked(path, file)):
                if progress and number % _PROGRESS_LINES == 0:
                    progress(file.tell() - reported)
                    reported = file.tell()
                if line := line.strip():
                    yield line
            if progress:
                progress(file.tell() - reported)
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        raise RecordingError(f"{path}: {error}") from None


def _unpacked(path: Path, file: io.BufferedReader) -> IO[bytes]:
    """The file's content by its ending; an empty file has none, whatever it is called."""
    if path.suffix == ".gz":
        return gzip.open(file)  # type: ignore[return-value]
    if path.suffix == ".zst":
        return zstd.open(file) if file.peek(1) else file  # type: ignore[return-value]
    return file
