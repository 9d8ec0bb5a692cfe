"""The Faust app: topics, a table and a processor that takes their messages.

    faust -A understudy.streams.deciding worker

is `understudy worker --role deciding` under Faust's own command.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import faust
from faust.types import TP

from understudy.schemas.topics import KEEP_FOREVER, Topics, TopicSpec
from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.deciding.faust_patches import OrderlyTables, OrderlyTransport
from understudy.streams.deciding.faust_security import broker_credentials
from understudy.streams.deciding.processor import DecisionProcessor, end_process
from understudy.streams.deciding.session_lease import SessionLease
from understudy.streams.kafka.client_config import (
    CLIENT_ID,
    MAX_MESSAGE_BYTES,
    client_config,
    topics,
)
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.settings import Settings, load_settings

TABLE: Final = "rollouts"
HEARTBEATS_A_SESSION: Final = 4
LINGER_S: Final = 0.0


class DecidingApp(faust.App):
    """Makes the topics before anything subscribes to them, and no folders: its table is in memory.

    Faust ignores a topic that is not there when it starts, and never looks again.
    """

    make_topics: Callable[[], object]
    give_up: Callable[[BaseException], object]
    """What to do when going on is impossible; it must not commit."""
    handled: dict[tuple[str, int], int]
    """Topic and partition to the offset after the last message brought to its end."""
    windows_topic: str
    progress: DecidingProgress
    lease: SessionLease
    processor: DecisionProcessor

    def _create_directories(self) -> None:
        """Nothing to put there."""

    def _new_transport(self) -> OrderlyTransport:
        return OrderlyTransport(self.conf.broker_consumer, self)

    async def _on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Everything is saved first, unless a successor may have taken over already."""
        self.processor.hand_over()
        await super()._on_partitions_revoked(revoked)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Nothing is delivered before its table is there, to a worker that had nothing either."""
        self.lease.renew(self.lease.now())
        self.consumer.pause_partitions(assigned)
        await super()._on_partitions_assigned(assigned, generation_id)

    async def on_first_start(self) -> None:
        """Before its consumer starts."""
        await super().on_first_start()
        await asyncio.to_thread(self.make_topics)


def app_from_environment() -> DecidingApp:
    """The app as `faust -A` wants it. Raises `SettingsError`."""
    return make_app(load_settings(None, os.environ))


def make_app(settings: Settings) -> DecidingApp:
    """The app with its table and its two agents. Raises `SettingsError`."""
    names = topics(settings.kafka)
    lease = SessionLease(settings.deciding.session_timeout_s)
    app = DecidingApp(settings.deciding.group_id, **_options(settings, names, lease))
    partitions = names.rollouts.partitions
    table: Any = app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=partitions)
    app.make_topics = partial(
        ensure_topics,
        client_config(settings.kafka),
        [*names, changelog(settings)],
        replication_factor=settings.kafka.replication_factor,
    )
    app.give_up = end_process
    app.handled = {}
    app.progress = DecidingProgress(Counter({names.windows.name: 0, names.rollouts.name: 0}))
    app.windows_topic = names.windows.name
    app.lease = lease
    app.processor = DecisionProcessor(app, names, table)
    app.processor.open()
    return app


def changelog(settings: Settings) -> TopicSpec:
    """Where the table is kept, under the name that Faust gives it.

    Made here, since Faust would take the replication factor 1 and messages up to 1 MiB.
    """
    return TopicSpec(
        name=f"{settings.deciding.group_id}-{TABLE}-changelog",
        partitions=topics(settings.kafka).rollouts.partitions,
        retention_ms=KEEP_FOREVER,
        cleanup_policy="compact",
        max_message_bytes=MAX_MESSAGE_BYTES,
    )


def _options(settings: Settings, names: Topics, lease: SessionLease) -> dict[str, Any]:
    session_s = settings.deciding.session_timeout_s
    servers = settings.kafka.bootstrap_servers.split(",")
    return {
        "broker": ";".join(f"kafka://{server.strip()}" for server in servers),
        "broker_client_id": f"{CLIENT_ID}-deciding",
        "broker_credentials": broker_credentials(settings.kafka.client),
        "broker_session_timeout": session_s,
        "broker_heartbeat_interval": session_s / HEARTBEATS_A_SESSION,
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
        "TableManager": OrderlyTables,
        "stream_wait_empty": True,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "topic_partitions": names.rollouts.partitions,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
    }
