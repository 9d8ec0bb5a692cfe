"""The processor: takes messages, tells decisions, keeps the table.

Faust takes an event for done whatever its handler raises, so nothing is left to it: what the
message is to blame for becomes a dead letter, and what the surroundings are to blame for ends the
process before anything is committed. A new process reads the message again.

Decisions are told at once. The table is written once a second for all messages since, for an entry
is large; only then are they acknowledged. After a crash they come again and are judged the same.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import structlog

from understudy.schemas.topics import Topics
from understudy.streams.deciding.policy_barrier import PolicyBarrier
from understudy.streams.deciding.state_store import (
    InvalidMessage,
    Output,
    ReplayDiverged,
    RolloutStateStore,
)
from understudy.streams.errors import FAILED
from understudy.streams.pairing.kafka_results import MAX_LETTER_BYTES

if TYPE_CHECKING:
    from understudy.streams.deciding.faust_app import DecidingApp

log = structlog.get_logger(__name__)

SAVE_EVERY_S: Final = 1.0
LOOK_EVERY_S: Final = 0.02
MOST_UNSAVED: Final = 200
"""Messages that are read again after a crash, at most."""
INVALID_WINDOWS: Final = "invalid_windows"
INVALID_ROLLOUT: Final = "invalid_rollout"
DECIDING_FAILED: Final = "deciding_failed"
"""Reasons of dead letters, beside those of events."""

Stream = Any
Judge = Callable[[Any], Output]


class Fenced(RuntimeError):
    """The group may have given the partitions to somebody else, unnoticed."""


class DecisionProcessor:
    """Takes messages one at a time, whichever topic they come from."""

    def __init__(self, app: DecidingApp, names: Topics, table: Any) -> None:
        self._app = app
        self._table = table
        self._store = RolloutStateStore(table)
        self._policies = PolicyBarrier(app, names.rollouts.name)
        self._term = 0
        """Counts how often partitions were handed over."""
        self._windows = self._topic(names.windows.name)
        self._rollouts = self._topic(names.rollouts.name)
        self._decisions = self._topic(names.decisions.name)
        self._dead_letters = self._topic(names.dead_letters.name)
        self._unsaved: dict[bytes, int] = {}
        """Rollouts that the table is behind with, and their partitions."""
        self._unacknowledged: list[Any] = []
        """Events whose effect the table may lack."""
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.Task[None] | None = None
        self._has_given_up = False

    def _topic(self, name: str) -> Any:
        """Raw bytes, deletions included."""
        return self._app.topic(
            name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw",
            allow_empty=True,
        )  # fmt: skip

    def open(self) -> None:
        """Register agents and signals."""
        self._app.agent(self._rollouts, name="rollouts", concurrency=1)(self._take_rollouts)
        self._app.agent(self._windows, name="windows", concurrency=1)(self._take_windows)
        self._app.on_partitions_revoked.connect(self._forget, weak=False)
        self._app.on_partitions_assigned.connect(self._forget, weak=False)

    def hand_over(self) -> None:
        """Partitions are about to go: save now. Gives up where they may be gone already."""
        self._term += 1
        if not self._unacknowledged:
            return
        if not self._app.lease.is_valid:
            log.error("deciding.expelled", unsaved=len(self._unacknowledged))
            self._give_up(Fenced("another worker may have taken over"))
        self._begin_to_save()

    async def _forget(self, *_: Any, **__: Any) -> None:
        """Another worker may have written the table since."""
        self._store.clear()
        self._policies.forget()

    # Taking

    async def _take_windows(self, stream: Stream) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            if await self._may_judge(event):
                await asyncio.shield(self._begun(self._take(event, self._judged, INVALID_WINDOWS)))
            else:
                self._let_go(event)

    async def _take_rollouts(self, stream: Stream) -> None:
        stream.enable_acks = False
        async for event in stream.events():
            await asyncio.shield(self._begun(self._take_record(event)))

    async def _may_judge(self, event: Any) -> bool:
        """Wait for the policies; False when the partitions go meanwhile."""
        term = self._term
        while not await self._policies.are_read(event.message.partition):
            await asyncio.sleep(LOOK_EVERY_S)
            if self._term != term or self._app.should_stop:
                return False
        return True

    def _begun(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """To be brought to its end, even when a rebalance cancels the agent meanwhile."""
        return self._app.loop.create_task(self._alone(work))

    async def _alone(self, work: Coroutine[Any, Any, None]) -> None:
        """One thing at a time; after what fails here nothing may go on."""
        try:
            async with self._lock:
                await work
        except BaseException as error:
            log.error("deciding.broken", error=repr(error), exc_info=error)
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        """Nothing is sent, kept or committed any more; whoever comes next reads it again."""
        self._has_given_up = True
        for event in self._unacknowledged:
            self._let_go(event)
        self._unacknowledged.clear()
        self._app.give_up(error)

    def _let_go(self, event: Any) -> None:
        """Do not have Faust wait for an event that will never be done."""
        self._app.consumer.unacked.discard(event.message)

    @cached_property
    def _lock(self) -> asyncio.Lock:
        """Made when the loop runs."""
        return asyncio.Lock()

    async def _take_record(self, event: Any) -> None:
        """Saved before and after: so it keeps its place among the messages of windows."""
        await self._save()
        await self._take(event, self._recorded, INVALID_ROLLOUT)
        await self._save()

    async def _take(self, event: Any, judge: Judge, reason: str) -> None:
        """Tell what a message brings, and see to it that it is saved."""
        if self._has_given_up:
            self._let_go(event)
            return
        self._unacknowledged.append(event)
        step = await self._step(event, judge, reason)
        for value in step.decisions:
            await self._send(self._decisions, key=step.key, value=value)
            self._app.progress.decisions += 1
        if step.is_state_changed:
            self._unsaved[step.key] = self._table.partition_for_key(step.key)
        message = event.message
        self._app.handled[message.topic, message.partition] = message.offset + 1
        self._app.progress.messages[message.topic] += 1
        if len(self._unacknowledged) >= MOST_UNSAVED:
            await self._save()
        elif self._timer is None:
            self._timer = self._app.loop.call_later(SAVE_EVERY_S, self._begin_to_save)

    async def _step(self, event: Any, judge: Judge, reason: str) -> Output:
        """What the message brings; nothing but a dead letter where it is to blame."""
        try:
            return judge(event)
        except InvalidMessage as error:
            detail = str(error)
        except (MemoryError, ReplayDiverged):
            raise
        except Exception as error:  # the store is pure, so the message is to blame
            log.error("deciding.failed", exc_info=True, **_place(event))
            reason, detail = DECIDING_FAILED, repr(error)
        log.warning("deciding.refused", reason=reason, detail=detail[:200], **_place(event))
        await self._bury(event, reason, detail)
        self._app.progress.dead_letters[reason] += 1
        return Output(event.key or b"")

    def _judged(self, event: Any) -> Output:
        step = self._store.apply_windows(event.key, event.value)
        name = step.key.decode()
        self._app.progress.ignored_messages += not step.is_state_changed
        if self._store.ignored_windows[name] == 1 and not step.is_state_changed:
            log.warning("deciding.no_policy", rollout_id=name)
        if step.decisions:
            log.info("deciding.decided", rollout_id=name)
        return step

    def _recorded(self, event: Any) -> Output:
        message = event.message
        timestamp_ms = round(1000 * message.timestamp)
        step = self._store.apply_record(event.key, event.value, message.offset, timestamp_ms)
        self._app.progress.rejected_commands += len(self._store.rejected_commands)
        for refused in self._store.rejected_commands:
            log.warning("deciding.command_refused", rollout_id=_text(step.key), command=refused)
        if step.is_state_changed:
            self._store.ignored_windows.pop(_text(step.key), None)
            what = "deciding.deleted" if step.decisions == (None,) else "deciding.applied"
            log.info(what, rollout_id=_text(step.key))
        return step

    async def _bury(self, event: Any, reason: str, detail: str) -> None:
        """A dead letter like pairing's."""
        message, value = event.message, event.value
        headers = [
            ("reason", reason.encode()),
            ("detail", detail[:1000].encode("utf-8", "replace")),
            ("topic", message.topic.encode()),
            ("partition", str(message.partition).encode()),
            ("offset", str(message.offset).encode()),
        ]
        if value is not None and len(value) > MAX_LETTER_BYTES:
            headers.append(("cut_from_bytes", str(len(value)).encode()))
            value = value[:MAX_LETTER_BYTES]
        await self._send(self._dead_letters, key=event.key, value=value, headers=headers)

    # Saving and sending

    def _begin_to_save(self) -> None:
        self._saving = self._begun(self._save())

    async def _save(self) -> None:
        """Write what the table is behind with; then the messages are done."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._has_given_up:
            return
        for key, partition in self._unsaved.items():
            await self._write(key, self._store.snapshot(key), partition)
            self._store.mark_saved(key)
        self._unsaved.clear()
        for event in self._unacknowledged:
            event.ack()
        self._unacknowledged.clear()

    async def _write(self, key: bytes, value: bytes | None, partition: int) -> None:
        """To the changelog first."""
        await self._send(
            self._table.changelog_topic, key=key, value=value, partition=partition,
            key_serializer="raw", value_serializer="raw",
        )  # fmt: skip
        if value is None:
            self._table.data.pop(key, None)
        else:
            self._table.data[key] = value

    async def _send(self, topic: Any, **message: Any) -> None:
        """Wait until the broker has it; again for as long as nobody else can have taken over.

        Raises what Kafka has against the message.
        """
        while True:
            await self._app.lease.wait_until_valid()
            try:
                await (await topic.send(**message))
            except Exception as error:
                cause = error.__cause__ or error  # Faust wraps what aiokafka raises
                if not getattr(cause, "retriable", False):
                    raise
                log.warning("deciding.undelivered", topic=topic.get_topic_name(), error=repr(cause))
            else:
                return


def end_process(error: BaseException) -> None:
    """At once: what has been judged and not saved must not be sent or committed any more."""
    sys.stderr.flush()
    os._exit(FAILED)


def _place(event: Any) -> dict[str, Any]:
    message = event.message
    return {"topic": message.topic, "partition": message.partition, "offset": message.offset}


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
