"""Whether every record that was read is counted: Kafka and ClickHouse compared by partition.

Events and feedback have accounts of their own. When no worker runs, the records that were read are
those that the windows count plus those that still wait for their partners. While workers run, rows
and commits are some seconds apart, and the difference moves around zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import require_tables
from understudy.streams.pairing.group_positions import GroupPosition, positions_of
from understudy.streams.settings import Settings

OUTCOMES: Final = ("paired", "single", "unmatched", "duplicate", "superseded", "late", "invalid")
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
    written: int
    """Records that the log has ever held; marks of transactions are none, as far as it was read."""
    read: int
    """Records that have been read and stored."""
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
            written=(one.position if one.is_read else one.end) - one.gaps,
            read=one.position - one.gaps if one.committed is not None else 0,
            outcomes=counted.get((source, one.partition), dict.fromkeys(OUTCOMES, 0)),
            waiting=one.metadata.waiting_sides if one.metadata else 0,
        )
        for one in positions
    ]


def read_accounts(settings: Settings, url: str) -> list[Account]:
    """The account of each partition. Raises `MissingTopic`, `KafkaException` and `SinkError`."""
    positions = {source: positions_of(settings.kafka, source) for source in SOURCES}
    counted = _counted(url)
    return [
        account
        for source, some in positions.items()
        for account in accounts_of(source, some, counted)
    ]


def _counted(url: str) -> dict[tuple[str, int], Counts]:
    with closing(connect(url, create=False)) as client:
        require_tables(client)
        rows = client.query(_SQL).result_rows
    return {
        (str(source), int(number)): dict(zip(OUTCOMES, map(int, counts), strict=True))
        for source, number, *counts in rows
    }
