"""Which process has a chDB folder open, and where it answers questions about it.

A folder can be open in one process. ClickHouse locks the file `status` in it and writes its process
id there; a worker that serves the folder over HTTP leaves its address beside it.
"""

from __future__ import annotations

import fcntl
import os
import re
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

import msgspec

_STATUS: Final = "status"
_ADDRESS: Final = "understudy-http.json"
_PID: Final = re.compile(r"PID: (?P<pid>[0-9]+)")
_MAX_WORDS: Final = 3
"""Such as `python understudy worker`."""
_MAX_STATUS_BYTES: Final = 4096
"""ClickHouse writes three lines."""


class _Address(msgspec.Struct, frozen=True):
    pid: int
    port: int


@dataclass(frozen=True, slots=True)
class FolderHolder:
    """The process that has a folder open."""

    pid: int
    port: int | None
    """On this machine, where it answers over ClickHouse's HTTP interface, if it does."""

    def __str__(self) -> str:
        command = _command_of(self.pid)
        return f"process {self.pid}{f' ({command})' if command else ''}"


def holder_of(folder: Path) -> FolderHolder | None:
    """The other process that has the folder open; None when it is free, or ours."""
    pid = _locked_by(folder / _STATUS)
    if pid is None or pid == os.getpid():
        return None
    try:
        address = msgspec.json.decode((folder / _ADDRESS).read_bytes(), type=_Address)
    except (OSError, msgspec.MsgspecError):
        return FolderHolder(pid, None)
    return FolderHolder(pid, address.port if address.pid == pid else None)


def publish_address(folder: Path, port: int) -> None:
    """Leave the address where others look for it; it counts as long as this process lives."""
    draft = folder / f"{_ADDRESS}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(_Address(os.getpid(), port)))
    draft.replace(folder / _ADDRESS)


def withdraw_address(folder: Path) -> None:
    """Remove it."""
    (folder / _ADDRESS).unlink(missing_ok=True)


def _locked_by(status: Path) -> int | None:
    """The process that holds the lock; 0 where the file does not tell."""
    try:
        with status.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = _PID.search(file.read(_MAX_STATUS_BYTES).decode("ascii", "replace"))
                return int(found["pid"]) if found else 0
    except OSError:
        pass
    return None


def _command_of(pid: int) -> str:
    """The first words of a process's command line, as far as this machine tells.

    Options are left out: they may hold a password.
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    names = takewhile(lambda word: word and not word.startswith("-"), words)
    return " ".join(Path(name).name for name in islice(names, _MAX_WORDS) if "://" not in name)
