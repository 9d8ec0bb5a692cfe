"""Rollouts and decisions as they stand, in memory, kept up to date by a feed.

A board lives on one event loop: nothing is locked, and what waits for a change waits there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import structlog

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.rollouts.decoding import gather, read_decision, read_record

log = structlog.get_logger(__name__)

Of = Literal["rollout", "decision"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A message of one of the two topics; without a value it deletes."""

    of: Of
    rollout_id: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """A decision, and its bytes in the topic."""

    decision: Decision
    payload: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a rollout."""

    record: RolloutRecord
    told: Told | None

    @property
    def decision(self) -> Decision | None:
        """The newest one."""
        return self.told.decision if self.told else None


class Board:
    """All rollouts of one installation."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether all that was in the topics at the start has been read."""
        self._records: dict[str, RolloutRecord] = {}
        self._unreadable: set[str] = set()
        self._told: dict[str, Told] = {}
        self._changed = asyncio.Event()
        self._is_closed = False

    def take(self, messages: Iterable[Seen]) -> None:
        """Put up what was read, and wake those who wait for it."""
        for message in messages:
            try:
                self._take(message)
            except ValueError as error:
                log.warning("api.unreadable", of=message.of, rollout_id=message.rollout_id,
                            error=str(error))  # fmt: skip
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
        names = sorted(self._records.keys() - self._unreadable)
        return {name: Standing(self._records[name], self._told.get(name)) for name in names}

    def find(self, rollout_id: str) -> Standing | None:
        """One rollout."""
        if rollout_id not in self._records or rollout_id in self._unreadable:
            return None
        return Standing(self._records[rollout_id], self._told.get(rollout_id))

    async def until(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds; whether it does. What `ready` raises ends the waiting."""
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

    def _take(self, message: Seen) -> None:
        """Raises `ValueError` for what cannot be read."""
        name, value = message.rollout_id, message.value
        if message.of == "decision":
            if value is None:
                self._told.pop(name, None)
            else:
                self._told[name] = Told(read_decision(name, value), value)
            return
        self._unreadable.discard(name)
        if value is None:
            self._records.pop(name, None)
            return
        try:
            self._records[name] = gather(self._records.get(name), read_record(name, value))
        except ValueError:
            self._unreadable.add(name)
            raise

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
