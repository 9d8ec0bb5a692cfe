"""The Faust app: topics and a table around the docket.

    faust -A understudy.streams.deciding worker

is `understudy worker --role deciding` under Faust's own command. Faust takes an event for done
whatever its handler raises, so nothing is left to it: what the message is to blame for becomes a
dead letter, and what the surroundings are to blame for ends the process before anything is
committed. A new process reads the message again.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import faust
import structlog
from faust.types import TP

from understudy.schemas.topics import KEEP_FOREVER, Topics, TopicSpec
from understudy.streams.deciding.credentials import broker_credentials
from understudy.streams.deciding.docket import Docket, Refused, Step
from understudy.streams.deciding.faust_repairs import OrderlyTables, OrderlyTransport
from understudy.streams.deciding.progress import Progress
from understudy.streams.errors import FAILED
from understudy.streams.kafka import CLIENT_ID, MAX_MESSAGE_BYTES, client_config, topics
from understudy.streams.pairing.publishing import MAX_LETTER_BYTES
from understudy.streams.settings import Settings, load_settings
from understudy.streams.topics import ensure_topics

log = structlog.get_logger(__name__)

TABLE: Final = "rollouts"
HEARTBEATS_A_SESSION: Final = 4
LINGER_S: Final = 0.0
INVALID_WINDOWS: Final = "invalid_windows"
INVALID_ROLLOUT: Final = "invalid_rollout"
DECIDING_FAILED: Final = "deciding_failed"
"""Reasons of dead letters, beside those of events."""

Stream = Any
Judge = Callable[[Any], Step]


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
    progress: Progress

    def _create_directories(self) -> None:
        """Nothing to put there."""

    def _new_transport(self) -> OrderlyTransport:
        return OrderlyTransport(self.conf.broker_consumer, self)

    async def _on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Nothing is delivered before its table is there, to a worker that had nothing either."""
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
    app = DecidingApp(settings.deciding.group_id, **_options(settings, names))
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
    app.progress = Progress(Counter({names.windows.name: 0, names.rollouts.name: 0}))
    app.windows_topic = names.windows.name
    Desk(app, names, table).open()
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


def _options(settings: Settings, names: Topics) -> dict[str, Any]:
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


class Desk:
    """Takes messages one at a time, whichever topic they come from."""

    def __init__(self, app: DecidingApp, names: Topics, table: Any) -> None:
        self._app = app
        self._table = table
        self._docket = Docket(table)
        self._lock: asyncio.Lock | None = None
        self._windows = self._topic(names.windows.name)
        self._rollouts = self._topic(names.rollouts.name)
        self._decisions = self._topic(names.decisions.name)
        self._dead_letters = self._topic(names.dead_letters.name)

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

    async def _forget(self, *_: Any, **__: Any) -> None:
        """Another worker may have written the table since."""
        self._docket.forget()

    async def _take_windows(self, stream: Stream) -> None:
        async for event in stream.events():
            await self._take(event, self._judged, INVALID_WINDOWS)

    async def _take_rollouts(self, stream: Stream) -> None:
        async for event in stream.events():
            await self._take(event, self._recorded, INVALID_ROLLOUT)

    async def _take(self, event: Any, judge: Judge, reason: str) -> None:
        """One message to its end, even when a rebalance cancels the agent meanwhile."""
        await asyncio.shield(self._app.loop.create_task(self._done(event, judge, reason)))

    async def _done(self, event: Any, judge: Judge, reason: str) -> None:
        self._lock = self._lock or asyncio.Lock()
        try:
            async with self._lock:
                await self._kept(event, await self._step(event, judge, reason))
                message = event.message
                self._app.handled[message.topic, message.partition] = message.offset + 1
                self._app.progress.messages[message.topic] += 1
        except BaseException as error:
            log.error("deciding.broken", error=repr(error), exc_info=error)
            self._app.give_up(error)

    async def _step(self, event: Any, judge: Judge, reason: str) -> Step:
        """What the message brings; nothing but a dead letter where it is to blame."""
        try:
            return judge(event)
        except Refused as error:
            detail = str(error)
        except MemoryError:
            raise
        except Exception as error:  # the docket is pure, so the message is to blame
            log.error("deciding.failed", exc_info=True, **_place(event))
            reason, detail = DECIDING_FAILED, repr(error)
        self._app.progress.refused[reason] += 1
        log.warning("deciding.refused", reason=reason, detail=detail[:200], **_place(event))
        await self._bury(event, reason, detail)
        return Step(event.key or b"")

    async def _kept(self, event: Any, step: Step) -> None:
        """Tell first; then keep, acknowledged by the changelog before the event is done."""
        for value in step.told:
            await _sent(self._decisions.send(key=step.key, value=value))
            self._app.progress.decisions += 1
        if not step.changes:
            return
        partition = self._table.partition_for_key(step.key)
        serializer = "raw"
        await self._table.send_changelog(partition, step.key, step.entry, serializer, serializer)
        if step.entry is None:
            self._table.data.pop(step.key, None)
        else:
            self._table.data[step.key] = step.entry

    def _judged(self, event: Any) -> Step:
        step = self._docket.windows(event.key, event.value)
        name = step.key.decode()
        self._app.progress.ignored += not step.changes
        if self._docket.ignored[name] == 1 and not step.changes:
            log.warning("deciding.no_policy", rollout_id=name)
        if step.told:
            log.info("deciding.decided", rollout_id=name)
        return step

    def _recorded(self, event: Any) -> Step:
        message = event.message
        timestamp_ms = round(1000 * message.timestamp)
        step = self._docket.rollout(event.key, event.value, message.offset, timestamp_ms)
        self._app.progress.refused_commands += len(self._docket.refused_commands)
        for refused in self._docket.refused_commands:
            log.warning("deciding.command_refused", rollout_id=_text(step.key), command=refused)
        if step.changes:
            self._docket.ignored.pop(_text(step.key), None)
            what = "deciding.applied" if step.entry is not None else "deciding.deleted"
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
        await _sent(self._dead_letters.send(key=event.key, value=value, headers=headers))


async def _sent(sending: Awaitable[Awaitable[Any]]) -> None:
    """Wait until the broker has it."""
    await (await sending)


def end_process(error: BaseException) -> None:
    """At once: an orderly stop would commit the message that could not be handled."""
    sys.stderr.flush()
    os._exit(FAILED)


def _place(event: Any) -> dict[str, Any]:
    message = event.message
    return {"topic": message.topic, "partition": message.partition, "offset": message.offset}


def _text(key: bytes) -> str:
    return key.decode("utf-8", "replace")
