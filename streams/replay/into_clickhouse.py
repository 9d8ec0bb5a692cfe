"""Stores what a replay finds in ClickHouse, as a worker would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.migrations import client_opener
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.pairing.clickhouse_results import ClickHouseResults
from understudy.streams.pairing.records import BatchOutput, JointOutput
from understudy.streams.replay.replay_events import ReplaySink

_PARTITION: Final = 0
"""A recording is read as one partition."""
CLOSE_DEADLINE_S: Final = 60.0
"""For the last inserts; two of ClickHouse's own request timeouts."""


class _ClickHouseSink:
    def __init__(self, results: ClickHouseResults) -> None:
        self._results = results

    def put(self, outcome: BatchOutput, rows: list[DrawnRow], position: int) -> None:
        """Insert what a batch brought."""
        self._results.put(JointOutput({_PARTITION: outcome}, outcome.comparisons))
        self._results.put_rows(rows, {_PARTITION: position})


@contextmanager
def into_clickhouse(url: str, window_ms: int) -> Iterator[ReplaySink]:
    """A sink that inserts in this thread; everything is stored when the context ends well."""
    loader = Loader(client_opener(url))
    yield _ClickHouseSink(ClickHouseResults(loader, window_ms))
    loader.close(CLOSE_DEADLINE_S)
    with closing(client_opener(url)()) as client:
        roll_up(client)
