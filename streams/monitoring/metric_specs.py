"""What a metric is: its name, its meaning, and how it is read off a snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX: Final = "understudy_"

Values = Mapping[tuple[str, ...], float]
"""By values of the labels, in their order."""
Kind = Literal["counter", "gauge"]
Look = TypeVar("Look")
"""What was seen of something at one time."""


@dataclass(frozen=True, slots=True)
class MetricSpec(Generic[Look]):
    """One metric."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    read: Callable[[Look], Values]


def counter(name: str, meaning: str, read: Callable[[Look], float]) -> MetricSpec[Look]:
    """A counter without labels."""
    return MetricSpec(f"{PREFIX}{name}_total", "counter", (), meaning, lambda s: {(): read(s)})


def gauge(name: str, meaning: str, read: Callable[[Look], float]) -> MetricSpec[Look]:
    """A gauge without labels."""
    return MetricSpec(PREFIX + name, "gauge", (), meaning, lambda s: {(): read(s)})


class SpecCollector(Collector, Generic[Look]):
    """Serves a table of metrics from a fresh look.

    Counters never go back: while a partition changes hands, its counts may be missing for an
    instant, and a dip would look like a restart.
    """

    def __init__(self, specs: Sequence[MetricSpec[Look]], look: Callable[[], Look]) -> None:
        self._specs, self._look = specs, look
        self._lock = threading.Lock()
        self._highest: dict[tuple[str, tuple[str, ...]], float] = {}

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        seen = self._look()
        for spec in self._specs:
            yield self._family(spec, spec.read(seen))

    def describe(self) -> list[Metric]:
        """Nothing is collected at registration."""
        return []

    def _family(self, spec: MetricSpec[Look], values: Values) -> Metric:
        family: CounterMetricFamily | GaugeMetricFamily
        if spec.kind == "counter":
            values = self._never_back(spec.name, values)
            family = CounterMetricFamily(spec.name, spec.meaning, labels=spec.labels)
        else:
            family = GaugeMetricFamily(spec.name, spec.meaning, labels=spec.labels)
        for labels, value in values.items():
            family.add_metric(labels, value)
        return family

    def _never_back(self, name: str, values: Values) -> Values:
        with self._lock:
            for labels, value in values.items():
                known = self._highest.get((name, labels), 0.0)
                self._highest[name, labels] = max(known, value)
            return {labels: value for (n, labels), value in self._highest.items() if n == name}
