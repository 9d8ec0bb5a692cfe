"""`understudy accounting`."""

from __future__ import annotations

import click

from understudy.streams.commands.invocation import with_settings
from understudy.streams.commands.options import clickhouse_option, json_option
from understudy.streams.diagnostics.accounting import run_accounting
from understudy.streams.settings import Settings


@click.command("accounting")
@clickhouse_option
@json_option
@with_settings
def command(settings: Settings, url: str | None, as_json: bool) -> None:
    """Compare the events read from Kafka with those counted in ClickHouse.

    Each event that was read is in a pair, single, unmatched, duplicate, late or invalid, or waits
    for its partner. The difference is 0 when all of them are stored; while workers run, it moves
    around 0.

    \b
    Examples:
      understudy accounting
      understudy accounting --json | jq 'map(.difference) | add'
    """
    run_accounting(settings, url or settings.clickhouse.url, as_json=as_json)
