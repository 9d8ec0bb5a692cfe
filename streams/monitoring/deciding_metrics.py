"""Health, readiness and metrics of deciding."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from understudy.streams.deciding.deciding_progress import DecidingProgress
from understudy.streams.monitoring.health import HealthReport, HealthStatus, combined
from understudy.streams.monitoring.metric_specs import (
    PREFIX,
    MetricSpec,
    SpecCollector,
    counter,
    gauge,
)
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents

Spec = MetricSpec[DecidingProgress]


def deciding_health(
    progress: DecidingProgress, now_s: float, stall_timeout_s: float
) -> HealthReport:
    """Health; failing when the event loop hangs. Deciding that stalls otherwise ends by itself."""
    silent_s = now_s - progress.updated_s
    reports = []
    if silent_s >= stall_timeout_s:
        reason = f"deciding has not responded for {silent_s:.0f} s"
        reports.append(HealthReport(HealthStatus.FAILING, (reason,)))
    if progress.lags is None and progress.is_recovered:
        reason = "Kafka does not answer deciding's request for the lag"
        reports.append(HealthReport(HealthStatus.DEGRADED, (reason,)))
    return combined(reports)


def deciding_readiness(
    progress: DecidingProgress, now_s: float, stall_timeout_s: float
) -> HealthReport:
    """Readiness; also failing until the table is recovered: at the start and in rebalances."""
    health = deciding_health(progress, now_s, stall_timeout_s)
    if progress.is_recovered:
        return health
    reason = "deciding has not recovered its table yet"
    return combined([health, HealthReport(HealthStatus.FAILING, (reason,))])


@contextmanager
def expose_deciding(
    components: WorkerComponents, stall_timeout_s: float, progress: DecidingProgress
) -> Iterator[None]:
    """Expose deciding inside the context."""
    component = WorkerComponent(
        health=lambda: deciding_health(progress, time.monotonic(), stall_timeout_s),
        readiness=lambda: deciding_readiness(progress, time.monotonic(), stall_timeout_s),
        metrics=SpecCollector(DECIDING, lambda: progress),
    )
    with components.running("deciding", component):
        yield


DECIDING: Final[tuple[Spec, ...]] = (
    MetricSpec(
        f"{PREFIX}deciding_messages_total", "counter", ("topic",),
        "Messages from the topics of windows and rollouts that deciding has processed; messages "
        "that are read again count again",
        lambda p: {(topic,): count for topic, count in dict(p.messages).items()},
    ),
    counter("deciding_decisions", "Decisions emitted", lambda p: p.decisions),
    MetricSpec(f"{PREFIX}deciding_dead_letters_total", "counter", ("reason",),
               "Messages that deciding sent to the dead letters, by reason",
               lambda p: {(reason,): count for reason, count in dict(p.dead_letters).items()}),
    counter("deciding_rejected_commands", "Commands that were rejected, such as promote in the "
            "last stage", lambda p: p.rejected_commands),
    counter("deciding_ignored_messages", "Messages with windows of rollouts without a policy",
            lambda p: p.ignored_messages),
    gauge("deciding_recovered", "1 while the table is recovered and windows are evaluated",
          lambda p: p.is_recovered),
    gauge("deciding_partitions", "Partitions of the windows topic assigned to this worker",
          lambda p: len(p.lags or {})),
    MetricSpec(f"{PREFIX}deciding_lag_records", "gauge", ("partition",),
               "Messages with windows waiting to be processed; absent without an answer from Kafka",
               lambda p: {(str(number),): lag for number, lag in (p.lags or {}).items()}),
)  # fmt: skip
