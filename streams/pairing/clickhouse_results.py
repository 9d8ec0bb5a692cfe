"""Results of pairing as blocks for ClickHouse, handed to the loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.schemas.events import failure_of, request_time_ms
from understudy.schemas.windows import Source
from understudy.streams.clickhouse.captured_pairs import captured_block
from understudy.streams.clickhouse.comparison_rows import (
    ComparisonIdentity,
    UnmatchedSides,
    comparison_columns,
    unmatched_columns,
)
from understudy.streams.clickhouse.evaluation_rows import evaluation_columns, explanation_columns
from understudy.streams.clickhouse.load_buffer import Insertable, PartitionKey
from understudy.streams.clickhouse.loader import Loader
from understudy.streams.clickhouse.native_format import Block
from understudy.streams.clickhouse.tables import (
    COMPARISONS,
    EVALUATIONS,
    EXPLANATIONS,
    UNMATCHED,
    block,
)
from understudy.streams.clickhouse.window_rows import LatestWindows
from understudy.streams.pairing.comparison import Comparisons, merge_comparisons
from understudy.streams.pairing.records import JointOutput, JudgedPair, UnmatchedSide
from understudy.streams.pairing.request_language import named_language


class ClickHouseResults:
    """Results of this worker's partitions of one source on their way to ClickHouse."""

    def __init__(self, loader: Loader, window_ms: int, source: Source = "events") -> None:
        self._loader = loader
        self._source = source
        self._window_ms = window_ms
        self._put_to: dict[int, int] = {}

    @property
    def healthy(self) -> bool:
        """Whether the last insert succeeded."""
        return self._loader.healthy

    @property
    def inserts(self) -> int:
        """How many inserts have succeeded."""
        return self._loader.counters.batches

    def put(self, output: JointOutput) -> None:
        """Queue what batches brought. Raises `SinkBusy` when the buffer is full."""
        blocks: list[Insertable] = [
            comparison_block(some, self._window_ms)
            for some in output.comparisons
            if len(some) >= MANY_ROWS
        ]
        if few := [some for some in output.comparisons if len(some) < MANY_ROWS]:
            blocks.append(WaitingComparisons(few, self._window_ms))
        unmatched = {number: one.unmatched for number, one in output.batches.items()}
        if any(unmatched.values()):
            blocks.append(unmatched_block(unmatched))
        captured = [pair for one in output.batches.values() for pair in one.captured]
        if captured:
            blocks.append(captured_block(captured))
        judged = {number: one.evaluations for number, one in output.batches.items()}
        if any(judged.values()):
            blocks.append(evaluations_block(judged))
            blocks += explanations_blocks(judged)
        if blocks:
            self._put(blocks, {n: self._put_to.get(n, -1) for n in output.batches})

    def put_rows(self, rows: Sequence[DrawnRow], positions: Mapping[int, int]) -> None:
        """Queue window rows of some partitions; all before their positions has then been queued.

        Raises `SinkBusy`.
        """
        self._put([LatestWindows(rows)] if rows else [], positions)
        self._put_to.update(positions)

    def _put(self, blocks: Sequence[Insertable], positions: Mapping[int, int]) -> None:
        keys: dict[PartitionKey, int] = {self._key(n): at for n, at in positions.items()}
        self._loader.put(blocks, keys)

    def stored(self, partition: int) -> int:
        """The position up to which everything queued has been stored; -1 when nothing has."""
        return self._loader.flushed(self._key(partition))

    def clear(self, partition: int) -> None:
        """Start again for a partition, or give it up; what was stored counts no more."""
        self._loader.clear(self._key(partition))
        self._put_to.pop(partition, None)

    def flush(self, deadline_s: float) -> bool:
        """Whether everything queued has been stored in time."""
        return self._loader.flush(deadline_s)

    def _key(self, partition: int) -> tuple[Source, int]:
        """Return the partition's key in the loader, which all sources share."""
        return self._source, partition


class WaitingComparisons:
    """Comparisons that wait to be inserted: few come at a time, and encoding takes its time anew.

    ClickHouse, too, looks at each column of each block. Once they are many they are encoded, and
    take a third of the memory.
    """

    table: Final = COMPARISONS

    def __init__(self, comparisons: Sequence[Comparisons], window_ms: int) -> None:
        self._comparisons = list(comparisons)
        self._window_ms = window_ms
        self._model_bytes = sum(map(_model_bytes, comparisons))
        self.rows = sum(map(len, comparisons))
        """How many wait."""
        self._encoded: bytes | None = None
        """Once they are many."""

    @property
    def nbytes(self) -> int:
        """Bytes that they take once they are encoded, about; until then some MB more at most."""
        if self._encoded is not None:
            return len(self._encoded)
        return _HEAD_BYTES + _ROW_BYTES * self.rows + self._model_bytes

    @property
    def is_full(self) -> bool:
        """Whether there is nothing to win by waiting for more."""
        return self.rows >= MANY_ROWS or self._model_bytes >= _MOST_MODEL_BYTES

    @property
    def payload(self) -> bytes:
        """All of them in ClickHouse's Native format."""
        if self._encoded is not None:
            return self._encoded
        merged = merge_comparisons(self._comparisons)
        return b"".join(comparison_block(some, self._window_ms).payload for some in merged)

    def join(self, later: WaitingComparisons) -> None:
        """Take in what came later, unless they are full."""
        self._comparisons += later._comparisons
        self._model_bytes += later._model_bytes
        self.rows += later.rows
        if self.is_full:
            self._encoded, self._comparisons = self.payload, []
        elif len(self._comparisons) > _MOST_PARTS:
            self._comparisons = merge_comparisons(self._comparisons)


_ROW_BYTES: Final = 350
"""Of a comparison, measured, names included; before it is encoded some 1,000."""
_HEAD_BYTES: Final = 5_200
"""Of the names and types of columns."""
_MOST_PARTS: Final = 16
"""Some 150 arrays each, which take 20 kB without what is in them."""
MANY_ROWS: Final = 1_000
"""Enough for what a block costs beside its rows to be shared."""
_MOST_MODEL_BYTES: Final = 1_048_576
"""Names of models are as long as a gateway writes them; these are no names."""


def _model_bytes(comparisons: Comparisons) -> int:
    """Of the names of models, which alone have no limit in events."""
    sides = comparisons.stable, comparisons.candidate
    return sum(len(name) for side in sides if side is not None for name in side.model)


def evaluations_block(by_partition: Mapping[int, Sequence[JudgedPair]]) -> Block:
    """Evaluations as rows to insert."""
    judged = [one for some in by_partition.values() for one in some]
    numbers = [number for number, some in by_partition.items() for _ in some]
    evaluations = [one.evaluation for one in judged]
    languages = list(map(named_language, evaluations))
    columns = evaluation_columns(evaluations, languages)
    columns["partition"], columns["offset"] = numbers, [one.offset for one in judged]
    return block(EVALUATIONS, columns)


def explanations_blocks(by_partition: Mapping[int, Sequence[JudgedPair]]) -> list[Block]:
    """What evaluations say in words as rows to insert; no block where nothing is stored of it."""
    explained = [
        (number, one, one.explanation)
        for number, some in by_partition.items()
        for one in some
        if one.explanation is not None
    ]
    if not explained:
        return []
    evaluations = [one.evaluation for _, one, _ in explained]
    columns = explanation_columns(
        evaluations, list(map(named_language, evaluations)), [text for _, _, text in explained]
    )
    columns["partition"] = [number for number, _, _ in explained]
    columns["offset"] = [one.offset for _, one, _ in explained]
    return [block(EXPLANATIONS, columns)]


def comparison_block(comparisons: Comparisons, window_ms: int) -> Block:
    """Comparisons as rows to insert."""
    requests = comparisons.requests
    times_ms = requests.request_time_ms
    identity = ComparisonIdentity(
        rollout_id=requests.rollout_id,
        pair_id=requests.pair_id,
        mode=requests.mode,
        language=requests.language,
        workflow=requests.workflow,
        request_time_ms=times_ms,
        conversation_id=requests.conversation_id,
        turn=requests.turn,
        expects=requests.expects,
        schema_id=requests.schema_id,
        window_start_ms=times_ms - times_ms % window_ms,
        partition=requests.partition,
        offset=requests.offset,
    )
    return block(
        COMPARISONS,
        comparison_columns(
            identity,
            stable=comparisons.stable,
            candidate=comparisons.candidate,
            pair=comparisons.pair,
            control=comparisons.control,
            control_rows=comparisons.control_rows,
        ),
    )


def unmatched_block(by_partition: Mapping[int, Sequence[UnmatchedSide]]) -> Block:
    """Unmatched and late sides as rows to insert."""
    unmatched = [one for sides in by_partition.values() for one in sides]
    numbers = [number for number, sides in by_partition.items() for _ in sides]
    events = [one.side.event for one in unmatched]
    errors = [failure_of(event) for event in events]
    durations = [event.timing.duration_ms if event.timing else None for event in events]
    sides = UnmatchedSides(
        rollout_id=[event.rollout_id for event in events],
        pair_id=[event.pair_id for event in events],
        side=[event.side for event in events],
        mode=[event.mode for event in events],
        language=[one.language for one in unmatched],
        workflow=[event.workflow or "" for event in events],
        request_time_ms=np.array([request_time_ms(event) for event in events], dtype=np.int64),
        window_start_ms=np.array([one.window_start_ms for one in unmatched], dtype=np.int64),
        reason=[one.reason.value for one in unmatched],
        partition=np.array(numbers, dtype=np.int64),
        offset=np.array([one.side.offset for one in unmatched], dtype=np.int64),
        model=[(event.response.model if event.response else None) or "" for event in events],
        error=np.array([error is not None for error in errors], dtype=bool),
        error_type=[error.type if error else "" for error in errors],
        duration_ms=np.array(durations, dtype=np.float64),
    )
    return block(UNMATCHED, unmatched_columns(sides))
