"""The Faust app: the topics, the table and the agents that hand messages to the processor.

Faust gives group membership, co-partitioned assignment, and a table loaded from its changelog. What
is done with a message is the processor's; `faust_port` is what it sees of Faust.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, cast

import faust
from faust.types import TP

from understudy.schemas.topics import Topics
from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.faust_patches.fetch_wait import DEFAULT_WAIT_MS
from understudy.streams.deciding.faust_patches.leave_after_stop import LeaveAfterStop
from understudy.streams.deciding.faust_patches.patched import PatchedTransport
from understudy.streams.deciding.faust_patches.pause_until_recovered import PauseUntilRecovered
from understudy.streams.deciding.faust_patches.seek_before_resume import PatchedTables
from understudy.streams.deciding.faust_port import FaustMessage, FaustPort
from understudy.streams.deciding.faust_security import broker_credentials
from understudy.streams.deciding.policy_barrier import PolicyBarrier
from understudy.streams.deciding.ports import InputMessage
from understudy.streams.deciding.processor import DecisionProcessor, GiveUp
from understudy.streams.deciding.session_lease import SessionLease
from understudy.streams.kafka.client_config import (
    CLIENT_ID,
    DECIDING_TABLE,
    MAX_MESSAGE_BYTES,
    changelog,
    client_config,
    topics,
)
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import Settings

HEARTBEATS_PER_SESSION: Final = 4
"""Kafka advises three at least; with four the lease of half a session outlives a late one."""
LINGER_S: Final = 0.0
"""A decision is sent at once: there is nothing to gather."""

Process = Callable[[InputMessage], Awaitable[None]]


class TableUnderPrefix(faust.Table[bytes, bytes]):
    """A table whose changelog is named by us: Faust leaves out the prefix of the topics."""

    def _changelog_topic_name(self) -> str:
        return cast(DecidingApp, self.app).changelog_name


class DecidingApp(PauseUntilRecovered, LeaveAfterStop):
    """A Faust app that hands its partitions to a `DecisionProcessor`."""

    changelog_name: str
    fetch_wait_ms: int
    on_crashed: Callable[[], object] | None = None
    """Called in the thread in which the app has crashed."""
    make_topics: Callable[[], object]
    lease: SessionLease
    port: FaustPort
    processor: DecisionProcessor
    progress: DecidingProgress

    def _create_directories(self) -> None:
        """None: the table is in memory."""

    def _new_transport(self) -> PatchedTransport:
        return PatchedTransport(self.conf.broker_consumer, self)

    def _crash(self, reason: BaseException) -> None:
        """Say so: Faust's own event wakes nobody where the consumer's thread sets it."""
        super()._crash(reason)
        if self.on_crashed is not None:
            self.on_crashed()

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Save everything first, unless another worker may have taken over already."""
        self.processor.hand_over()
        await super()._on_partitions_revoked(revoked)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """To be assigned partitions is to be a member now."""
        self.lease.renew(self.lease.now())
        await super()._on_partitions_assigned(assigned, generation_id)

    async def on_first_start(self) -> None:
        """Make the topics: Faust ignores one that is missing when it subscribes, and never looks
        again."""
        await super().on_first_start()
        await asyncio.to_thread(self.make_topics)


def make_app(settings: Settings, give_up: GiveUp) -> DecidingApp:
    """The app with its table, processor and agents. Raises `SettingsError`."""
    names = topics(settings.kafka)
    lease = SessionLease(settings.deciding.session_timeout_s)
    app = DecidingApp(settings.deciding.group_id, **_options(settings, names, lease))
    kept_in = changelog(settings)
    app.changelog_name = kept_in.name
    app.fetch_wait_ms = int(settings.kafka.client.get("fetch.wait.max.ms", DEFAULT_WAIT_MS))
    table: Any = app.Table(
        DECIDING_TABLE, key_type=bytes, value_type=bytes, partitions=kept_in.partitions
    )
    app.make_topics = partial(
        ensure_topics,
        client_config(settings.kafka),
        [names.windows, names.rollouts, names.decisions, names.dead_letters, kept_in],
        replication_factor=settings.kafka.replication_factor,
    )
    app.lease = lease
    app.progress = DecidingProgress(Counter({names.windows.name: 0, names.rollouts.name: 0}))
    app.port = FaustPort(app, names, table)
    barrier = PolicyBarrier(app.port, lambda: app.should_stop)
    app.processor = DecisionProcessor(
        app.port, app.port, barrier, lease, app.progress, give_up,
        checkpoint_interval_s=settings.deciding.checkpoint_interval_s,
    )  # fmt: skip
    _connect(app)
    return app


def _connect(app: DecidingApp) -> None:
    """Have Faust call the processor."""
    processor, port = app.processor, app.port
    app.agent(port.rollouts, name="rollouts", concurrency=1)(_agent(processor.process_record))
    app.agent(port.windows, name="windows", concurrency=1)(_agent(processor.process_windows))

    async def clear(*_: Any, **__: Any) -> None:
        processor.clear()

    app.on_partitions_revoked.connect(clear, weak=False)
    app.on_partitions_assigned.connect(clear, weak=False)


def _agent(process: Process) -> Callable[[Any], Awaitable[None]]:
    async def take(stream: Any) -> None:
        stream.enable_acks = False  # the processor acknowledges, after its checkpoint
        async for event in stream.events():
            await process(FaustMessage(event))

    return take


def _options(settings: Settings, names: Topics, lease: SessionLease) -> dict[str, Any]:
    session_s = settings.deciding.session_timeout_s
    servers = settings.kafka.bootstrap_servers.split(",")
    return {
        "broker": ";".join(f"kafka://{server.strip()}" for server in servers),
        "broker_client_id": f"{CLIENT_ID}-deciding",
        "broker_credentials": broker_credentials(settings.kafka.client),
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / HEARTBEATS_PER_SESSION,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": settings.deciding.instance_id or None,
        "consumer_max_fetch_size": MAX_MESSAGE_BYTES,
        "processing_guarantee": "at_least_once",
        "producer_acks": -1,
        "producer_compression_type": "zstd",
        "producer_linger": LINGER_S,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "producer_request_timeout": lease.send_timeout_s,
        "store": "memory://",
        "table_standby_replicas": 0,
        "Table": TableUnderPrefix,
        "TableManager": PatchedTables,
        "stream_wait_empty": True,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": names.rollouts.partitions,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
    }
