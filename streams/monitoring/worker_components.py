"""The components of a worker: their combined health and readiness, and their metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from understudy.streams.monitoring.health import HealthReport, HealthStatus, combined
from understudy.streams.monitoring.metric_specs import (
    PREFIX,
    MetricSpec,
    SpecCollector,
    Values,
    counter,
    gauge,
)


@dataclass(frozen=True, slots=True)
class WorkerComponent:
    """A running component. Probes call `health` and `readiness`: neither may block."""

    health: Callable[[], HealthReport]
    readiness: Callable[[], HealthReport]
    metrics: Collector | None = None


class WorkerComponents(Collector):
    """The components that this worker is to run, as far as they have started."""

    def __init__(self, expected: Sequence[str]) -> None:
        self._expected = tuple(expected)
        self._running: dict[str, WorkerComponent] = {}
        self._own_metrics = SpecCollector(WORKER, lambda: self)

    @contextmanager
    def running(self, name: str, component: WorkerComponent) -> Iterator[None]:
        """Count a component as running inside the context."""
        self._running = {**self._running, name: component}
        try:
            yield
        finally:
            self._running = {other: c for other, c in self._running.items() if other != name}

    def health(self) -> HealthReport:
        """Whether every component that runs is healthy."""
        return combined(component.health() for component in self._running.values())

    def readiness(self) -> HealthReport:
        """Whether every expected component has started and is ready."""
        running = self._running
        missing = [
            HealthReport(HealthStatus.FAILING, (f"{name} has not started",))
            for name in self._expected
            if name not in running
        ]
        return combined([*missing, *(component.readiness() for component in running.values())])

    def collect(self) -> Iterator[Metric]:
        """Metrics of the worker and of all its components."""
        running = self._running.values()
        for collector in (self._own_metrics, *(component.metrics for component in running)):
            if collector is not None:
                yield from collector.collect()


def _release(_: WorkerComponents) -> Values:
    try:
        return {(version("understudy"),): 1}
    except PackageNotFoundError:
        return {("unknown",): 1}


WORKER: Final[tuple[MetricSpec[WorkerComponents], ...]] = (
    gauge("healthy", "1 while `/healthz` passes", lambda w: w.health().ok),
    gauge("ready", "1 while `/readyz` passes", lambda w: w.readiness().ok),
    counter("cpu_seconds", "CPU time of the worker, user and system, all threads",
            lambda _: time.process_time()),
    MetricSpec(f"{PREFIX}build_info", "gauge", ("version",), "1, with the release as a label",
               _release),
)  # fmt: skip
