"""Whether a worker is alive and ready, judged from what was seen of it. Pure; time is an argument.

A worker is not well because it polls, and not ill because nothing comes. It is ill when there is
something to read and it has not moved for too long, or when its loader has given up. ClickHouse or
Kafka being away is no illness of the worker's: starting it again would mend nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from understudy.schemas.windows import SOURCES, Source


class Place(NamedTuple):
    """A partition of a source's topic."""

    source: Source
    partition: int

    def __str__(self) -> str:
        return f"partition {self.partition} of {self.source}"


@dataclass(frozen=True, slots=True)
class Stall:
    """A partition that has records to read and does not move."""

    place: Place
    position: int
    lag: int
    stands_s: float
    """For how long it has stood there."""


@dataclass(slots=True)
class ProgressWatch:
    """Remembers since when each partition stands where it stands with something to read."""

    stall_s: float
    _since: dict[Place, tuple[int, float]] = field(default_factory=dict)
    _ends: dict[Place, int] = field(default_factory=dict)

    def see(self, positions: Mapping[Place, int], ends: Mapping[Place, int], now_s: float) -> None:
        """Take note of positions, and of those ends of the log that are known now.

        A rewind is a movement, too. A partition that has nothing to read is never behind.
        """
        self._ends = {p: ends.get(p, self._ends.get(p, 0)) for p in positions}
        for place, position in positions.items():
            before, _ = self._since.get(place, (-1, now_s))
            if position != before or position >= self._ends[place]:
                self._since[place] = (position, now_s)
        for gone in self._since.keys() - positions.keys():
            del self._since[gone]

    def nothing_to_read(self, place: Place, now_s: float) -> None:
        """The lag is only apparent: what lies there is never delivered (marks of transactions)."""
        if place in self._since:
            self._since[place] = (self._since[place][0], now_s)

    def suspects(self, now_s: float) -> list[Stall]:
        """Partitions that have stood still with a lag for at least `stall_s`."""
        return [
            Stall(place, position, self._ends[place] - position, now_s - since_s)
            for place, (position, since_s) in sorted(self._since.items())
            if self._ends[place] > position and now_s - since_s >= self.stall_s
        ]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of a worker at one time."""

    outside: tuple[Source, ...] = SOURCES
    """Sources of which it holds no partition and whose group does not know it, either."""
    kafka_reachable: bool = True
    clickhouse_healthy: bool = True
    """Whether the last insert succeeded; true before the first."""
    loader_broken: str | None = None
    stalls: tuple[Stall, ...] = ()


class Status(StrEnum):
    """What a probe is told."""

    OK = "ok"
    DEGRADED = "degraded"
    """It does what it can; something that it needs is away."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Report:
    """An answer, and why."""

    status: Status
    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether a probe should pass."""
        return self.status is not Status.BAD


_WORST_FIRST: Final = (Status.BAD, Status.DEGRADED, Status.OK)


def joined(reports: Iterable[Report]) -> Report:
    """Several as one: as bad as the worst, whose reasons come first."""
    ordered = sorted(reports, key=lambda report: _WORST_FIRST.index(report.status))
    status = ordered[0].status if ordered else Status.OK
    return Report(status, tuple(reason for report in ordered for reason in report.reasons))


def health(condition: Condition) -> Report:
    """Whether the worker should be left alone; bad means that a restart is worth a try."""
    return _report(_failures(condition), _worries(condition))


def readiness(condition: Condition) -> Report:
    """Whether the worker takes part: it holds partitions, or the groups have none left for it.

    Without ClickHouse a worker is ready, if degraded: windows flow on to Kafka, decisions go on.
    """
    bad = _failures(condition)
    bad += [f"not yet a member of the group that reads {source}" for source in condition.outside]
    return _report(bad, _worries(condition))


def _report(bad: list[str], worries: list[str]) -> Report:
    status = Status.BAD if bad else Status.DEGRADED if worries else Status.OK
    return Report(status, (*bad, *worries))


def _failures(condition: Condition) -> list[str]:
    bad = [
        f"{s.place} has stood at offset {s.position} for {s.stands_s:.0f} s "
        f"with {s.lag} records to read"
        for s in condition.stalls
    ]
    if condition.loader_broken is not None:
        bad.append(f"loading into ClickHouse has stopped: {condition.loader_broken}")
    return bad


def _worries(condition: Condition) -> list[str]:
    worries = []
    if not condition.clickhouse_healthy and condition.loader_broken is None:
        worries.append("ClickHouse does not take inserts; they are tried again")
    if not condition.kafka_reachable:
        worries.append("Kafka does not answer")
    return worries
