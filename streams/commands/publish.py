"""`understudy publish` and `understudy topics`: recorded events and feedback to Kafka."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from rich.console import Console

from understudy.schemas.events import event_key, peek
from understudy.schemas.windows import Source
from understudy.streams.errors import FAILED, UNREACHABLE, CommandError
from understudy.streams.kafka.client_config import client_config, producer_config, topic_of, topics
from understudy.streams.kafka.topic_admin import TopicsReport, ensure_topics
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.replay.recordings import RecordingError, read_recordings, total_bytes
from understudy.streams.settings import Settings
from understudy.streams.terminal.progress import file_progress

DELIVERY_TIMEOUT_S: Final = 60.0


class _Identity(msgspec.Struct, gc=False):
    rollout_id: str
    pair_id: str


_identity = msgspec.json.Decoder(_Identity)


def key_of(line: bytes) -> bytes | None:
    """The key of a recorded event or opinion; None where it names no rollout and pair."""
    try:
        identity = _identity.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        rollout_id = peek(line).get("rollout_id")
        return f"{rollout_id}/".encode() if isinstance(rollout_id, str) else None
    return event_key(identity.rollout_id, identity.pair_id).encode()


class RecordWriter:
    """Writes records as they are; what the broker refuses is counted, not lost from sight."""

    def __init__(self, config: dict[str, Any], topic: str) -> None:
        self._producer = Producer(config, logger=KAFKA_LOGGER)
        self._topic = topic
        self.delivered = 0
        self.refused: dict[str, int] = {}

    def write(self, line: bytes) -> None:
        """Queue one record; waits while the queue is full."""
        while True:
            try:
                self._producer.produce(self._topic, line, key_of(line), on_delivery=self._told)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._refuse(error.args[0])
                return
            else:
                self._producer.poll(0)
                return

    def _told(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._refuse(error)

    def _refuse(self, error: KafkaError) -> None:
        self.refused[error.str()] = self.refused.get(error.str(), 0) + 1

    def finish(self) -> None:
        """Wait until all has been delivered. Raises `CommandError` when the broker is away."""
        left = self._producer.flush(DELIVERY_TIMEOUT_S)
        if left:
            raise CommandError(
                f"{left:,} records could not be delivered in {DELIVERY_TIMEOUT_S:.0f} s; "
                "is the broker there?",
                UNREACHABLE,
            )


def publish_files(settings: Settings, files: Sequence[Path], source: Source = "events") -> None:
    """Write recordings to the topic of a source, and print what came of it."""
    configure_logs(logging.WARNING)
    report = create_missing_topics(settings)
    topic = topic_of(settings.kafka, source)
    what = "events" if source == "events" else "feedback records"
    config = {
        **producer_config(settings.kafka),
        "message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1e3),
    }
    writer = RecordWriter(config, topic)
    started = time.monotonic()
    for line in _lines(files):
        writer.write(line)
    writer.finish()
    took_s = time.monotonic() - started
    if topic in report.created:
        click.echo(f"created {topic}", err=True)
    click.echo(f"{writer.delivered:,} {what} to {topic} in {took_s:.1f} s")
    for why, count in writer.refused.items():
        click.echo(f"{count:,} {what} refused: {why}", err=True)
    if writer.refused:
        raise SystemExit(FAILED)


def _lines(files: Sequence[Path]) -> Iterator[bytes]:
    try:
        with file_progress(total_bytes(files), "publishing") as progress:
            yield from read_recordings(files, progress)
    except RecordingError as error:
        raise CommandError(str(error)) from None


def create_missing_topics(settings: Settings) -> TopicsReport:
    """Create what is missing. Raises `CommandError` when there is no broker."""
    try:
        return ensure_topics(
            client_config(settings.kafka),
            topics(settings.kafka),
            replication_factor=settings.kafka.replication_factor,
        )
    except KafkaException as error:
        where = settings.kafka.bootstrap_servers
        raise CommandError(f"Kafka at {where}: {error.args[0]}", UNREACHABLE) from None


def create_topics(settings: Settings) -> None:
    """`understudy topics`: create, and say what differs from what is wanted."""
    configure_logs(logging.ERROR)
    report = create_missing_topics(settings)
    console = Console()
    for name in report.created:
        console.print(f"created   {name}", highlight=False)
    for name in report.existing:
        console.print(f"existing  {name}", highlight=False)
    for finding in report.findings:
        console.print(f"differs   {finding}", style="yellow", highlight=False)
