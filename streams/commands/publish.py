"""`understudy publish`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click
import msgspec

from understudy.schemas.events import event_key, peek
from understudy.schemas.windows import SOURCES, Source
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import files_argument
from understudy.streams.commands.topics import create_missing_topics
from understudy.streams.errors import FAILED, UNREACHABLE, CommandError
from understudy.streams.kafka.client_config import producer_config, topic_of
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.replay.recordings import read_recordings, total_bytes
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.progress import file_progress

DELIVERY_TIMEOUT_S: Final = 60.0
"""Outlasts a broker's restart."""


class _Identity(msgspec.Struct, gc=False):
    rollout_id: str
    pair_id: str


_identity = msgspec.json.Decoder(_Identity)


def key_of(line: bytes) -> bytes | None:
    """The key of a recorded event or feedback record; None where it names no rollout."""
    try:
        identity = _identity.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        rollout_id = peek(line).get("rollout_id")
        return f"{rollout_id}/".encode() if isinstance(rollout_id, str) else None
    return event_key(identity.rollout_id, identity.pair_id).encode()


@click.command("publish")
@files_argument
@click.option(
    "--to",
    "source",
    type=click.Choice(SOURCES),
    default="events",
    show_default=True,
    help="The topic: events, or feedback about answers.",
)
@with_settings
def command(settings: Settings, files: tuple[Path, ...], source: Source) -> None:
    """Write recorded events or feedback to Kafka, with the keys that gateways use.

    FILE is a recording, as for replay. Topics that are missing are created.

    \b
    Examples:
      understudy publish events.ndjson.gz
      understudy publish --to feedback thumbs.ndjson
    """
    quiet_logs()
    created = create_missing_topics(settings).created
    topic = topic_of(settings.kafka, source)
    name = "events" if source == "events" else "feedback records"
    timeout_ms = int(DELIVERY_TIMEOUT_S * 1e3)
    config = {**producer_config(settings.kafka), "message.timeout.ms": timeout_ms}
    producer = BufferedProducer(config, raise_refusals=False)
    started = time.monotonic()
    with file_progress(total_bytes(files), "publishing") as progress:
        for line in read_recordings(files, progress):
            producer.send(topic, line, key_of(line))
    unconfirmed = producer.flush(DELIVERY_TIMEOUT_S)
    if unconfirmed:
        raise CommandError(
            f"the broker did not confirm {unconfirmed:,} {name} within "
            f"{DELIVERY_TIMEOUT_S:.0f} s; they may be missing, so publish them again",
            UNREACHABLE,
        )
    took_s = time.monotonic() - started
    if topic in created:
        say(f"created {topic}", err=True)
    say(f"{producer.delivered[topic]:,} {name} written to {topic} in {took_s:.1f} s")
    for why, count in producer.refused.items():
        say(f"{count:,} {name} refused by the broker: {why}", err=True)
    if producer.refused:
        raise click.exceptions.Exit(FAILED)
