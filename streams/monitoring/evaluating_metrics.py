"""Health, readiness and metrics of evaluating."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from understudy.streams.evaluating.evaluating_runner import EvaluatingParts
from understudy.streams.monitoring.health import HealthReport, HealthStatus, combined
from understudy.streams.monitoring.metric_specs import (
    PREFIX,
    MetricSpec,
    SpecCollector,
    Values,
    counter,
    gauge,
)
from understudy.streams.monitoring.worker_components import WorkerComponent, WorkerComponents

Spec = MetricSpec[EvaluatingParts]

JUDGE_DOWN_S: Final = 60.0
"""A judge that is overloaded answers again within a minute mostly."""


def evaluating_health(parts: EvaluatingParts, now_s: float, stall_timeout_s: float) -> HealthReport:
    """Health; failing when the reader hangs. Without its judge evaluating works as far as it can:
    a restart would not bring it back.
    """
    reports = []
    silent_s = now_s - parts.reader.updated_s
    if silent_s >= stall_timeout_s:
        reason = f"evaluating has not responded for {silent_s:.0f} s"
        reports.append(HealthReport(HealthStatus.FAILING, (reason,)))
    failing_since_s = parts.asked.failing_since_s
    if failing_since_s is not None and now_s - failing_since_s >= JUDGE_DOWN_S:
        unanswered_s = now_s - failing_since_s
        reason = f"the judge has not answered for {unanswered_s:.0f} s: {parts.asked.failure}"
        reports.append(HealthReport(HealthStatus.DEGRADED, (reason,)))
    return combined(reports)


@contextmanager
def expose_evaluating(
    components: WorkerComponents, stall_timeout_s: float, parts: EvaluatingParts
) -> Iterator[None]:
    """Expose evaluating inside the context."""

    def health() -> HealthReport:
        return evaluating_health(parts, time.monotonic(), stall_timeout_s)

    component = WorkerComponent(health, health, SpecCollector(EVALUATING, lambda: parts))
    with components.running("evaluating", component):
        yield


def _judged(parts: EvaluatingParts) -> Values:
    totals = Counter(dict(parts.plan.scored)) + Counter(dict(parts.asked.judged))
    return {(evaluator,): count for evaluator, count in totals.items()}


def _not_judged(parts: EvaluatingParts) -> Values:
    totals: Counter[tuple[str, ...]] = Counter()
    sources: list[Mapping[Any, int]] = [
        parts.plan.left_out, parts.queue.left_out, parts.asked.not_judged,
    ]  # fmt: skip
    for counts in sources:
        totals.update(dict(counts))
    return {key: float(count) for key, count in totals.items()}


def _by_evaluator(counts: Mapping[str, float]) -> Values:
    return {(evaluator,): count for evaluator, count in dict(counts).items()}


EVALUATING: Final[tuple[Spec, ...]] = (
    counter("evaluating_events", "Events that evaluating has read",
            lambda p: p.reader.counts["read"]),
    counter("evaluating_sampled_events", "Events of sampled requests",
            lambda p: p.reader.counts["sampled"]),
    counter("evaluating_pairs", "Sampled requests whose sides have all come",
            lambda p: p.reader.counts["pairs"]),
    counter("evaluating_records", "Evaluations written, those without a judgement among them",
            lambda p: p.reader.counts["written"]),
    MetricSpec(f"{PREFIX}evaluating_judged_total", "counter", ("evaluator",),
               "Pairs that an evaluator has judged", _judged),
    MetricSpec(f"{PREFIX}evaluating_not_judged_total", "counter", ("evaluator", "reason"),
               "Sampled pairs that were not judged, by reason: no budget, no room in the queue, no "
               "answer to judge, or a judge that failed or answered what cannot be read",
               _not_judged),
    MetricSpec(f"{PREFIX}evaluating_calls_total", "counter", ("evaluator",), "Calls of the judge",
               lambda p: _by_evaluator(p.asked.calls)),
    MetricSpec(f"{PREFIX}evaluating_cost_usd_total", "counter", ("evaluator",),
               "What these calls cost, in US dollars",
               lambda p: _by_evaluator(p.asked.cost_usd)),
    counter("evaluating_retries", "Calls that were made again, after a failure that may pass",
            lambda p: p.asked.retries),
    gauge("evaluating_calls_in_flight", "Pairs that the judge is being asked about",
          lambda p: p.asked.in_flight),
    MetricSpec(f"{PREFIX}evaluating_waiting_pairs", "gauge", ("evaluator",),
               "Pairs that wait for the judge", lambda p: _by_evaluator(p.queue.waiting())),
    gauge("evaluating_partitions", "Partitions of the events topic assigned to this worker",
          lambda p: p.reader.partitions),
    gauge("evaluating_unfinished_requests", "Sampled requests that hold the committed offset back",
          lambda p: p.reader.unfinished),
    MetricSpec(f"{PREFIX}evaluating_lag_records", "gauge", ("partition",),
               "Events waiting to be read", lambda p: {
                   (str(number),): lag for number, lag in p.reader.lag().items()}),
)  # fmt: skip
