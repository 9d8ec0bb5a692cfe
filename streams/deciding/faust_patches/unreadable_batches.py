"""A batch that cannot be unpacked arrives as one message that says so, and what follows it is read.

Upstream: what is raised while a batch is unpacked ends Faust's consumer, and after a restart the
same batch ends it again, for ever: it is too large (`unpack_limit`), packed in a way that is not
known here, or damaged.

The changelog of a table is not stepped over: nobody else writes it, and a table that lacks what the
batch held would lead to other decisions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import structlog
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import ConsumerRecord

from understudy.streams.kafka.unreadable import UnreadableBatch

log = structlog.get_logger(__name__)

CHANGELOG_SUFFIX: Final = "-changelog"


class UnreadableValue(bytes):
    """Stands for a batch that cannot be unpacked; Faust passes bytes on as they are."""

    batch: UnreadableBatch

    @classmethod
    def of(cls, batch: UnreadableBatch) -> UnreadableValue:
        value = cls()
        value.batch = batch
        return value


class _NotingRecords:
    """aiokafka's batches of an answer, which notes the one that is being unpacked."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.last: Any = None

    def has_next(self) -> bool:
        found: bool = self._records.has_next()
        return found

    def next_batch(self) -> Any:
        self.last = None
        self.last = self._records.next_batch()
        return self.last


class ReadableRecords(PartitionRecords):  # type: ignore[misc]
    """The records of an answer, with one in place of each batch that cannot be unpacked."""

    next_fetch_offset: int

    def __init__(self, tp: Any, records: Any, *others: Any) -> None:
        super().__init__(tp, _NotingRecords(records), *others)

    def _unpack_records(self) -> Iterator[Any]:
        while True:
            try:
                yield from super()._unpack_records()
            except Exception as error:
                batch = self._records.last
                if batch is None:
                    raise
                if self._tp.topic.endswith(CHANGELOG_SUFFIX):
                    log.error("deciding.changelog_unreadable", topic=self._tp.topic,
                              partition=self._tp.partition, offset=self.next_fetch_offset,
                              why=str(error))  # fmt: skip
                    raise
                yield self._stand_in(batch, error)
            else:
                return

    def _stand_in(self, batch: Any, error: Exception) -> Any:
        """A record at the last offset of the batch, so that what is committed lies behind it."""
        first = max(getattr(batch, "base_offset", 0), self.next_fetch_offset)
        end = self.next_fetch_offset = batch.next_offset
        value = UnreadableValue.of(UnreadableBatch(first, end, str(error) or repr(error)))
        return ConsumerRecord(
            self._tp.topic, self._tp.partition, end - 1, getattr(batch, "max_timestamp", 0),
            getattr(batch, "timestamp_type", 0), None, value, None, -1, -1, (),
        )  # fmt: skip


def read_over_unreadable_batches() -> None:
    """Have aiokafka's fetcher, which makes them by this name, make these records."""
    fetcher.PartitionRecords = ReadableRecords
