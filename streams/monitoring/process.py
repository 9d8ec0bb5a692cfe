"""A worker as a whole: the parts that run in it, how they are all together, and its own metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from understudy.streams.monitoring.health import Report, Status, joined
from understudy.streams.monitoring.metric_specs import (
    PREFIX,
    MetricSpec,
    SpecCollector,
    Values,
    counter,
    gauge,
)


@dataclass(frozen=True, slots=True)
class Part:
    """What runs in a worker, as probes and Prometheus are told of it."""

    health: Callable[[], Report]
    readiness: Callable[[], Report]
    metrics: Collector


class Process(Collector):
    """The parts that are to run in this worker, as far as they have begun."""

    def __init__(self, expected: Sequence[str]) -> None:
        self._expected = tuple(expected)
        self._parts: dict[str, Part] = {}
        self._own = SpecCollector(PROCESS, lambda: self)

    @contextmanager
    def having(self, name: str, part: Part) -> Iterator[None]:
        """With this part meanwhile."""
        self._parts = {**self._parts, name: part}
        try:
            yield
        finally:
            self._parts = {other: one for other, one in self._parts.items() if other != name}

    def health(self) -> Report:
        """Whether all that runs should be left alone."""
        return joined(part.health() for part in self._parts.values())

    def readiness(self) -> Report:
        """Whether all that is to run takes part."""
        parts = self._parts
        missing = [name for name in self._expected if name not in parts]
        begun = [Report(Status.BAD, (f"{name} has not begun",)) for name in missing]
        return joined([*begun, *(part.readiness() for part in parts.values())])

    def collect(self) -> Iterator[Metric]:
        """Metrics of the process and of all its parts."""
        for collector in (self._own, *(part.metrics for part in self._parts.values())):
            yield from collector.collect()

    def describe(self) -> list[Metric]:
        """Nothing is collected at registration."""
        return []


def _release(_: Process) -> Values:
    try:
        return {(version("understudy"),): 1}
    except PackageNotFoundError:
        return {("unknown",): 1}


PROCESS: Final[tuple[MetricSpec[Process], ...]] = (
    gauge("healthy", "1 when `/healthz` is good", lambda p: p.health().ok),
    gauge("ready", "1 when `/readyz` is good", lambda p: p.readiness().ok),
    counter("cpu_seconds", "Processor time of the worker, all threads, user and system",
            lambda _: time.process_time()),
    MetricSpec(f"{PREFIX}build_info", "gauge", ("version",), "1, with the release as a label",
               _release),
)  # fmt: skip
