"""What Faust 0.15.3 gets wrong when partitions change hands, put right in subclasses of its own.

After a rebalance Faust first lets its fetcher have the partitions, then asks for their committed
offsets, then resumes flow, and resuming empties every queue. The fetcher is running already where
a table had to be recovered or the worker was a member before. So what it delivers meanwhile is
thrown away: not handled, not acknowledged, never read again, since the consumer's position lies
behind it. Nothing more comes, or, when something does, commits stand still before the gap; without
any commit before, they go past it and the messages are lost for good.

`OrderlyRecovery` seeks first, then empties queues, then lets the fetcher have the partitions.
`OrderlyConsumer` closes the ways by which messages were taken from the broker's buffer and
dropped. `docs/reliability.md` has what was measured.

`OrderlyThread` lets the app know of heartbeats, which Faust keeps to itself.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, cast

import structlog
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import (
    AIOKafkaConsumerThread,
    Consumer,
    Transport,
    ensure_aiokafka_TP,
)
from faust.types import TP

from understudy.streams.deciding.session_lease import SessionLease

log = structlog.get_logger(__name__)

FETCH_WAIT_MS: Final = 200


class OrderlyRecovery(Recovery):
    """Hands over partitions when everything stands where it belongs."""

    _rebalances = 0
    """How many had begun when the assignment came that is being recovered."""
    _assigned_s = 0.0

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        """Take note of the assignment to recover."""
        self._rebalances = self.app.rebalancing_count
        self._assigned_s = time.monotonic()
        await super().on_rebalance(*args, **kwargs)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """The same as Faust's, in another order."""
        app: Any = self.app
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        for table in self.tables.values():
            await table.on_recovery_completed(
                self.actives_for_table[table], self.standbys_for_table[table]
            )
        assignment = app.consumer.assignment()
        if assignment and not self._is_stale(generation_id):
            await self._wait(app.consumer.perform_seek(), timeout=app.conf.broker_request_timeout)
        if self._is_stale(generation_id):
            return
        self.completed.set()
        app.flow_control.resume()
        streams = {tp for tp in assignment if not self._is_changelog_tp(tp)}
        app.consumer.resume_partitions(streams)
        app.consumer.resume_flow()
        await app._fetcher.maybe_start()
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()
        log.info("deciding.recovered", partitions=len(streams), seconds=self._took_s())

    def _took_s(self) -> float:
        return round(time.monotonic() - self._assigned_s, 3)

    def _is_stale(self, generation_id: int) -> bool:
        """Whether the partitions have been revoked since; Faust sees only who has new ones."""
        return (
            self.app.consumer_generation_id != generation_id
            or self.app.rebalancing_count != self._rebalances
        )


class OrderlyTables(TableManager):
    """Faust's, with an orderly recovery."""

    @property
    def recovery(self) -> Recovery:
        """Recovery service used by this table manager."""
        if self._recovery is None:
            self._recovery = OrderlyRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class OrderlyThread(AIOKafkaConsumerThread):
    """Asks for messages soon, and renews the app's lease with each heartbeat that is accepted."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust lets a request wait for 1.5 s.

        A broker answers as soon as there is something, but the embedded one answers a request that
        found nothing only when its time is over.
        """
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        """Listen in as soon as there is a coordinator."""
        await super().on_start()
        coordinator: Any = self._ensure_consumer()._coordinator
        lease: SessionLease = cast(Any, self.app).lease
        beat: Callable[[], Awaitable[bool]] = coordinator._do_heartbeat

        async def leased() -> bool:
            asked_s = lease.now()
            is_member = await beat()
            if is_member:
                lease.renew(asked_s)
            return is_member

        coordinator._do_heartbeat = leased


class OrderlyConsumer(Consumer):
    """Takes from aiokafka's buffer only what is delivered."""

    def _new_consumer_thread(self) -> OrderlyThread:
        return OrderlyThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        """With a copy: aiokafka looks at the set again while it waits.

        It would find partitions that were resumed meanwhile, and take an empty set for all of them.
        """
        wanted = None if active_partitions is None else set(active_partitions)
        return await super()._getmany(wanted, timeout)

    async def perform_seek(self) -> None:
        """To what was committed, or else to the beginning; Faust stays where it is then."""
        await super().perform_seek()
        streams = {tp for tp in self.assignment() if not self._is_changelog_tp(tp)}
        begin = [ensure_aiokafka_TP(tp) for tp in streams if not self._committed_offset[tp]]
        if begin:
            await self._thread.seek_to_beginning(*begin)

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Also forget that their queue was full.

        Otherwise they are active again as soon as it is empty, which it is during a recovery.
        """
        paused = set(tps)
        super().pause_partitions(paused)
        self._buffered_partitions.difference_update(paused)


class OrderlyTransport(Transport):
    """aiokafka's, with an orderly consumer."""

    Consumer = OrderlyConsumer
