"""`understudy accounting`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Final

import click

from understudy.schemas.windows import SOURCES
from understudy.streams.commands.invocation import quiet_logs, with_settings
from understudy.streams.commands.options import OutputFormat, clickhouse_option, output_options
from understudy.streams.diagnostics.accounts import OUTCOMES, Account, read_accounts
from understudy.streams.settings import Settings
from understudy.streams.terminal.data_table import Column, DataTable
from understudy.streams.terminal.output import say, say_documents_as_csv, say_json, show

_LEAVES: Final = {
    "written": 4,
    "duplicate": 3,
    "single": 2,
    "late": 1,
    "invalid": 1,
    "unmatched": 1,
}
"""Where a terminal is narrow: what says least about a difference leaves first."""


@click.command("accounting")
@clickhouse_option
@output_options()
@with_settings
def command(settings: Settings, url: str | None, output: OutputFormat) -> None:
    """Compare the events read from Kafka with those counted in ClickHouse.

    Each event that was read is in a pair, single, unmatched, duplicate, superseded, late or
    invalid, or waits for its partner. The difference is 0 when all of them are stored; while
    workers run, it moves around 0.

    \b
    Examples:
      understudy accounting
      understudy accounting --json | jq 'map(.difference) | add'
    """
    quiet_logs(logging.ERROR)
    accounts = read_accounts(settings, url or settings.clickhouse.url)
    documents = [_document(one) for one in accounts]
    if output == "json":
        say_json(documents)
        return
    if output == "csv":
        say_documents_as_csv(documents)
        return
    show(_table(accounts))
    differences = dict.fromkeys(SOURCES, 0)
    for one in accounts:
        differences[one.source] += one.difference
    if any(differences.values()):
        say(
            "difference: above 0, read but not in ClickHouse (yet, or no longer, after its "
            "retention); below 0, stored but not committed yet",
            err=True,
        )


def _document(one: Account) -> dict[str, object]:
    return {**asdict(one), "accounted": one.accounted, "difference": one.difference}


def _table(accounts: Sequence[Account]) -> DataTable:
    names = ("partition", "written", "read", *OUTCOMES, "accounted", "waiting", "difference")
    table = DataTable(
        [
            Column("source"),
            *(Column(name, "right", leaves=_LEAVES.get(name, 0)) for name in names),
        ]
    )
    for source in [name for name in SOURCES if any(one.source == name for one in accounts)]:
        for one in accounts:
            if one.source == source:
                table.add_row(source, str(one.partition), *_cells(_numbers(one)))
        table.end_section()
        table.add_row(source, "all", *_cells(_totals(accounts, source)), style="bold")
        table.end_section()
    return table


def _totals(accounts: Sequence[Account], source: str) -> list[int]:
    """The sums of a source's partitions."""
    some = (_numbers(one) for one in accounts if one.source == source)
    return [sum(column) for column in zip(*some, strict=True)]


def _numbers(one: Account) -> tuple[int, ...]:
    outcomes = (one.outcomes[name] for name in OUTCOMES)
    return (one.written, one.read, *outcomes, one.accounted, one.waiting, one.difference)


def _cells(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in numbers)
