"""Whether a worker is alive and ready, judged from what was seen of it. Pure; time is an argument.

A worker is not well because it polls, and not ill because nothing comes. It is ill when there is
something to read and it has not moved for too long, or when its loader has given up. ClickHouse or
Kafka being away is no illness of the worker's: starting it again would mend nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Stall:
    """A partition that has records to read and does not move."""

    partition: int
    position: int
    lag: int
    stands_s: float
    """For how long it has stood there."""


@dataclass(slots=True)
class ProgressWatch:
    """Remembers since when each partition stands where it stands with something to read."""

    stall_s: float
    _since: dict[int, tuple[int, float]] = field(default_factory=dict)
    _ends: dict[int, int] = field(default_factory=dict)

    def see(self, positions: Mapping[int, int], ends: Mapping[int, int], now_s: float) -> None:
        """Take note of positions, and of those ends of the log that are known now.

        A rewind is a movement, too. A partition that has nothing to read is never behind.
        """
        self._ends = {n: ends.get(n, self._ends.get(n, 0)) for n in positions}
        for number, position in positions.items():
            before, _ = self._since.get(number, (-1, now_s))
            if position != before or position >= self._ends[number]:
                self._since[number] = (position, now_s)
        for gone in self._since.keys() - positions.keys():
            del self._since[gone]

    def nothing_to_read(self, partition: int, now_s: float) -> None:
        """The lag is only apparent: what lies there is never delivered (marks of transactions)."""
        if partition in self._since:
            self._since[partition] = (self._since[partition][0], now_s)

    def suspects(self, now_s: float) -> list[Stall]:
        """Partitions that have stood still with a lag for at least `stall_s`."""
        return [
            Stall(number, position, self._ends[number] - position, now_s - since_s)
            for number, (position, since_s) in sorted(self._since.items())
            if self._ends[number] > position and now_s - since_s >= self.stall_s
        ]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is known of a worker at one time."""

    partitions: int = 0
    """How many it holds."""
    member: bool = False
    """Whether the group knows it, with or without partitions."""
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


def health(condition: Condition) -> Report:
    """Whether the worker should be left alone; bad means that a restart is worth a try."""
    return _report(_failures(condition), _worries(condition))


def readiness(condition: Condition) -> Report:
    """Whether the worker takes part: it holds partitions, or the group has none left for it.

    Without ClickHouse a worker is ready, if degraded: windows flow on to Kafka, decisions go on.
    """
    bad = _failures(condition)
    if not condition.partitions and not condition.member:
        bad.append("not yet a member of the consumer group")
    return _report(bad, _worries(condition))


def _report(bad: list[str], worries: list[str]) -> Report:
    status = Status.BAD if bad else Status.DEGRADED if worries else Status.OK
    return Report(status, (*bad, *worries))


def _failures(condition: Condition) -> list[str]:
    bad = [
        f"partition {s.partition} has stood at offset {s.position} for {s.stands_s:.0f} s "
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
