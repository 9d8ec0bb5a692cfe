"""`understudy migrate`."""

from __future__ import annotations

from contextlib import closing

import click

from understudy.streams.clickhouse.connect import connect, parse_url
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.options import clickhouse_option
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say


@click.command("migrate")
@clickhouse_option
@with_settings
def command(settings: Settings, url: str | None) -> None:
    """Create the tables in ClickHouse, or bring them up to date.

    Several may run at the same time. Workers do this themselves when they start.

    \b
    Examples:
      understudy migrate
      understudy migrate --clickhouse clickhouse://analytics:8123/understudy
      understudy migrate --clickhouse clickhouse://replica-1:8123/understudy?cluster=main
    """
    where = url or settings.clickhouse.url
    with closing(connect(where)) as client:
        applied = migrate(client, cluster=parse_url(where).cluster)
    for name in applied:
        say(f"applied {name}")
    if not applied:
        say("up to date")
