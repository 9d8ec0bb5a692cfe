"""The window row: the sufficient statistics of one slice in one tumbling window.

A row holds only what adds up, so merging partitions, windows or languages is adding. Field names
are columns in ClickHouse, prefixed with the name of their section (`stable_`, `pair_`, …), and
keys in the messages of the topic `understudy.windows`.

Counts are integers. Sums of measured values are added as whole ticks, so they do not depend on
the order in which pairs arrived; the row shows them in natural units. What is measured is declared
in `understudy.schemas.measures`, and the sections of a row are written from there.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from understudy.schemas.events import Mode
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

WINDOWS_SCHEMA_VERSION: Final = 1

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
    window_s: Annotated[int, Meta(ge=1, description="Length of the window in seconds.")]
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
    rows: list[WindowRow]

    @property
    def asks_for_look(self) -> bool:
        """Whether it says nothing of any window."""
        return not self.rows and self.watermark is None


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
