"""Whether workers keep up, and what retention deleted unread. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from understudy.schemas.sources import SOURCE_RECORDS
from understudy.schemas.windows import Source
from understudy.streams.diagnostics.findings import Finding, fail, numbers, ok, or_ok, warn
from understudy.streams.pairing.group_positions import GroupPosition

LAG: Final = "lag"
_LONG_S: Final = 300.0
"""Catching up for longer than five minutes is worth more workers."""


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """Two looks at the group's positions, and whether a reader gets what it stands before."""

    before: Sequence[GroupPosition]
    after: Sequence[GroupPosition]
    seconds: float
    unread: frozenset[int]
    """Partitions that did not move although there is something to read."""
    source: Source = "events"

    @property
    def waiting(self) -> str:
        """How much waits to be read, in words."""
        lag = sum(one.lag for one in self.after)
        return f"{lag:,} {SOURCE_RECORDS[self.source].noun} wait"


def check_lag(progress: GroupProgress, *, workers: int) -> list[Finding]:
    """What waits to be read, and whether it gets less; what retention has taken."""
    findings = [f for one in progress.after for f in _offsets(one, progress.source)]
    lag = sum(one.lag for one in progress.after)
    if lag and not workers:
        findings.append(fail(LAG, f"{progress.waiting} and no worker reads them",
                             "start `understudy worker`"))  # fmt: skip
    elif progress.unread:
        findings.append(
            fail(
                LAG,
                f"{progress.waiting}; partitions {numbers(progress.unread)} have not moved in "
                f"{progress.seconds:.0f} s",
                "see /healthz and the log of the worker that holds them",
            )
        )
    elif lag:
        findings += _catching_up(progress, lag)
    return or_ok(LAG, findings, f"{progress.source}: everything is read and stored")


def _catching_up(progress: GroupProgress, lag: int) -> list[Finding]:
    was = {one.partition: one.position for one in progress.before}
    moved = sum(max(0, one.position - was.get(one.partition, 0)) for one in progress.after)
    if not moved:
        return [ok(LAG, "everything is read; the last offsets are transaction markers")]
    rate = moved / progress.seconds if progress.seconds > 0 else 0.0
    came = sum(one.end for one in progress.after) - sum(one.end for one in progress.before)
    gain = rate - came / progress.seconds if progress.seconds > 0 else 0.0
    seen = f"{progress.waiting}; {rate:,.0f} a second are read"
    if gain <= 0 and lag > _LONG_S * rate:
        return [warn(LAG, f"{seen}, no fewer than come in", "add workers, up to one a partition")]
    if gain > 0 and lag > _LONG_S * gain:
        return [warn(LAG, f"{seen}; {lag / gain / 60:,.0f} minutes to catch up",
                     "add workers, up to one a partition, if that is too long")]  # fmt: skip
    return [ok(LAG, seen)]


def _offsets(one: GroupPosition, source: Source) -> Iterator[Finding]:
    where = f"partition {one.partition} of {source}"
    if one.newer_release:
        yield fail(LAG, f"{where} was committed by a newer release", "upgrade the workers here")
    if one.committed is None:
        return
    if one.committed > one.end:
        seen = f"{where}: committed offset {one.committed:,} lies after the end, {one.end:,}"
        yield fail(LAG, seen,
                   "the topic was created again: workers begin at its start; reset the group if "
                   "that is not wanted")  # fmt: skip
    elif one.position < one.first:
        yield fail(LAG, f"{where}: retention deleted {one.first - one.position:,} records unread",
                   "they are lost; lengthen retention.ms, add workers")  # fmt: skip
    elif one.committed < one.first:
        yield warn(LAG, f"{where}: retention deleted what a restart would read again",
                   "open windows could not be rebuilt; lengthen retention.ms")  # fmt: skip
