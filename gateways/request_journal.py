"""What a process has begun and Kafka does not have yet, in a file that outlives its SIGKILL.

Each request has a slot with what identifies it, no prompt and no answer. A write goes to the
operating system's cache, which a killed process leaves behind; it is lost with the machine alone.
A journal is locked by its process, also across forks of others. One that can be locked is
abandoned: whoever finds it publishes each of its requests as dropped by the gateway.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from understudy.gateways.call_errors import MIRROR_DROPPED
from understudy.schemas.events import SCHEMA_VERSION, Event, Mode, Side

log = logging.getLogger(__name__)

_SLOT_BYTES: Final = 1024
"""Fits ids of the greatest length, and never crosses a page: a write is there whole or not."""
SLOTS: Final = 4096
"""Requests under way in one process; beyond them none is noted. A file of 4 MiB at most."""
_LENGTH_BYTES: Final = 4
_SUFFIX: Final = ".journal"
_NEW_SUFFIX: Final = ".new"
"""Until it is locked: nobody may take it for an abandoned one."""
KILLED: Final = "killed"
"""Why, in the attribute `mirror_dropped`."""


class RequestOutline(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the events of a request have in common, without what was asked and answered."""

    rollout_id: str
    pair_id: str
    mode: Mode
    sides: tuple[Side, ...]
    request_time: dt.datetime
    conversation_id: str | None = None
    turn: int | None = None
    language: str | None = None
    workflow: str | None = None
    own_sides: tuple[Side, ...] = ()
    """Those that this process publishes, where another one publishes the rest; empty: all."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells requests under way apart."""
        return self.rollout_id, self.pair_id

    @property
    def to_publish(self) -> tuple[Side, ...]:
        """The sides that this process publishes."""
        return self.own_sides or self.sides

    def dropped(self) -> list[Event]:
        """The sides that this process was to publish, each of which the gateway dropped."""
        fields = msgspec.structs.asdict(self)
        del fields["own_sides"]
        return [
            Event(
                schema_version=SCHEMA_VERSION,
                side=side,
                error=MIRROR_DROPPED,
                attributes={MIRROR_DROPPED.type: KILLED},
                **fields,
            )
            for side in self.to_publish
        ]


def outline_of(event: Event, own_sides: tuple[Side, ...] = ()) -> RequestOutline:
    """Return the outline of an event's request, of which this process publishes `own_sides`."""
    return RequestOutline(
        rollout_id=event.rollout_id, pair_id=event.pair_id, mode=event.mode, sides=event.sides,
        request_time=event.request_time, conversation_id=event.conversation_id, turn=event.turn,
        language=event.language, workflow=event.workflow,
        own_sides=() if set(own_sides) >= set(event.sides) else own_sides,
    )  # fmt: skip


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(RequestOutline).decode


class _Noted:
    """A request that is noted in a slot, and its sides of which Kafka does not know yet."""

    __slots__ = ("pending", "slot")

    def __init__(self, slot: int, pending: set[Side]) -> None:
        self.slot = slot
        self.pending = pending


class RequestJournal:
    """The requests under way in this process; any thread may call it."""

    def __init__(self, folder: Path, *, slots: int = SLOTS) -> None:
        """Make a journal in a folder. Raises `OSError`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}{_SUFFIX}"
        new = self._path.with_suffix(_NEW_SUFFIX)
        self._file = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(self._path)
        self._lock = threading.Lock()
        self._free = list(range(slots))
        self._taken: dict[tuple[str, str], _Noted] = {}
        self.missed = 0
        """Requests that were not noted: too many were under way, or the disk is full."""

    @property
    def open_requests(self) -> int:
        """Requests that are noted and not ended."""
        return len(self._taken)

    def begin(self, outline: RequestOutline) -> None:
        """Note a request, or further sides of one that is noted. Never raises `OSError`."""
        with self._lock:
            noted = self._taken.get(outline.key)
            if noted is None:
                self._note(outline)
            elif not noted.pending.issuperset(outline.to_publish):
                noted.pending.update(outline.to_publish)
                sides = tuple(side for side in outline.sides if side in noted.pending)
                whole = msgspec.structs.replace(outline, own_sides=sides)
                with contextlib.suppress(OSError):
                    _write(self._file, noted.slot, _encode(whole))

    def _note(self, outline: RequestOutline) -> None:
        payload = _encode(outline)
        if not self._free or len(payload) + _LENGTH_BYTES > _SLOT_BYTES:
            self.missed += 1
            return
        slot = self._free.pop()
        try:
            _write(self._file, slot, payload)
        except OSError:
            self._free.append(slot)
            self.missed += 1
        else:
            self._taken[outline.key] = _Noted(slot, set(outline.to_publish))

    def end(self, key: tuple[str, str], side: Side) -> None:
        """Forget a side of a request: Kafka has its event, or its loss is counted."""
        with self._lock:
            noted = self._taken.get(key)
            if noted is None:
                return
            noted.pending.discard(side)
            if noted.pending:
                return
            del self._taken[key]
            with contextlib.suppress(OSError):
                _write(self._file, noted.slot, b"")
            self._free.append(noted.slot)

    def close(self) -> None:
        """Leave what is noted to whoever finds it; remove the file where that is nothing."""
        with self._lock:
            if not self._taken:
                self._path.unlink(missing_ok=True)
            self._taken.clear()  # the number of the file may be another one's from now on
            self._free.clear()
            os.close(self._file)

    def leave_to_parent(self) -> None:
        """In the child of a fork: the parent goes on with this journal."""
        os.close(self._file)


class AbandonedJournal:
    """The journal of a process that is gone, locked by this one."""

    def __init__(self, path: Path, file: int) -> None:
        self._path, self._file = path, file
        self._slots = {outline.key: (slot, outline) for slot, outline in _slots(file)}
        self._sent: set[tuple[str, str]] = set()

    @property
    def outlines(self) -> list[RequestOutline]:
        """Requests of which Kafka does not know yet."""
        return [outline for _, outline in list(self._slots.values())]

    def unsent(self) -> list[RequestOutline]:
        """Return those of them that have not been published."""
        return [outline for outline in self.outlines if outline.key not in self._sent]

    def mark_sent(self, outline: RequestOutline) -> None:
        """Note that a request was published; Kafka may not have it yet."""
        self._sent.add(outline.key)

    def end(self, outline: RequestOutline) -> None:
        """Forget a request: Kafka knows."""
        slot, _ = self._slots.pop(outline.key)
        with contextlib.suppress(OSError):
            _write(self._file, slot, b"")

    def close(self) -> None:
        """Remove it where Kafka knows of all; else leave it to whoever finds it next."""
        if not self._slots:
            self._path.unlink(missing_ok=True)
        os.close(self._file)

    def leave_to_parent(self) -> None:
        """In the child of a fork: the parent goes on with it."""
        os.close(self._file)


def abandoned_journals(folder: Path) -> Iterator[AbandonedJournal]:
    """Yield the journals in a folder whose processes are gone; the caller closes them."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:  # another process was faster, or it is another user's, who will tell
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its process lives, or it cannot be known whether it does
            os.close(file)
            continue
        if os.fstat(file).st_nlink == 0:  # told and removed since it was opened
            os.close(file)
            continue
        yield AbandonedJournal(path, file)


def _write(file: int, slot: int, payload: bytes) -> None:
    os.pwrite(file, len(payload).to_bytes(_LENGTH_BYTES, "little") + payload, slot * _SLOT_BYTES)


def _slots(file: int) -> Iterator[tuple[int, RequestOutline]]:
    """The requests noted in a file, each with its slot."""
    for slot in range(os.fstat(file).st_size // _SLOT_BYTES + 1):
        noted = os.pread(file, _SLOT_BYTES, slot * _SLOT_BYTES)
        length = int.from_bytes(noted[:_LENGTH_BYTES], "little")
        if not 0 < length <= _SLOT_BYTES - _LENGTH_BYTES:
            continue
        try:
            yield slot, _decode(noted[_LENGTH_BYTES : _LENGTH_BYTES + length])
        except msgspec.MsgspecError:
            log.warning("A request in the journal of a killed process cannot be read")
