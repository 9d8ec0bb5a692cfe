"""`understudy doctor`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.options import json_option
from understudy.streams.diagnostics.doctor import run_doctor
from understudy.streams.settings import Settings


@click.command("doctor")
@click.option(
    "--newest",
    metavar="COUNT",
    default=500,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many of the newest events of each partition to check.",
)
@json_option
@with_settings
def command(settings: Settings, newest: int, as_json: bool) -> None:
    """Check Kafka, topics, gateways, workers and ClickHouse, and say what to do.

    Nothing is changed. The exit code is 0 when nothing needs action, 1 when something does, and 3
    when Kafka or ClickHouse cannot be reached.

    \b
    Examples:
      understudy doctor
      understudy doctor --json | jq '.findings[] | select(.level != "ok")'
    """
    run_doctor(settings, newest=newest, as_json=as_json)
