"""`understudy rollup`."""

from __future__ import annotations

import logging
from contextlib import closing

import click

from understudy.schemas.event_time import from_epoch_ms
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import require_tables
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option
from understudy.streams.commands.parameter_types import TimeType
from understudy.streams.settings import Settings
from understudy.streams.terminal.output import say


@click.command("rollup")
@click.option(
    "--since",
    "since_ms",
    metavar="WHEN",
    type=TimeType(),
    help="Add up all windows stored since then: an age (30m, 6h, 2d) or an ISO time, UTC.",
)
@clickhouse_option
@with_settings
def command(settings: Settings, since_ms: int | None, url: str | None) -> None:
    """Add stored windows up to minutes, five minutes and hours, for dashboards and views.

    Workers do this by themselves every few seconds; use it where clickhouse.rollup_interval_s is 0,
    or with --since after windows were copied in from elsewhere. It never begins later than where
    the last run ended. Doing it twice changes nothing.

    \b
    Examples:
      understudy rollup
      understudy rollup --since 7d
    """
    quiet_logs(logging.ERROR)
    since = None if since_ms is None else from_epoch_ms(since_ms)
    with closing(connect(url or settings.clickhouse.url, create=False)) as client:
        require_tables(client)
        run = roll_up(client, since=since)
    say(f"{run.intervals:,} minutes of rollouts added up")
