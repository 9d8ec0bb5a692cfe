"""The window row: the sufficient statistics of one slice in one tumbling window.

A row holds only what adds up, so merging partitions, windows or languages is adding. Field names
are columns in ClickHouse, prefixed with the name of their section (`stable_`, `pair_`, …). Under
the same names they travel in the messages of the topic `understudy.windows`, a list for each
column: `WindowRow` is for whoever looks at one row.

Counts are integers. Sums of measured values are added as whole ticks, so they do not depend on
the order in which pairs arrived; the row shows them in natural units. What is measured is declared
in `understudy.schemas.measures`, and the sections of a row are written from there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import UNSET, Meta
from msgspec.structs import astuple

from understudy.schemas.events import Mode
from understudy.schemas.row_lists import RowLists
from understudy.schemas.window_measures import (
    ControlSums,
    Count,
    EventCounts,
    NoiseSums,
    PairSums,
    PairTurnSums,
    QualitySums,
    SideSums,
    SideTurnSums,
    UnresolvedCounts,
)

WINDOWS_SCHEMA_VERSION: Final = 2

Source = Literal["events", "feedback", "evaluations"]
"""The topic that a row was made from; partitions and versions of two topics are not comparable."""

SOURCES: Final[tuple[Source, ...]] = get_args(Source)


class WindowRow(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One slice (rollout, mode, language, workflow) of one source's partition in one window.

    Of evaluations there is a row for each evaluator, and for each minute in which the pairs were
    requested: that says to which stage they belong.

    The row with the highest `version` among equal keys is the one that counts.
    """

    rollout_id: Annotated[str, Meta(description="Empty when an invalid event names none.")]
    mode: Annotated[Mode | None, Meta(description="Null when an invalid event names none.")] = None
    language: Annotated[str, Meta(description="BCP 47 tag, `und` when undetermined.")]
    workflow: Annotated[str, Meta(description="Empty when the gateway named none.")] = ""
    window_start: Annotated[dt.datetime, Meta(tz=True, description="Inclusive, UTC.")]
    window_s: Annotated[int, Meta(ge=1, le=86_400, description="Length of the window in seconds.")]
    evaluator: Annotated[
        str, Meta(description="`name@version` of the evaluator; empty but for evaluations.")
    ] = ""
    requests_from: Annotated[
        Annotated[dt.datetime, Meta(tz=True)] | None,
        Meta(
            description="Start of the minute in which the pairs were requested; null but for "
            "evaluations.",
        ),
    ] = None
    source: Annotated[Source, Meta(description="Topic that the row was made from.")] = "events"
    partition: Annotated[Count, Meta(description="Partition of the source's topic.")]
    version: Annotated[Count, Meta(description="Offset up to which the partition had been read.")]
    closed: Annotated[bool, Meta(description="Nothing will be added any more.")] = False
    events: EventCounts = msgspec.field(default_factory=EventCounts)
    stable: SideSums = msgspec.field(default_factory=SideSums)
    candidate: SideSums = msgspec.field(default_factory=SideSums)
    pair: PairSums = msgspec.field(default_factory=PairSums)
    control: ControlSums = msgspec.field(default_factory=ControlSums)
    turns: PairTurnSums = msgspec.field(default_factory=PairTurnSums)
    stable_turns: SideTurnSums = msgspec.field(default_factory=SideTurnSums)
    candidate_turns: SideTurnSums = msgspec.field(default_factory=SideTurnSums)
    quality: QualitySums = msgspec.field(default_factory=QualitySums)
    noise: NoiseSums = msgspec.field(default_factory=NoiseSums)
    unresolved: UnresolvedCounts = msgspec.field(default_factory=UnresolvedCounts)


class WindowsMessage(msgspec.Struct, kw_only=True):
    """All rows of one rollout, source and partition that changed; key `rollout_id`.

    A worker that decides writes one without rows to ask for a look at those before it.
    """

    schema_version: int = WINDOWS_SCHEMA_VERSION
    rollout_id: str
    source: Source = "events"
    partition: Count
    version: Count
    watermark: Annotated[dt.datetime, Meta(tz=True)] | None = None
    columns: RowLists

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return len(self.columns.window_start)

    @property
    def asks_for_look(self) -> bool:
        """Whether it says nothing of any window."""
        return not self.n_rows and self.watermark is None

    @property
    def rows(self) -> list[WindowRow]:
        """Its rows one by one, made anew each time."""
        lists = {
            name: values
            for name, values in msgspec.structs.asdict(self.columns).items()
            if values is not UNSET
        }
        return [
            row_at(number, lists, self.rollout_id, self.source, self.partition)
            for number in range(self.n_rows)
        ]


def row_at(
    number: int,
    lists: Mapping[str, Sequence[Any]],
    rollout_id: str,
    source: Source,
    partition: int,
) -> WindowRow:
    """One of the rows that columns hold; a column that is missing says nothing."""
    own = {name: lists[name][number] for name in _OF_ROW if name in lists}
    sections: dict[str, Any] = {
        section: SECTIONS[section](
            **{
                name: values[number]
                for column, name in columns.items()
                if (values := lists.get(column)) and values[number]
            }
        )
        for section, columns in _COLUMNS_OF.items()
    }
    return WindowRow(rollout_id=rollout_id, source=source, partition=partition, **own, **sections)


def row_lists(rows: Sequence[WindowRow]) -> RowLists:
    """Rows of one rollout, source and partition as they travel."""
    if not rows:
        return RowLists()
    lists = {name: list(map(attrgetter(name), rows)) for name in _OF_ROW}
    kept = {name: values for name, values in lists.items() if name in NEEDED_COLUMNS or any(values)}
    for section, columns in _COLUMNS_OF.items():
        values = zip(*map(astuple, map(attrgetter(section), rows)), strict=True)
        kept |= {
            column: list(some) for column, some in zip(columns, values, strict=True) if any(some)
        }
    return RowLists(**kept)


def windows_message(
    rows: Sequence[WindowRow],
    *,
    rollout_id: str,
    source: Source = "events",
    partition: int,
    version: int,
    watermark: dt.datetime | None = None,
) -> WindowsMessage:
    """The message that carries rows. Raises ValueError for rows of another place."""
    place = rollout_id, source, partition
    if any((row.rollout_id, row.source, row.partition) != place for row in rows):
        raise ValueError(f"some rows are not of {place}")
    return WindowsMessage(
        rollout_id=rollout_id,
        source=source,
        partition=partition,
        version=version,
        watermark=watermark,
        columns=row_lists(rows),
    )


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "events": EventCounts,
    "stable": SideSums,
    "candidate": SideSums,
    "pair": PairSums,
    "control": ControlSums,
    "turns": PairTurnSums,
    "stable_turns": SideTurnSums,
    "candidate_turns": SideTurnSums,
    "quality": QualitySums,
    "noise": NoiseSums,
    "unresolved": UnresolvedCounts,
}
"""The parts of a row that hold measures; a ClickHouse column is named `<section>_<field>`."""

_OF_ROW: Final = (
    "window_start", "window_s", "language", "version", "mode", "workflow", "evaluator",
    "requests_from", "closed",
)  # fmt: skip
"""What says of which row a column's values are; the rest is the same in a whole message."""
NEEDED_COLUMNS: Final = frozenset(_OF_ROW[:4])
"""Columns without which there is no row: they are there though they be zero or empty."""
_COLUMNS_OF: Final[dict[str, dict[str, str]]] = {
    section: {f"{section}_{name}": name for name in record.__struct_fields__}
    for section, record in SECTIONS.items()
}
"""By section, column to the field of a row."""
