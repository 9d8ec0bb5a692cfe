"""`understudy accounting`: what is in the logs against what is accounted for, per partition.

Events and feedback have accounts of their own. In a group at rest, what was read is what the
windows count plus what still waits for its partner. While workers run, rows and commits are some
seconds apart, and the difference moves around zero.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import click
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import KafkaException
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.clickhouse.command_client import open_client
from understudy.streams.clickhouse.migrate import pending
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.errors import UNREACHABLE, CommandError
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.logs import KAFKA_LOGGER, configure_logs
from understudy.streams.pairing.group_positions import GroupPosition, positions_of
from understudy.streams.settings import Settings

OUTCOMES: Final = ("paired", "single", "unmatched", "duplicate", "late", "invalid")
_SQL: Final = f"""
SELECT source, partition, {", ".join(f"sum({name})" for name in OUTCOMES)}
FROM accounting GROUP BY source, partition
"""

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Account:
    """One partition's records, in and out."""

    source: Source
    partition: int
    end: int
    """Of the log: records ever written, unless transactions left marks among them."""
    read: int
    """Up to where everything has been read and stored."""
    outcomes: Counts
    waiting: int
    """Sides that waited for a partner when that was committed."""

    @property
    def accounted(self) -> int:
        """Records that have ended somewhere."""
        return sum(self.outcomes.values())

    @property
    def difference(self) -> int:
        """Read, but neither accounted for nor waiting."""
        return self.read - self.accounted - self.waiting


def accounts_of(
    source: Source,
    positions: Sequence[GroupPosition],
    counted: Mapping[tuple[str, int], Counts],
) -> list[Account]:
    """Kafka's side and ClickHouse's side of each partition of a source."""
    return [
        Account(
            source=source,
            partition=one.partition,
            end=one.end,
            read=one.position if one.committed is not None else 0,
            outcomes=counted.get((source, one.partition), dict.fromkeys(OUTCOMES, 0)),
            waiting=one.metadata.waiting_sides if one.metadata else 0,
        )
        for one in positions
    ]


def run_accounting(settings: Settings, url: str, *, as_json: bool) -> None:
    """Print the account of each partition and of all."""
    configure_logs(logging.ERROR)
    KAFKA_LOGGER.setLevel(logging.CRITICAL)
    positions = {source: _positions(settings, source) for source in SOURCES}
    counted = _counted(url)
    accounts = [one for source, some in positions.items()
                for one in accounts_of(source, some, counted)]  # fmt: skip
    if as_json:
        click.echo(json.dumps([_document(one) for one in accounts]))
    else:
        _print(accounts)


def _positions(settings: Settings, source: Source) -> list[GroupPosition]:
    try:
        return positions_of(settings.kafka, source)
    except MissingTopic as error:
        raise CommandError(str(error)) from None
    except KafkaException as error:
        where = settings.kafka.bootstrap_servers
        raise CommandError(f"Kafka at {where}: {error.args[0]}", UNREACHABLE) from None


def _counted(url: str) -> dict[tuple[str, int], Counts]:
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
    return {(str(source), int(number)): dict(zip(OUTCOMES, map(int, counts), strict=True))
            for source, number, *counts in rows}  # fmt: skip


def _document(one: Account) -> dict[str, object]:
    return {**asdict(one), "accounted": one.accounted, "difference": one.difference}


def _print(accounts: Sequence[Account]) -> None:
    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("source", no_wrap=True)
    names = ("partition", "written", "read", *OUTCOMES, "accounted", "waiting", "difference")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    differs = False
    for source in SOURCES:
        some = [one for one in accounts if one.source == source]
        total = [sum(column) for column in zip(*map(_numbers, some), strict=True)]
        differs = differs or bool(total and total[-1])
        for one in some:
            table.add_row(source, str(one.partition), *_figures(_numbers(one)))
        table.add_section()
        table.add_row(source, "all", *_figures(total), style="bold")
        table.add_section()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    if differs:
        click.echo("difference: above 0, read and not in ClickHouse (yet, or lost to retention); "
                   "below 0, stored and not committed yet", err=True)  # fmt: skip


def _numbers(one: Account) -> tuple[int, ...]:
    outcomes = (one.outcomes[name] for name in OUTCOMES)
    return (one.end, one.read, *outcomes, one.accounted, one.waiting, one.difference)


def _figures(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in numbers)
