"""Deciding, as probes and Prometheus are told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from understudy.streams.deciding.progress import Progress
from understudy.streams.monitoring.health import Report, Status, joined
from understudy.streams.monitoring.metric_specs import (
    PREFIX,
    MetricSpec,
    SpecCollector,
    counter,
    gauge,
)
from understudy.streams.monitoring.process import Part, Process

Spec = MetricSpec[Progress]


def deciding_health(progress: Progress, now_s: float, stall_s: float) -> Report:
    """Bad when the event loop no longer turns. Deciding that stands still ends by itself."""
    reports = []
    silent_s = now_s - progress.looked_s
    if silent_s >= stall_s:
        reports.append(Report(Status.BAD, (f"deciding has done nothing for {silent_s:.0f} s",)))
    if progress.lags is None and progress.is_recovered:
        reports.append(Report(Status.DEGRADED, ("Kafka does not tell deciding what there is",)))
    return joined(reports)


def deciding_readiness(progress: Progress, now_s: float, stall_s: float) -> Report:
    """Bad also until the table is there: at the start, and while partitions change hands."""
    alive = deciding_health(progress, now_s, stall_s)
    if progress.is_recovered:
        return alive
    return joined([alive, Report(Status.BAD, ("deciding has not recovered its table yet",))])


@contextmanager
def telling(process: Process, stall_s: float, progress: Progress) -> Iterator[None]:
    """Tell of deciding meanwhile."""
    part = Part(
        health=lambda: deciding_health(progress, time.monotonic(), stall_s),
        readiness=lambda: deciding_readiness(progress, time.monotonic(), stall_s),
        metrics=SpecCollector(DECIDING, lambda: progress),
    )
    with process.having("deciding", part):
        yield


DECIDING: Final[tuple[Spec, ...]] = (
    MetricSpec(
        f"{PREFIX}deciding_messages_total", "counter", ("topic",),
        "Messages of windows and of rollouts that deciding has handled; what is read again counts "
        "again",
        lambda p: {(topic,): count for topic, count in dict(p.messages).items()},
    ),
    counter("deciding_decisions", "Decisions told", lambda p: p.decisions),
    MetricSpec(f"{PREFIX}deciding_refused_total", "counter", ("reason",),
               "Messages that became dead letters of deciding, by reason",
               lambda p: {(reason,): count for reason, count in dict(p.refused).items()}),
    counter("deciding_refused_commands", "Commands that made no sense, such as promote at the last "
            "stage", lambda p: p.refused_commands),
    counter("deciding_ignored", "Messages of windows of rollouts without a policy",
            lambda p: p.ignored),
    gauge("deciding_recovered", "1 while the table is there and windows are judged",
          lambda p: p.is_recovered),
    gauge("deciding_partitions", "Partitions of windows that this worker holds",
          lambda p: len(p.lags or {})),
    MetricSpec(f"{PREFIX}deciding_lag_records", "gauge", ("partition",),
               "Messages of windows to be handled; absent while Kafka does not tell",
               lambda p: {(str(number),): lag for number, lag in (p.lags or {}).items()}),
)  # fmt: skip
