"""The declaration of a metric: its name, its meaning, and how to read it from a snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX: Final = "understudy_"

Values = Mapping[tuple[str, ...], float]
"""Values by label values, in the order of the labels."""
Kind = Literal["counter", "gauge"]
Observed = TypeVar("Observed")
"""What a metric is read from."""


@dataclass(frozen=True, slots=True)
class MetricSpec(Generic[Observed]):
    """One metric."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    read: Callable[[Observed], Values]


def counter(name: str, meaning: str, read: Callable[[Observed], float]) -> MetricSpec[Observed]:
    """A counter without labels."""
    return MetricSpec(f"{PREFIX}{name}_total", "counter", (), meaning, lambda s: {(): read(s)})


def gauge(name: str, meaning: str, read: Callable[[Observed], float]) -> MetricSpec[Observed]:
    """A gauge without labels."""
    return MetricSpec(PREFIX + name, "gauge", (), meaning, lambda s: {(): read(s)})


class SpecCollector(Collector, Generic[Observed]):
    """Collects a table of metrics from a fresh snapshot.

    Counters never decrease: while a partition is moved its counts may be missing for an instant,
    and Prometheus would take the dip for a restart.
    """

    def __init__(
        self, specs: Sequence[MetricSpec[Observed]], snapshot: Callable[[], Observed]
    ) -> None:
        self._specs, self._snapshot = specs, snapshot
        self._lock = threading.Lock()
        self._highest: dict[tuple[str, tuple[str, ...]], float] = {}

    def collect(self) -> Iterator[Metric]:
        """All metrics as of now."""
        observed = self._snapshot()
        for spec in self._specs:
            yield self._family(spec, spec.read(observed))

    def _family(self, spec: MetricSpec[Observed], values: Values) -> Metric:
        family: CounterMetricFamily | GaugeMetricFamily
        if spec.kind == "counter":
            values = self._monotonic(spec.name, values)
            family = CounterMetricFamily(spec.name, spec.meaning, labels=spec.labels)
        else:
            family = GaugeMetricFamily(spec.name, spec.meaning, labels=spec.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family

    def _monotonic(self, name: str, values: Values) -> Values:
        with self._lock:
            for labels, value in values.items():
                known = self._highest.get((name, labels), 0.0)
                self._highest[name, labels] = max(known, value)
            return {labels: value for (n, labels), value in self._highest.items() if n == name}
