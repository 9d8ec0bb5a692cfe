"""`understudy rebuild`."""

from __future__ import annotations

import logging

import click
from confluent_kafka import KafkaException

from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.windows import SOURCES, Source
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.errors import CommandError
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.rebuild import (
    GroupInUse,
    PartitionRebuild,
    plan_rebuild,
    start_rebuild,
)
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say


@click.command("rebuild")
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="events",
    show_default=True,
    help="Whose windows are made again.",
)
@click.option(
    "--incomplete",
    is_flag=True,
    help="Also overwrite windows that have lost records to retention with what is left of them.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_settings
def command(settings: Settings, source: Source, incomplete: bool, yes: bool) -> None:
    """Have the workers read the log again from its beginning and overwrite the windows.

    Stop the workers first; those that start next do it. Windows that have lost records to retention
    are left as they are, since what is left would replace what was whole. Use this after a loss of
    ClickHouse's data; restarts and faults do not need it. Decisions that were made stay.

    \b
    Examples:
      understudy rebuild
      understudy rebuild --source feedback --yes
      understudy rebuild --incomplete
    """
    quiet_logs(logging.ERROR)
    plan = plan_rebuild(settings.kafka, source, PairingPolicy.from_settings(settings))
    if not plan:
        say(f"the log of {source} is empty: there is nothing to rebuild")
        return
    for one in plan:
        say(_sentence(one, incomplete=incomplete))
    if not yes and not click.confirm("Overwrite these windows?", err=True):
        raise CommandError("nothing was changed")
    try:
        start_rebuild(settings.kafka, source, plan, incomplete=incomplete)
    except GroupInUse as error:
        raise CommandError(
            f"workers read as the group {error}: stop them, then run this again"
        ) from None
    except KafkaException as error:
        raise CommandError(f"Kafka: {error.args[0]}") from None
    say("start the workers: they read all of this again")


def _sentence(one: PartitionRebuild, *, incomplete: bool) -> str:
    """What becomes of the windows of a partition."""
    read = f"partition {one.partition}: {one.end - one.first:,} records are read again; "
    if one.written_from_ms is None:
        return f"{read}all windows are overwritten"
    start = from_epoch_ms(one.written_from_ms).isoformat(timespec="seconds")
    if incomplete:
        return f"{read}all windows are overwritten, and those before {start} may lack records"
    return f"{read}windows from {start} on are overwritten, earlier ones stay"
