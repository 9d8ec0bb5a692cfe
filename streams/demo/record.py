"""The traffic of the demo as a recording, to try `replay`, `publish` and policies on."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any, Final

from understudy.streams.demo.simulator import DEFAULT_RATE_PER_S, RegressionKind, simulate
from understudy.streams.errors import CommandError
from understudy.streams.zstd import zstd

_QUIET_S: Final = 300.0
"""Between the last request and now, as in the demo: nothing lies ahead of any clock."""


def start_of_traffic(pairs: int) -> dt.datetime:
    """When simulated requests begin that end a few minutes ago."""
    span = dt.timedelta(seconds=pairs / DEFAULT_RATE_PER_S + _QUIET_S)
    return (dt.datetime.now(dt.UTC) - span).replace(microsecond=0)


def record(
    file: Path, *, seed: int, pairs: int, healthy: bool, kind: RegressionKind = "json"
) -> int:
    """Write the events to a new file, plain, .gz or .zst by its name; return how many.

    Raises `CommandError` when the file exists or cannot be written.
    """
    if file.exists():
        raise CommandError(f"the file {file} exists; name a new one with --record")
    start, written = start_of_traffic(pairs), 0
    try:
        with _opened(file) as stream:
            simulated = simulate(seed=seed, pairs=pairs, healthy=healthy, start=start, kind=kind)
            for message in simulated:
                stream.write(message.payload + b"\n")
                written += 1
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    return written


def _opened(file: Path) -> Any:
    """The file for writing bytes, compressed as its name says."""
    if file.suffix == ".gz":
        return gzip.open(file, "wb")
    return zstd.open(file, "wb") if file.suffix == ".zst" else file.open("wb")
