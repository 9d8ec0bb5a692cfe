"""The decision processor: applies messages, emits decisions, writes checkpoints.

It leaves no error to its caller: Faust takes an event for done whatever its handler raises. A
message that is itself to blame becomes a dead letter; any other failure ends the process before
anything more is committed, and a new process reads the message again.

Decisions are emitted at once, and each is saved right after it: a worker that starts reads the
records before the windows, so a rollback that is not in the table would come after a record that
was written after it. Messages that lead to no decision can wait: to save a large rollout costs half
as much as a second of its messages, and what changed goes to the changelog. So each rollout is
saved every ten seconds, at a time of its own, for all messages since; only then are those messages
acknowledged. After a crash they are read again.

Windows come in bursts, a message of each partition and rollout once a second. They are gathered
for some milliseconds and applied one by one, those of a rollout in their order, but read together,
which costs less. Records and checkpoints need not wait until all are applied.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from math import ceil
from typing import Any, Final
from zlib import crc32

import structlog

from understudy.schemas.events import InvalidReason
from understudy.streams.backoff import pause_s
from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.policy_barrier import PolicyBarrier
from understudy.streams.deciding.ports import (
    CheckpointStore,
    DecisionLog,
    InputMessage,
    RetriableSendError,
)
from understudy.streams.deciding.session_lease import SessionLease
from understudy.streams.deciding.snapshots import UnreadableSnapshot
from understudy.streams.deciding.state_store import (
    InvalidMessage,
    Output,
    ReplayDiverged,
    RolloutStateStore,
)
from understudy.streams.logs import LogLimit

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)
"""Whoever writes events names rollouts."""

LOOK_AFTER_S: Final = 1.25
"""After the newest message of a rollout that no look has seen: rows come once a second, and the
next of them would lead to a look."""
MAX_UNSAVED_BYTES: Final = 128 * 1024 * 1024
"""Messages are kept in memory until their rollout is saved: ten seconds of some twenty rollouts of
200 requests/s in twenty languages, or of thousands of small ones. Beyond that all are saved."""
GATHER_S: Final = 0.01
"""Messages of one burst come within this time. The last of a dozen is applied sooner than if each
were read by itself, which takes 1 ms more."""
MOST_GATHERED: Final = 1_024
"""Messages: all that many small rollouts write at once."""
MOST_GATHERED_BYTES: Final = 16 * 1024 * 1024
"""A burst of a large rollout has 0.7 MB, and twenty of them write at once; of fewer messages of
each that are read together each takes a fifth more. They are decoded one rollout at a time."""
LEASE_POLL_S: Final = 0.05
"""While the lease has lapsed; heartbeats come a few times a session, so seconds apart."""
FIRST_RETRY_S: Final = 0.05
LONGEST_RETRY_S: Final = 2.0
"""A decision should follow soon when Kafka takes messages again; until then it is left alone."""
MAX_NAMED_ROLLOUTS: Final = 1_000
"""Rollouts without a policy that are remembered, so that each is named once in the log."""
MAX_LOGGED_DETAIL: Final = 200
"""Characters; the dead letter has more."""
MAX_TIMESTAMP_MS: Final = 253_402_300_799_999
"""The end of the year 9999: Kafka's timestamps may be anything, and a decision holds a date."""
INVALID_WINDOWS: Final = "invalid_windows"
INVALID_ROLLOUT: Final = "invalid_rollout"
DECIDING_FAILED: Final = "deciding_failed"
UNREADABLE: Final = str(InvalidReason.UNREADABLE)
"""Reasons of deciding's dead letters."""

GiveUp = Callable[[BaseException], object]
Apply = Callable[[InputMessage], Output]
Work = Callable[[], Awaitable[None]]


class Fenced(RuntimeError):
    """Another worker may own the partitions already, so nothing may be sent any more."""


class UnreadableMessage(InvalidMessage):
    """A message that stands for a batch which could not be unpacked."""


class DecisionProcessor:
    """Applies one message at a time, whichever topic it comes from."""

    def __init__(
        self,
        decisions: DecisionLog,
        checkpoints: CheckpointStore,
        barrier: PolicyBarrier,
        lease: SessionLease,
        progress: DecidingProgress,
        give_up: GiveUp,
        *,
        checkpoint_interval_s: float,
        max_unsaved_bytes: int = MAX_UNSAVED_BYTES,
        look_after_s: float = LOOK_AFTER_S,
        most_gathered: int = MOST_GATHERED,
    ) -> None:
        """`give_up` is called when going on is impossible; nothing may be committed after it."""
        self._decisions = decisions
        self._checkpoints = checkpoints
        self._barrier = barrier
        self._lease = lease
        self._progress = progress
        self._on_give_up = give_up
        self._checkpoint_interval_s = checkpoint_interval_s
        self._max_unsaved_bytes = max_unsaved_bytes
        self._look_after_s = look_after_s
        self._most_gathered = most_gathered
        self._store = RolloutStateStore(checkpoints.snapshots)
        self.applied_offsets: dict[tuple[str, int], int] = {}
        """Topic and partition to the offset after the last message applied."""
        self._unsaved: dict[bytes, _Unsaved] = {}
        """Rollouts whose snapshot in the table is behind."""
        self._unsaved_bytes = 0
        self._next_save_s: dict[bytes, float] = {}
        """When a rollout's snapshot is due, by the clock of the event loop."""
        self._unacknowledged: dict[bytes, list[InputMessage]] = {}
        """By rollout, messages that were applied, or are being applied, in their order."""
        self._pending: dict[int, InputMessage] = {}
        """Messages that wait for their turn, by identity: one may come twice."""
        self._gathered: list[InputMessage] = []
        """Messages of windows that are applied next, in the order in which they came."""
        self._gathered_bytes = 0
        self._gather_timer: asyncio.TimerHandle | None = None
        self._applying: asyncio.Task[None] | None = None
        """Applies messages that were gathered before."""
        self._without_policy: dict[str, None] = {}
        """Rollouts named in the log, in the order in which they came."""
        self._rng = random.Random()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        """For the snapshots that are due next."""
        self._unlooked: dict[bytes, asyncio.TimerHandle] = {}
        """Rollouts with messages that no look has seen, and when one is asked for."""
        self._unseen: dict[bytes, list[InputMessage]] = {}
        """Those messages."""
        self._has_given_up = False
        self._is_handing_over = False
        """Partitions go: what comes now is for their next owner."""

    # What the consumer calls

    async def process_windows(self, message: InputMessage) -> None:
        """See to it that a message of windows is applied, when the policies have been read.

        Returns when there is room for the next one.
        """
        if not await self._barrier.wait(message.partition):
            message.abandon()
            return
        self._pending[id(message)] = message
        self._gathered.append(message)
        self._gathered_bytes += len(message.value or b"")
        while self._has_gathered_enough():
            await asyncio.shield(self._apply_gathered())
        if self._gathered and self._applying is None and self._gather_timer is None:
            loop = asyncio.get_running_loop()
            self._gather_timer = loop.call_later(GATHER_S, self._apply_gathered)

    async def process_record(self, message: InputMessage) -> None:
        """Apply a record of the topic of rollouts."""
        await self._run(message, lambda: self._process_record(message))

    def hand_over(self) -> None:
        """Partitions are about to be revoked: save now, or give up if they may be gone already."""
        self._barrier.reset()
        self._is_handing_over = True
        if not self._unacknowledged:
            return
        if not self._lease.is_valid:
            unsaved = sum(map(len, self._unacknowledged.values()))
            log.error("deciding.fenced", unsaved_messages=unsaved)
            self._give_up(Fenced("another worker may own the partitions already"))
            return
        self._start(self._checkpoint)

    async def stop(self, timeout_s: float) -> None:
        """Save what can be saved in time; the rest is abandoned, and read again by the next worker.

        Without a deadline a stop could wait for ever: a consumer that is closing looks for no
        coordinator, so that a lease which has lapsed is not renewed any more.
        """
        self._barrier.reset()
        self._is_handing_over = True
        if self._unacknowledged:
            await asyncio.wait({self._start(self._checkpoint)}, timeout=timeout_s)
        self._abandon()
        for task in self._tasks:
            task.cancel()

    def clear(self) -> None:
        """Partitions have changed hands: another worker may have written the table since.

        What is not saved by now is read again by whoever holds its partition.
        """
        self._is_handing_over = False
        self._abandon_messages()
        self._unsaved.clear()
        self._unsaved_bytes = 0
        self._next_save_s.clear()
        self._store.clear()
        self._without_policy.clear()
        self._barrier.reset()

    # Gathering

    def _has_gathered_enough(self) -> bool:
        is_full = self._gathered_bytes >= MOST_GATHERED_BYTES
        return is_full or len(self._gathered) >= self._most_gathered

    def _apply_gathered(self) -> asyncio.Task[None]:
        """Apply what was gathered, after what is being applied already; return what to wait for."""
        self._stop_gathering()
        if self._applying is None or self._applying.done():
            messages, self._gathered, self._gathered_bytes = self._gathered, [], 0
            self._applying = self._create_task(self._process_all_windows(messages))
            self._applying.add_done_callback(self._apply_next)
        return self._applying

    def _apply_next(self, applied: asyncio.Task[None]) -> None:
        if applied.cancelled():  # some of its messages are not applied: none after them may be
            self._abandon()
        if self._applying is not applied:
            return
        self._applying = None
        if self._gathered:
            self._apply_gathered()

    def _stop_gathering(self) -> None:
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None

    async def _process_all_windows(self, messages: list[InputMessage]) -> None:
        """Apply messages, those of one rollout after another's.

        The rollout whose last message came last is last, so that the newest message of a partition
        is applied after all others of it.
        """
        by_rollout: dict[tuple[int, bytes | None], list[InputMessage]] = {}
        for message in messages:
            name = message.partition, message.key
            own = by_rollout.pop(name, [])
            own.append(message)
            by_rollout[name] = own
        with self._failing_for_good():
            self._store.announce((m.key, m.value) for m in messages if m.partition == m.home)
            for message in chain.from_iterable(by_rollout.values()):
                async with self._lock:
                    await self._process(message, self._apply_windows, INVALID_WINDOWS)
                await asyncio.sleep(0)  # hundreds must not hold up all else in the event loop

    # One thing at a time

    async def _run(self, message: InputMessage, work: Work) -> None:
        """Bring work to its end, even if a rebalance cancels the caller meanwhile."""
        self._pending[id(message)] = message
        await asyncio.shield(self._start(work))

    def _start(self, work: Work) -> asyncio.Task[None]:
        return self._create_task(self._exclusively(work))

    def _create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the event loop alone would not keep it alive
        task.add_done_callback(self._tasks.discard)
        return task

    async def _exclusively(self, work: Work) -> None:
        with self._failing_for_good():
            async with self._lock:
                await work()

    @contextmanager
    def _failing_for_good(self) -> Iterator[None]:
        """After what fails here nothing may go on."""
        try:
            yield
        except asyncio.CancelledError:  # by a stop, or because the event loop ends
            self._abandon()
            raise
        except BaseException as error:
            log.error("deciding.gave_up", error=repr(error), exc_info=error)
            self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        """Going on is impossible; the next worker reads again what was not saved."""
        self._abandon()
        self._on_give_up(error)

    def _abandon(self) -> None:
        """Send, save and acknowledge nothing any more."""
        self._has_given_up = True
        self._abandon_messages()

    def _abandon_messages(self) -> None:
        for message in (*chain(*self._unacknowledged.values()), *self._pending.values()):
            message.abandon()
        self._unacknowledged.clear()
        self._pending.clear()
        self._gathered.clear()
        self._gathered_bytes = 0
        self._stop_gathering()
        for timer in self._unlooked.values():
            timer.cancel()
        self._unlooked.clear()
        self._unseen.clear()

    # Applying

    async def _process_record(self, message: InputMessage) -> None:
        """Save before and after: so a record keeps its place among messages of windows."""
        key = message.key or b""
        if not self._has_given_up:
            await self._save(key)
        await self._process(message, self._apply_record, INVALID_ROLLOUT)
        if not self._has_given_up:
            await self._save(key)

    async def _process(self, message: InputMessage, apply: Apply, invalid: str) -> None:
        """Emit what a message leads to, and see to it that its effect is saved."""
        if self._pending.pop(id(message), None) is None:
            return  # abandoned while it waited
        if self._has_given_up or self._is_handing_over:
            message.abandon()
            return
        self._unacknowledged.setdefault(message.key or b"", []).append(message)
        output = await self._applied(message, apply, invalid)
        for decision in output.decisions:
            await self._deliver(partial(self._decisions.emit, output.key, decision))
            self._progress.decisions += 1
        if output.is_state_changed or output.key in self._unsaved:
            self._note_unsaved(output.key, message)
        self._see_to_look(output, message)
        if output.key not in self._unsaved:
            self._acknowledge(output.key)
        elif output.decisions:  # else a record written before the next start would undo them
            await self._save(output.key)
        self.applied_offsets[message.topic, message.partition] = message.offset + 1
        self._progress.messages[message.topic] += 1
        if self._unsaved_bytes > self._max_unsaved_bytes:
            await self._checkpoint()

    def _see_to_look(self, output: Output, message: InputMessage) -> None:
        """Ask for a look at what came last, unless another message leads to one before."""
        if output.awaits_look is None:
            return
        timer = self._unlooked.pop(output.key, None)
        if timer is not None:
            timer.cancel()
        if not output.awaits_look:
            self._unseen.pop(output.key, None)
        else:
            self._unseen.setdefault(output.key, []).append(message)
            ask = partial(self._ask_for_look, output.key, message.partition)
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._look_after_s, lambda: self._start(ask))
            self._unlooked[output.key] = timer

    async def _ask_for_look(self, key: bytes, partition: int) -> None:
        """Through the log, so that whoever reads it again looks at the same place."""
        if self._unlooked.pop(key, None) is None or self._has_given_up or self._is_handing_over:
            return
        await self._deliver(partial(self._decisions.ask_for_look, key, partition))

    async def _applied(self, message: InputMessage, apply: Apply, invalid: str) -> Output:
        """What applying a message leads to; nothing but a dead letter if it is to blame."""
        try:
            return apply(message)
        except UnreadableMessage as error:
            reason, detail = UNREADABLE, str(error)
        except InvalidMessage as error:
            reason, detail = invalid, str(error)
        except (MemoryError, ReplayDiverged, UnreadableSnapshot):
            raise
        except Exception as error:  # the store is pure, so the message is to blame
            log.error("deciding.evaluation_failed", exc_info=True, **_place(message))
            reason, detail = DECIDING_FAILED, repr(error)
        log.warning(
            "deciding.dead_letter", reason=reason, detail=detail[:MAX_LOGGED_DETAIL],
            **_place(message),
        )  # fmt: skip
        await self._deliver(partial(self._decisions.write_dead_letter, message, reason, detail))
        self._progress.dead_letters[reason] += 1
        if (key := message.key or b"") in self._unsaved:
            await self._save(key)  # the store has applied again what was not saved: not each time
        return Output(message.key or b"")

    def _apply_windows(self, message: InputMessage) -> Output:
        _check_usable(message)
        output = self._store.apply_windows(message.key, message.value, _log_place(message))
        rollout_id = _text(output.key)
        if output.decisions:
            log.info("deciding.decided", rollout_id=rollout_id)
        if output.is_without_policy:
            self._progress.ignored_messages += 1
            self._name_once(rollout_id)
        return output

    def _name_once(self, rollout_id: str) -> None:
        if rollout_id in self._without_policy:
            return
        if len(self._without_policy) >= MAX_NAMED_ROLLOUTS:
            self._without_policy.pop(next(iter(self._without_policy)))
        self._without_policy[rollout_id] = None
        _limited_log.warning("deciding.no_policy", rollout_id=rollout_id)

    def _apply_record(self, message: InputMessage) -> Output:
        self._barrier.record_applied(message.partition, message.offset)
        _check_usable(message)
        output = self._store.apply_record(message.key, message.value, _log_place(message))
        rollout_id = _text(output.key)
        self._progress.rejected_commands += len(output.rejections)
        for command in output.rejections:
            log.warning("deciding.command_rejected", rollout_id=rollout_id, command=command)
        if output.is_state_changed:
            self._without_policy.pop(rollout_id, None)
            is_deletion = output.decisions == (None,)
            event = "deciding.rollout_deleted" if is_deletion else "deciding.record_applied"
            log.info(event, rollout_id=rollout_id)
        return output

    # Checkpoints

    def _note_unsaved(self, key: bytes, message: InputMessage) -> None:
        """See to it that a rollout is saved, each at a time of its own."""
        now_s = asyncio.get_running_loop().time()
        if key not in self._next_save_s:
            self._next_save_s[key] = now_s + self._checkpoint_interval_s * _share_of_interval(key)
        elif key not in self._unsaved:  # maybe idle since its time came: then all would be due now
            self._next_save_s[key] = self._next_turn_s(key, now_s)
        unsaved = self._unsaved.setdefault(key, _Unsaved(message.partition))
        unsaved.n_bytes += len(message.value or b"")
        self._unsaved_bytes += len(message.value or b"")
        self._see_to_save(max(now_s, self._next_save_s[key]))

    def _next_turn_s(self, key: bytes, now_s: float) -> float:
        """When a rollout is due next: whole intervals after it was due, so all stay apart."""
        due_s, interval_s = self._next_save_s[key], self._checkpoint_interval_s
        return due_s + max(0, ceil((now_s - due_s) / interval_s)) * interval_s

    def _see_to_save(self, due_s: float) -> None:
        """Have the timer end at some time, unless it ends before."""
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(due_s, lambda: self._start(self._save_due))

    async def _save_due(self) -> None:
        """Save the rollouts whose time has come."""
        self._timer = None
        if self._has_given_up:
            return
        now_s = asyncio.get_running_loop().time()
        for key in [one for one in self._unsaved if self._next_save_s[one] <= now_s]:
            await self._save(key)
            if key in self._next_save_s:  # unless partitions have changed hands meanwhile
                self._next_save_s[key] += self._checkpoint_interval_s
                self._next_save_s[key] = self._next_turn_s(key, now_s)
        if self._unsaved:
            self._see_to_save(min(self._next_save_s[key] for key in self._unsaved))

    async def _checkpoint(self) -> None:
        """Save every snapshot that is behind."""
        if self._has_given_up:
            return
        for key in list(self._unsaved):
            await self._save(key)
        if self._is_handing_over:
            self._abandon_messages()

    async def _save(self, key: bytes) -> None:
        """Save a rollout's snapshot if it is behind; then acknowledge its messages."""
        if key in self._unsaved:
            partition = self._unsaved[key].partition
            for writes in self._store.checkpoint(key):
                if writes:
                    await self._deliver(partial(self._checkpoints.save, partition, writes))
            self._store.mark_saved(key)
            if (saved := self._unsaved.pop(key, None)) is not None:
                self._unsaved_bytes -= saved.n_bytes
            if key not in self._checkpoints.snapshots:
                self._next_save_s.pop(key, None)
        self._acknowledge(key)

    def _acknowledge(self, key: bytes) -> None:
        """Acknowledge a rollout's messages.

        Those that no look has seen are read again: a worker that takes over asks for it.
        """
        unseen = {id(message) for message in self._unseen.get(key, ())}
        messages = self._unacknowledged.pop(key, [])
        kept = [message for message in messages if id(message) in unseen]
        if kept:
            self._unacknowledged[key] = kept
        for message in messages:
            if id(message) not in unseen:
                message.acknowledge()

    async def _deliver(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send, and retry for as long as no other worker can have taken over.

        Raises what Kafka refuses the message for.
        """
        for attempt in count():
            await self._wait_for_lease()
            try:
                await send()
            except RetriableSendError as error:
                _limited_log.warning("deciding.send_retried", error=str(error))
            else:
                return
            await asyncio.sleep(pause_s(attempt, FIRST_RETRY_S, LONGEST_RETRY_S, self._rng))

    async def _wait_for_lease(self) -> None:
        """Wait for a heartbeat, which comes when a broker that was away is back."""
        while not self._lease.is_valid:
            await asyncio.sleep(LEASE_POLL_S)


@dataclass(slots=True)
class _Unsaved:
    """What is to be saved of a rollout: it belongs to a partition, and rests on messages."""

    partition: int
    n_bytes: int = 0


def _share_of_interval(key: bytes) -> float:
    """Return after which share of an interval a rollout is saved first.

    Windows of all rollouts close at the same times; their snapshots must not pile up.
    """
    return crc32(key) / 2**32


def _check_readable(message: InputMessage) -> None:
    """Raise `UnreadableMessage`, and log how many records are lost."""
    batch = message.unreadable
    if batch is None:
        return
    last = batch.end - 1
    log.error("kafka.unreadable", topic=message.topic, partition=message.partition,
              records=batch.records, offset=batch.first, last_offset=last,
              why=batch.why[:MAX_LOGGED_DETAIL])  # fmt: skip
    raise UnreadableMessage(f"offsets {batch.first} to {last}: {batch.why}")


def _check_usable(message: InputMessage) -> None:
    """Raise `UnreadableMessage`, or `InvalidMessage` where its key belongs in another partition.

    The state of its rollout would be kept in two partitions, and what was kept could not be read.
    """
    _check_readable(message)
    if message.partition != message.home:
        raise InvalidMessage(
            f"the message lies in partition {message.partition}, and its key belongs in partition "
            f"{message.home}: write it with murmur2, as `understudy rollout apply` does"
        )


def _log_place(message: InputMessage) -> LogPlace:
    written_ms = min(max(0, message.timestamp_ms), MAX_TIMESTAMP_MS)
    return LogPlace(message.partition, message.offset, written_ms)


def _place(message: InputMessage) -> dict[str, Any]:
    return {"topic": message.topic, "partition": message.partition, "offset": message.offset}


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
