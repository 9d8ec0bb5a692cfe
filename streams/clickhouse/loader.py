"""Puts encoded rows into ClickHouse: batched, with retries, acknowledged in order.

A started loader inserts in a thread of its own and holds what ClickHouse does not take, up to a
bound; beyond it `put` raises `SinkBusy`, and what to do then is the caller's decision. A loader
that was not started inserts in the caller's thread as batches fall due: for `understudy replay`.

Every insert may happen twice; all tables keep one row a key.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from types import TracebackType
from typing import Any, Final, Self

import structlog
from clickhouse_connect.driver.client import Client

from understudy.streams.backoff import pause_s
from understudy.streams.clickhouse.load_buffer import (
    Insertable,
    InsertBatch,
    LoadBuffer,
    LoadPolicy,
    PartitionKey,
)
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy, SinkError, sink_error

log = structlog.get_logger(__name__)

INSERT_SETTINGS: Final[dict[str, Any]] = {
    "async_insert": 0,
    "input_format_skip_unknown_fields": 0,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": 0,
    "max_threads": 1,
    "optimize_on_insert": 0,
}
"""Stored when the call returns; a column that the table lacks is an error; many days in one insert
allowed; duplicates left to the merges, which halves the work of an insert."""


@dataclass(slots=True)
class LoadCounters:
    """What a loader has done since it was made."""

    rows: int = 0
    nbytes: int = 0
    batches: int = 0
    failures: int = 0
    """Inserts or connections that failed."""
    retries: int = 0
    refused: int = 0
    """Calls of `put` that found the buffer full."""


class Loader:
    """Inserts blocks in batches; safe to use from several threads.

    `open_client` is called when the first insert is due and again until it succeeds, so a worker
    can start while ClickHouse is away; it may migrate. The loader closes what it opened.
    """

    def __init__(
        self,
        open_client: Callable[[], Client],
        policy: LoadPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._open_client = open_client
        self._policy = policy or LoadPolicy()
        self._clock = clock
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self._rng = rng or random.Random()
        self._buffer = LoadBuffer(self._policy)
        self._changed = threading.Condition()
        self._counters = LoadCounters()
        self._client: Client | None = None
        self._thread: threading.Thread | None = None
        self._flushing = 0
        self._failing = False
        self._broken: SinkError | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(self._policy.insert_timeout_s if exc is None else 0.0)

    def start(self) -> Self:
        """Insert in a thread from now on."""
        self._thread = threading.Thread(target=self._run, name="understudy-loader", daemon=True)
        self._thread.start()
        return self

    @property
    def healthy(self) -> bool:
        """Whether the last insert succeeded; true before the first."""
        return self._broken is None and not self._failing

    @property
    def broken(self) -> str | None:
        """Why it has given up, if it has; every call of `put` then raises."""
        return None if self._broken is None else str(self._broken)

    @property
    def counters(self) -> LoadCounters:
        """A copy of the counters."""
        with self._changed:
            return replace(self._counters)

    @property
    def buffered_bytes(self) -> int:
        """Bytes of rows that are not stored yet."""
        return self._buffer.nbytes

    def put(self, blocks: Sequence[Insertable], positions: Mapping[PartitionKey, int]) -> None:
        """Take the blocks over, all or none.

        `positions` gives, per partition, the position up to which everything has been put with
        this call. Empty blocks or none are welcome: positions move without rows, too.

        Raises `SinkBusy` when the buffer is full: nothing was taken. The caller puts the same
        again later, or goes on without it and must then not rely on `flushed` until it has
        called `clear` and read the partition again. Raises `SinkBroken` when the loader is.
        """
        with self._changed:
            self._raise_if_broken()
            due_before = self._buffer.due_at()
            taken = self._buffer.offer(blocks, positions, self._clock())
            self._counters.refused += not taken
            if self._buffer.due_at() != due_before:  # else the thread wakes when it has to
                self._changed.notify_all()
        if not taken:
            raise SinkBusy("the buffer for ClickHouse is full", self._policy.longest_pause_s)
        if self._thread is None:
            self._insert_due()

    def flushed(self, partition: PartitionKey) -> int:
        """The position up to which everything put is in ClickHouse; -1 when nothing is known."""
        with self._changed:
            return self._buffer.position(partition)

    def clear(self, partition: PartitionKey) -> None:
        """The partition is read again or has gone: `flushed` starts at -1.

        Rows that wait are still inserted, since they are right whoever inserts them.
        """
        with self._changed:
            self._buffer.clear(partition)

    def flush(self, deadline_s: float) -> bool:
        """Insert everything now; whether it was done within `deadline_s` seconds.

        Raises `SinkBroken` when the loader is.
        """
        if self._thread is None:
            self._insert_due(everything=True)
            return self._buffer.empty
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(
                lambda: self._buffer.empty or self._broken is not None, deadline_s
            )
            self._flushing -= 1
            self._raise_if_broken()
            return done

    def close(self, deadline_s: float) -> bool:
        """Flush and stop, together within `deadline_s` seconds; whether everything was stored."""
        ends_at = time.monotonic() + deadline_s
        try:
            return self.flush(deadline_s)
        finally:
            self._stop(max(0.0, ends_at - time.monotonic()))

    def _stop(self, deadline_s: float) -> None:
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is None:
            self._close_client()
        else:
            self._thread.join(deadline_s)

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise SinkBroken(str(self._broken)) from self._broken

    # The thread

    def _run(self) -> None:
        try:
            while (batch := self._wait_for_batch()) is not None:
                self._store(batch, retry_timeout_s=None)
        except SinkError as error:
            self._break(error)
        except Exception as error:
            self._break(SinkBroken(f"the loader failed: {error!r}"), error)
        finally:
            self._close_client()

    def _wait_for_batch(self) -> InsertBatch | None:
        """The next batch that is due; None when it is time to stop."""
        with self._changed:
            while not self._stopping.is_set():
                now_s = self._clock()
                batch = self._buffer.take_due(now_s, everything=self._flushing > 0)
                if batch is not None:
                    return batch
                due_at = self._buffer.due_at()
                self._changed.wait(None if due_at is None else max(0.0, due_at - now_s))
        return None

    def _break(self, error: SinkError, cause: Exception | None = None) -> None:
        if self._stopping.is_set() and isinstance(error, SinkBusy):
            return
        log.error("clickhouse.loading_stopped", error=str(error), exc_info=cause)
        with self._changed:
            self._broken = error
            self._changed.notify_all()

    # Inserting, in either thread

    def _insert_due(self, *, everything: bool = False) -> None:
        """Without a thread: insert what is due. Raises `SinkBusy` after the retry timeout."""
        while (batch := self._buffer.take_due(self._clock(), everything=everything)) is not None:
            try:
                self._store(batch, retry_timeout_s=self._policy.retry_timeout_s)
            except SinkError as error:
                self._broken = error
                raise

    def _store(self, batch: InsertBatch, retry_timeout_s: float | None) -> None:
        """Insert a batch, retrying for `retry_timeout_s` seconds, or until the loader stops."""
        started_s = self._clock()
        payload = batch.payload
        for attempt in count():
            try:
                self._insert(batch, payload)
            except Exception as error:
                self._failed(batch, attempt, sink_error(error), error)
            else:
                self._succeeded(batch, len(payload))
                return
            if retry_timeout_s is not None and self._clock() - started_s > retry_timeout_s:
                raise SinkBusy(f"ClickHouse has not taken a batch in {retry_timeout_s:g} s")
            policy = self._policy
            self._sleep(pause_s(attempt, policy.first_pause_s, policy.longest_pause_s, self._rng))
            if self._stopping.is_set():
                raise SinkBusy("stopped before ClickHouse took everything")
            self._counters.retries += 1

    def _insert(self, batch: InsertBatch, payload: bytes) -> None:
        if self._client is None:
            self._client = self._open_client()
        self._client.raw_insert(
            batch.table,
            # The payload names its columns; naming hundreds in SQL as well takes a third longer.
            insert_block=payload,
            fmt="Native",
            settings={**INSERT_SETTINGS, "max_execution_time": self._policy.insert_timeout_s},
        )

    def _succeeded(self, batch: InsertBatch, nbytes: int) -> None:
        if self._failing:
            log.info("clickhouse.insert_recovered", table=batch.table)
        with self._changed:
            self._failing = False
            self._buffer.stored(batch)
            self._counters.rows += batch.rows
            self._counters.nbytes += nbytes
            self._counters.batches += 1
            self._changed.notify_all()

    def _failed(self, batch: InsertBatch, attempt: int, cause: SinkError, error: Exception) -> None:
        """Count a failure. Raises `SinkBroken` when trying again is no use."""
        with self._changed:
            self._failing = True
            self._counters.failures += 1
        if not isinstance(cause, SinkBusy):
            raise cause from (None if cause is error else error)
        log.warning(
            "clickhouse.insert_failed", table=batch.table, attempt=attempt + 1, error=str(cause)
        )

    def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
