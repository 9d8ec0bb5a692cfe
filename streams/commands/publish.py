"""`understudy publish`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Final

import click

from understudy.schemas.sources import SOURCE_RECORDS
from understudy.schemas.windows import SOURCES, Source
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import files_argument
from understudy.streams.commands.recorded_answers import (
    check_is_from,
    read_answers,
    recorded_answers_options,
    with_sides,
)
from understudy.streams.commands.topics import create_missing_topics
from understudy.streams.errors import FAILED, UNREACHABLE, CommandError
from understudy.streams.kafka.client_config import producer_config, topic_of, topics
from understudy.streams.kafka.producer import BufferedProducer
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.answer_files import AnswerFiles
from understudy.streams.replay.answer_recording import AnswerRecording, AnyRecording
from understudy.streams.replay.invalid_lines import invalid_text
from understudy.streams.replay.order_report import order_text
from understudy.streams.replay.publishing import Publisher, TooLate, newest_times_ms
from understudy.streams.replay.recordings import RecordingError, total_bytes
from understudy.streams.replay.time_order import Recording
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.progress import file_progress

DELIVERY_TIMEOUT_S: Final = 60.0
"""Outlasts a broker's restart."""


@click.command("publish")
@files_argument
@click.option(
    "--to",
    "source",
    type=click.Choice(SOURCES),
    default="events",
    show_default=True,
    help="The topic: events, feedback about answers, or evaluations of pairs.",
)
@click.option(
    "--include-late",
    is_flag=True,
    help="Write records too that a worker will count as late.",
)
@click.option(
    "--as-recorded",
    is_flag=True,
    help="Keep the order of each file, instead of that of the records' times.",
)
@recorded_answers_options(None)
@click.option("--rollout-id", metavar="ID", help="With --from: the rollout of the events.")
@with_settings
def command(
    settings: Settings,
    files: tuple[Path, ...],
    source: Source,
    include_late: bool,
    as_recorded: bool,
    answers: AnswerFiles,
    rollout_id: str | None,
) -> None:
    """Write recorded events, feedback or evaluations to Kafka, with the keys that gateways use.

    FILE is a recording, as for replay, and its records are written in the order of their times.
    The topic is created when it is missing. Records that will be dead letters are written, too, and
    stderr names the first of each kind: file, line and field. When all of them are, the exit code
    is 1.

    With --from, FILE... are STABLE and CANDIDATE: recorded answers as `understudy compare` reads
    them, written as events of the rollout that --rollout-id names.

    A recording that is older than what the topic holds is refused: a worker would count it as late.

    \b
    Examples:
      understudy publish events.ndjson.gz
      understudy publish --to feedback thumbs.ndjson
      understudy publish --to evaluations judged.ndjson
      gateway-log-to-events | understudy publish -
      understudy publish --from auto --rollout-id search-v2 stable.jsonl candidate.jsonl
    """
    check_is_from(answers)
    quiet_logs()
    policy = PairingPolicy.from_settings(settings)
    given = _answers(answers, files, source, rollout_id, policy)
    total = total_bytes(files)
    topic = topic_of(settings.kafka, source)
    spec = next(spec for spec in topics(settings.kafka) if spec.name == topic)
    created = create_missing_topics(settings, [spec]).created
    newest_ms = {} if topic in created else newest_times_ms(settings, source)
    producer = _producer(settings)
    publisher = Publisher(source, policy, newest_ms, partial(producer.send, topic))
    started = time.monotonic()
    damage: RecordingError | None = None
    with file_progress(total, "publishing") as progress:
        recording = given or Recording(
            files,
            join_timeout_ms=policy.join_timeout_ms,
            progress=progress,
            as_recorded=as_recorded,
        )
        try:
            publisher.publish(iter(recording), include_late=include_late)
        except TooLate as error:
            raise CommandError(f"nothing was written: {error}") from None
        except RecordingError as error:
            damage = error
    _confirm(producer, source)
    if topic in created:
        say(f"created {topic}", err=True)
    took_s = time.monotonic() - started
    noun = SOURCE_RECORDS[source].noun
    written = f"{producer.delivered[topic]:,} {noun} written to {topic}"
    say(f"{written} in {took_s:.1f} s")
    _explain(publisher, recording, policy, source)
    for why, count in producer.refused.items():
        say(f"{count:,} {noun} refused by the broker: {why}", err=True)
    if damage is not None:
        raise CommandError(f"{damage}; {written} before that")
    if 0 < publisher.publication.sent == publisher.publication.invalid.total:
        raise CommandError(f"none of the {noun} can be used; all will be dead letters")
    if producer.refused:
        raise click.exceptions.Exit(FAILED)


def _answers(
    answers: AnswerFiles,
    files: tuple[Path, ...],
    source: Source,
    rollout_id: str | None,
    policy: PairingPolicy,
) -> AnswerRecording | None:
    """The recorded answers of `--from` as events; None without it."""
    if answers.format is None:
        return None
    if rollout_id is None:
        raise click.UsageError("--from needs --rollout-id: recorded answers name no rollout")
    if source != "events":
        raise click.UsageError("--from reads answers, which are no " + SOURCE_RECORDS[source].noun)
    return read_answers(with_sides(answers, files), rollout_id, policy)[0]


def _producer(settings: Settings) -> BufferedProducer:
    timeout_ms = int(DELIVERY_TIMEOUT_S * 1e3)
    config = {**producer_config(settings.kafka), "message.timeout.ms": timeout_ms}
    return BufferedProducer(config, raise_refusals=False)


def _confirm(producer: BufferedProducer, source: Source) -> None:
    """Wait for the broker. Raises `CommandError` where it does not confirm everything."""
    noun = SOURCE_RECORDS[source].noun
    unconfirmed = producer.flush(DELIVERY_TIMEOUT_S)
    if unconfirmed:
        raise CommandError(
            f"the broker did not confirm {unconfirmed:,} {noun} within "
            f"{DELIVERY_TIMEOUT_S:.0f} s; they may be missing, so publish them again",
            UNREACHABLE,
        )


def _explain(
    publisher: Publisher,
    recording: AnyRecording,
    policy: PairingPolicy,
    source: Source,
) -> None:
    """Say on stderr what a worker will not be able to use, and why."""
    for line in invalid_text(publisher.publication.invalid, recording.place):
        say(line, err=True)
    for line in order_text(recording.disorder, policy.join_timeout_s):
        say(line, err=True)
    if publisher.publication.late:
        noun = SOURCE_RECORDS[source].noun
        say(
            f"{publisher.publication.late:,} {noun} are older than what their partition "
            "holds; a worker counts them as late",
            err=True,
        )
