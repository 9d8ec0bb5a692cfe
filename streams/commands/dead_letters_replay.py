"""`understudy dead-letters replay`."""

from __future__ import annotations

import logging

import click

from understudy.schemas.sources import SOURCE_RECORDS
from understudy.schemas.windows import SOURCES
from understudy.streams.commands.dead_letters import selection_options
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import dry_run_option
from understudy.streams.commands.parameter_types import PositionType
from understudy.streams.dead_letters.dead_letter_record import RecordPosition
from understudy.streams.dead_letters.forecast import ReplayEffect
from understudy.streams.dead_letters.replaying import (
    DELIVERY_TIMEOUT_S,
    DeadLetterReplay,
    replay_dead_letters,
)
from understudy.streams.dead_letters.selection import Selection
from understudy.streams.errors import FAILED, UNREACHABLE, CommandError
from understudy.streams.kafka.client_config import topic_of
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say
from understudy.streams.terminal.plain_text import one_line


@click.command("replay")
@selection_options
@click.option(
    "--event",
    metavar="TOPIC/PARTITION/OFFSET",
    type=PositionType(),
    help="The dead letter about this event.",
)
@click.option("--all", "everything", is_flag=True, help="All, without a filter.")
@dry_run_option
@click.option(
    "--include-late", is_flag=True, help="Write those, too, that would only be counted as late."
)
@with_settings
def command(
    settings: Settings,
    reasons: tuple[str, ...],
    rollout_id: str,
    since_ms: int | None,
    event: RecordPosition | None,
    everything: bool,
    dry_run: bool,
    include_late: bool,
) -> None:
    """Write dead letters to the topics they came from again, with the same keys.

    Name them by --reason, --rollout, --since or --event, or take --all. Without --reason, those
    with the reasons clock_ahead, analyzer_failed, too_large and unsupported_version are meant;
    records with other reasons are wrong in themselves. Records that this release would refuse
    again are left out, and so are records so old that they would only be counted as late.

    \b
    Examples:
      understudy dead-letters replay --all --dry-run
      understudy dead-letters replay --reason analyzer_failed --since 30m
    """
    if bool(reasons or rollout_id or since_ms is not None or event) == everything:
        raise click.UsageError(
            "say which dead letters to replay: by --reason, --rollout, --since or --event, "
            "or else --all"
        )
    quiet_logs(logging.ERROR)
    selection = Selection(frozenset(reasons), rollout_id, since_ms, event)
    replay = replay_dead_letters(settings, selection, dry_run=dry_run, include_late=include_late)
    if dry_run:
        _print_examples(replay)
    _print_topics(replay, settings, dry_run=dry_run)
    _print_left_out(replay, include_late=include_late)
    if replay.unconfirmed:
        raise CommandError(
            f"the broker did not confirm {replay.unconfirmed:,} records within "
            f"{DELIVERY_TIMEOUT_S:.0f} s; they may be missing, so replay them again",
            UNREACHABLE,
        )
    if replay.refused_by_broker:
        raise click.exceptions.Exit(FAILED)


def _print_examples(replay: DeadLetterReplay) -> None:
    for record, forecast in replay.examples:
        why = f": {one_line(forecast.why, 200)}" if forecast.why else ""
        say(f"{forecast.effect:8} {record.source} {one_line(record.reason, 40)}{why}")


def _print_topics(replay: DeadLetterReplay, settings: Settings, *, dry_run: bool) -> None:
    """How many records went where; of feedback only when there was some."""
    counts, verb = (replay.selected, "would be") if dry_run else (replay.delivered, "were")
    for source in SOURCES:
        topic = topic_of(settings.kafka, source)
        name = SOURCE_RECORDS[source].noun
        if source == "events" or counts[topic]:
            say(f"{counts[topic]:,} {name} {verb} written to {topic}")


def _print_left_out(replay: DeadLetterReplay, *, include_late: bool) -> None:
    late, refused = replay.effects[ReplayEffect.LATE], replay.effects[ReplayEffect.REFUSED]
    if late and include_late:
        say(f"{late:,} of them count as late and are not measured", err=True)
    elif late:
        say(f"{late:,} left out: so old that they would only be counted as late "
                   "(--include-late writes them as well)", err=True)  # fmt: skip
    if refused:
        say(f"{refused:,} left out: this release would refuse them again", err=True)
    for why, count in replay.refused_by_broker.items():
        say(f"{count:,} refused by the broker: {why}", err=True)
