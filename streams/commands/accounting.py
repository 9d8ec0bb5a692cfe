"""`understudy accounting`."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from understudy.schemas.windows import SOURCES
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import clickhouse_option, json_option
from understudy.streams.diagnostics.accounts import OUTCOMES, Account, read_accounts
from understudy.streams.settings import Settings
from understudy.streams.terminal.consoles import table_console


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
    quiet_logs(logging.ERROR)
    accounts = read_accounts(settings, url or settings.clickhouse.url)
    if as_json:
        click.echo(json.dumps([_document(one) for one in accounts]))
        return
    table_console().print(_table(accounts))
    differences = dict.fromkeys(SOURCES, 0)
    for one in accounts:
        differences[one.source] += one.difference
    if any(differences.values()):
        click.echo(
            "difference: above 0, read but not in ClickHouse (yet, or no longer, after its "
            "retention); below 0, stored but not committed yet",
            err=True,
        )


def _document(one: Account) -> dict[str, object]:
    return {**asdict(one), "accounted": one.accounted, "difference": one.difference}


def _table(accounts: Sequence[Account]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("source", no_wrap=True)
    names = ("partition", "written", "read", *OUTCOMES, "accounted", "waiting", "difference")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for source in SOURCES:
        for one in accounts:
            if one.source == source:
                table.add_row(source, str(one.partition), *_cells(_numbers(one)))
        table.add_section()
        table.add_row(source, "all", *_cells(_totals(accounts, source)), style="bold")
        table.add_section()
    return table


def _totals(accounts: Sequence[Account], source: str) -> list[int]:
    """The sums of a source's partitions."""
    some = (_numbers(one) for one in accounts if one.source == source)
    return [sum(column) for column in zip(*some, strict=True)]


def _numbers(one: Account) -> tuple[int, ...]:
    outcomes = (one.outcomes[name] for name in OUTCOMES)
    return (one.end, one.read, *outcomes, one.accounted, one.waiting, one.difference)


def _cells(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in numbers)
