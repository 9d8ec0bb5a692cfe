"""Rollouts and decisions as they stand, in memory, kept up to date by a feed.

A view lives on one event loop: nothing is locked, and what waits for a change waits there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import structlog

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.http.bodies import Body
from understudy.streams.rollouts.record_decoding import merge_commands, read_decision, read_record

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 500
"""More would take the sockets that the worker itself needs."""

Of = Literal["rollout", "decision"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of one of the two topics; without a value it deletes."""

    of: Of
    rollout_id: str
    value: bytes | None


@dataclass(frozen=True)
class Told:
    """A decision, and its bytes in the topic."""

    decision: Decision
    payload: bytes

    @cached_property
    def body(self) -> Body:
        """The bytes with their tag, made once for all who ask."""
        return Body.of(self.payload)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a rollout."""

    record: RolloutRecord
    told: Told | None

    @property
    def decision(self) -> Decision | None:
        """The newest one."""
        return self.told.decision if self.told else None


class Unreadable(ValueError):
    """What stands in the topic cannot be read by this release."""


class TooManyWait(RuntimeError):
    """No more requests can be kept waiting."""


class MaterializedView:
    """All rollouts of one installation."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether the topics have been read to their ends, and are still being read."""
        self._records: dict[str, RolloutRecord] = {}
        self._told: dict[str, Told] = {}
        self._unreadable: dict[tuple[Of, str], str] = {}
        self._changed = asyncio.Event()
        self._waiting = 0
        self._is_closed = False

    def begin(self) -> None:
        """Everything is to be read anew."""
        self.is_complete = False
        self._records.clear()
        self._told.clear()
        self._unreadable.clear()
        self._wake()

    def take(self, messages: Iterable[Seen]) -> None:
        """Put up what was read, and wake those who wait for it."""
        for message in messages:
            self._take(message)
        self._wake()

    def complete(self) -> None:
        """Say that everything has been read once."""
        self.is_complete = True
        self._wake()

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._is_closed = True
        self._wake()

    def all(self) -> dict[str, Standing]:
        """All rollouts that can be read, in the order of their names."""
        return {
            name: Standing(self._records[name], self._told.get(name))
            for name in sorted(self._records)
            if ("rollout", name) not in self._unreadable
        }

    def find(self, rollout_id: str) -> Standing | None:
        """One rollout. Raises `Unreadable`."""
        self._check("rollout", rollout_id)
        record = self._records.get(rollout_id)
        return None if record is None else Standing(record, self._told.get(rollout_id))

    def told(self, rollout_id: str) -> Told | None:
        """The newest decision about a rollout, as it stands in its topic. Raises `Unreadable`."""
        self._check("decision", rollout_id)
        return self._told.get(rollout_id)

    async def until(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds; whether it does. What `ready` raises ends the waiting.

        Raises `TooManyWait`.
        """
        if self._waiting >= MAX_WAITING:
            raise TooManyWait(f"{MAX_WAITING} requests wait for changes already")
        self._waiting += 1
        try:
            return await self._until(ready, timeout_s)
        finally:
            self._waiting -= 1

    async def _until(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not ready():
            if self._is_closed:
                return False
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                return ready()
        return True

    def _check(self, of: Of, rollout_id: str) -> None:
        problem = self._unreadable.get((of, rollout_id))
        if problem is not None:
            raise Unreadable(f"the {of} {rollout_id} cannot be read: {problem}")

    def _take(self, message: Seen) -> None:
        """What cannot be read hides what stood before it, which is out of date."""
        of, name = message.of, message.rollout_id
        self._unreadable.pop((of, name), None)
        try:
            if of == "decision":
                self._take_decision(name, message.value)
            else:
                self._take_record(name, message.value)
        except ValueError as error:
            self._unreadable[of, name] = str(error)
            log.warning("api.unreadable", of=of, rollout_id=name, error=str(error))

    def _take_decision(self, name: str, value: bytes | None) -> None:
        self._told.pop(name, None)
        if value is not None:
            self._told[name] = Told(read_decision(name, value), value)

    def _take_record(self, name: str, value: bytes | None) -> None:
        if value is None:
            self._records.pop(name, None)
        else:
            self._records[name] = merge_commands(self._records.get(name), read_record(name, value))

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
