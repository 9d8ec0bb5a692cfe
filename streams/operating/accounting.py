"""`understudy accounting`: events in the log against events accounted for, per partition.

In a group at rest, what was read is what the windows count plus what still waits for its partner.
While workers run, rows and commits are some seconds apart, and the difference moves around zero.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import click
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from understudy.streams.errors import UNREACHABLE, CommandError
from understudy.streams.kafka import topics
from understudy.streams.loading.errors import SinkBroken, SinkBusy
from understudy.streams.loading.migrate import pending
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.operating.positions import GroupPosition, group_positions
from understudy.streams.operating.reading import TopicReader
from understudy.streams.query import open_client
from understudy.streams.settings import Settings

OUTCOMES: Final = ("paired", "single", "unmatched", "duplicate", "late", "invalid")
_SQL: Final = f"""
SELECT partition, {", ".join(f"sum({name})" for name in OUTCOMES)}
FROM accounting WHERE source = 'events' GROUP BY partition
"""

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Account:
    """One partition's events, in and out."""

    partition: int
    end: int
    """Of the log: events ever written, unless transactions left marks among them."""
    read: int
    """Up to where everything has been read and stored."""
    outcomes: Counts
    waiting: int
    """Sides that waited for a partner when that was committed."""

    @property
    def accounted(self) -> int:
        """Events that have ended somewhere."""
        return sum(self.outcomes.values())

    @property
    def difference(self) -> int:
        """Read, but neither accounted for nor waiting."""
        return self.read - self.accounted - self.waiting


def accounts_of(positions: Sequence[GroupPosition], counted: Mapping[int, Counts]) -> list[Account]:
    """Kafka's side and ClickHouse's side of each partition."""
    return [
        Account(
            partition=one.partition,
            end=one.end,
            read=one.position if one.committed is not None else 0,
            outcomes=counted.get(one.partition, dict.fromkeys(OUTCOMES, 0)),
            waiting=one.metadata.waiting_sides if one.metadata else 0,
        )
        for one in positions
    ]


def run_accounting(settings: Settings, url: str, *, as_json: bool) -> None:
    """Print the account of each partition and of all."""
    configure_logs(logging.ERROR)
    KAFKA_LOGGER.setLevel(logging.CRITICAL)
    positions = _positions(settings)
    accounts = accounts_of(positions, _counted(url))
    if as_json:
        click.echo(json.dumps([_document(one) for one in accounts]))
    else:
        _print(accounts)


def _positions(settings: Settings) -> list[GroupPosition]:
    name = topics(settings.kafka).events.name
    try:
        with TopicReader(settings.kafka, name) as reader:
            bounds = reader.bounds()
        if not bounds:
            raise CommandError(f"there is no topic {name}; `understudy topics` creates it")
        return group_positions(settings.kafka, name, bounds)
    except KafkaException as error:
        where = settings.kafka.bootstrap_servers
        raise CommandError(f"Kafka at {where}: {error.args[0]}", UNREACHABLE) from None


def _counted(url: str) -> dict[int, Counts]:
    client = open_client(url)
    try:
        if pending(client):
            raise CommandError("ClickHouse has not all tables of this release; "
                               "`understudy migrate` makes them")  # fmt: skip
        rows = client.query(_SQL).result_rows
    except (ClickHouseError, SinkBroken, SinkBusy) as error:
        raise CommandError(str(error)) from None
    finally:
        client.close()
    return {int(number): dict(zip(OUTCOMES, map(int, counts), strict=True))
            for number, *counts in rows}  # fmt: skip


def _document(one: Account) -> dict[str, object]:
    return {**asdict(one), "accounted": one.accounted, "difference": one.difference}


def _print(accounts: Sequence[Account]) -> None:
    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    names = ("partition", "written", "read", *OUTCOMES, "accounted", "waiting", "difference")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    rows = [(str(one.partition), *_figures(one)) for one in accounts]
    total = [sum(column) for column in zip(*(_numbers(one) for one in accounts), strict=True)]
    for row in rows:
        table.add_row(*row)
    table.add_section()
    table.add_row("all", *(f"{number:,}" for number in total), style="bold")
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    if total and total[-1]:
        click.echo("difference: above 0, read and not in ClickHouse (yet, or lost to retention); "
                   "below 0, stored and not committed yet", err=True)  # fmt: skip


def _numbers(one: Account) -> tuple[int, ...]:
    outcomes = (one.outcomes[name] for name in OUTCOMES)
    return (one.end, one.read, *outcomes, one.accounted, one.waiting, one.difference)


def _figures(one: Account) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in _numbers(one))
