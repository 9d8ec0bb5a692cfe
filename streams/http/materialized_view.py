"""Rollouts and their newest decisions in memory, kept up to date from the compacted topics.

A view belongs to one event loop: it needs no locks, and requests wait for changes on that loop.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import structlog

from understudy.schemas.decisions import Decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.http.bodies import Body
from understudy.streams.http.waiting_places import WaitingPlaces
from understudy.streams.rollouts.record_decoding import merge_commands, read_decision, read_record

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 500
"""Five sixths of the connections of an API whose settings say nothing else."""

RecordKind = Literal["rollout", "decision"]


@dataclass(frozen=True, slots=True)
class ViewUpdate:
    """A message from one of the two topics; without a value it deletes."""

    kind: RecordKind
    rollout_id: str
    value: bytes | None
    written_at: dt.datetime | None = None
    """The message's timestamp in Kafka."""


@dataclass(frozen=True)
class PublishedDecision:
    """A decision, its bytes in the topic, and when they were written there."""

    decision: Decision
    payload: bytes
    written_at: dt.datetime | None = None

    @cached_property
    def body(self) -> Body:
        """The bytes with their entity tag, computed once for all clients."""
        return Body.of(self.payload)


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout's record and its newest decision."""

    record: RolloutRecord
    published: PublishedDecision | None

    @property
    def decision(self) -> Decision | None:
        """The newest decision."""
        return self.published.decision if self.published else None


class UnreadableRecord(ValueError):
    """A message in the topic that this release cannot read."""


class MaterializedView:
    """All rollouts of one installation."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self.is_complete = False
        """Whether the topics were read to their ends and are still being read."""
        self._records: dict[str, RolloutRecord] = {}
        self._decisions: dict[str, PublishedDecision] = {}
        self._unreadable: dict[tuple[RecordKind, str], str] = {}
        self._bodies: dict[tuple[str, ...], Body] = {}
        """Bodies made since the last change."""
        self._waiting = WaitingPlaces(max_waiting)
        self._is_closed = False

    def reset(self) -> None:
        """Drop everything, before the topics are read again from their beginnings."""
        self.is_complete = False
        self._records.clear()
        self._decisions.clear()
        self._unreadable.clear()
        self._wake()

    def apply(self, updates: Iterable[ViewUpdate]) -> None:
        """Apply messages in order and wake the requests that wait for a change."""
        for update in updates:
            self._apply(update)
        self._wake()

    def mark_complete(self) -> None:
        """Note that the topics were read to their ends."""
        self.is_complete = True
        self._wake()

    def close(self) -> None:
        """Wake all waiting requests and let none wait any more."""
        self._is_closed = True
        self._wake()

    def all(self) -> dict[str, RolloutView]:
        """All rollouts that can be read, by id, in the order of their ids."""
        return {
            rollout_id: RolloutView(self._records[rollout_id], self._decisions.get(rollout_id))
            for rollout_id in sorted(self._records)
            if ("rollout", rollout_id) not in self._unreadable
        }

    def find(self, rollout_id: str) -> RolloutView | None:
        """One rollout. Raises `UnreadableRecord`."""
        self._check("rollout", rollout_id)
        record = self._records.get(rollout_id)
        return None if record is None else RolloutView(record, self._decisions.get(rollout_id))

    def newest_decision(self, rollout_id: str) -> PublishedDecision | None:
        """The newest decision about a rollout. Raises `UnreadableRecord`."""
        self._check("decision", rollout_id)
        return self._decisions.get(rollout_id)

    def body(self, key: tuple[str, ...], make_body: Callable[[], Body]) -> Body:
        """A body, made once between two changes, however many requests poll it.

        Otherwise each change would make it again for every request that waits, and block the loop.
        Keys must name rollouts that exist, so that they cannot fill the memory.
        """
        if key not in self._bodies:
            self._bodies[key] = make_body()
        return self._bodies[key]

    async def wait_until(
        self, is_true: Callable[[], bool], timeout_s: float, client: str = ""
    ) -> bool:
        """Wait until a condition holds; return whether it does. Passes on what it raises.

        The wait ends early when another client needs the place more. Raises `TooManyWaiting`.
        """
        with self._waiting.take(client) as place:
            deadline = asyncio.get_running_loop().time() + timeout_s
            while not is_true():
                if self._is_closed or place.is_taken_away:
                    return False
                place.woken.clear()
                try:
                    async with asyncio.timeout_at(deadline):
                        await place.woken.wait()
                except TimeoutError:
                    return is_true()
            return True

    def _check(self, kind: RecordKind, rollout_id: str) -> None:
        problem = self._unreadable.get((kind, rollout_id))
        if problem is not None:
            raise UnreadableRecord(f"the {kind} {rollout_id} cannot be read: {problem}")

    def _apply(self, update: ViewUpdate) -> None:
        """An unreadable message hides its predecessor, which is out of date."""
        kind, rollout_id = update.kind, update.rollout_id
        self._unreadable.pop((kind, rollout_id), None)
        try:
            if kind == "decision":
                self._apply_decision(update)
            else:
                self._apply_record(rollout_id, update.value)
        except ValueError as error:
            self._unreadable[kind, rollout_id] = str(error)
            log.warning("http.record_unreadable", kind=kind, rollout_id=rollout_id,
                        error=str(error))  # fmt: skip

    def _apply_decision(self, update: ViewUpdate) -> None:
        rollout_id, value = update.rollout_id, update.value
        self._decisions.pop(rollout_id, None)
        if value is not None:
            decision = read_decision(rollout_id, value)
            self._decisions[rollout_id] = PublishedDecision(decision, value, update.written_at)

    def _apply_record(self, rollout_id: str, value: bytes | None) -> None:
        if value is None:
            self._records.pop(rollout_id, None)
        else:
            record = read_record(rollout_id, value)
            self._records[rollout_id] = merge_commands(self._records.get(rollout_id), record)

    def _wake(self) -> None:
        self._bodies.clear()
        self._waiting.wake_all()
