"""Metrics of a worker, in one table: names, meaning, and where each is read from.

`METRICS` is what the endpoint serves and what the documentation is held against. No label names a
pair, a rollout or a language: those are questions for ClickHouse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from understudy.streams.serving.health import health, readiness
from understudy.streams.serving.snapshot import PartitionSnapshot, Snapshot

PREFIX: Final = "understudy_"
OUTCOMES: Final = ("paired", "single", "unmatched", "duplicate", "late", "invalid", "settled")
"""Fields of the tally that an event ends in."""

Values = Mapping[str, float]
"""By value of the label; the empty string where there is no label."""
Kind = Literal["counter", "gauge"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric."""

    name: str
    kind: Kind
    label: str
    """Empty for none."""
    meaning: str
    read: Callable[[Snapshot], Values]


def _one(read: Callable[[Snapshot], float]) -> Callable[[Snapshot], Values]:
    return lambda s: {"": read(s)}


def _each(read: Callable[[PartitionSnapshot], float]) -> Callable[[Snapshot], Values]:
    return lambda s: {str(number): read(one) for number, one in s.partitions.items()}


def _counter(name: str, meaning: str, read: Callable[[Snapshot], float]) -> MetricSpec:
    return MetricSpec(f"{PREFIX}{name}_total", "counter", "", meaning, _one(read))


def _gauge(name: str, meaning: str, read: Callable[[Snapshot], float]) -> MetricSpec:
    return MetricSpec(PREFIX + name, "gauge", "", meaning, _one(read))


def _by_partition(name: str, meaning: str, read: Callable[[Snapshot], Values]) -> MetricSpec:
    return MetricSpec(PREFIX + name, "gauge", "partition", meaning, read)


def _committed(snapshot: Snapshot) -> Values:
    found = {str(n): one.committed for n, one in snapshot.partitions.items()}
    return {number: offset for number, offset in found.items() if offset is not None}


def _watermark_lags_s(snapshot: Snapshot) -> Values:
    return {
        str(number): (snapshot.now_ms - one.watermark_ms) / 1000
        for number, one in snapshot.partitions.items()
        if one.watermark_ms is not None
    }


def _position_lags(snapshot: Snapshot) -> Values:
    return {
        str(number): max(0, snapshot.ends[number] - one.position)
        for number, one in snapshot.partitions.items()
        if number in snapshot.ends
    }


def _release(_: Snapshot) -> Values:
    try:
        return {version("understudy"): 1}
    except PackageNotFoundError:
        return {"unknown": 1}


METRICS: Final = (
    MetricSpec(
        f"{PREFIX}events_total", "counter", "outcome",
        "Events by where they ended: paired, single, unmatched, duplicate, late, invalid, or "
        "settled (read again, counted by an earlier run). What is read again counts again; the "
        "lasting account is the view `accounting`",
        lambda s: {outcome: s.tally.get(outcome, 0) for outcome in OUTCOMES},
    ),
    _counter("events_read", "Events read", lambda s: s.tally.get("read", 0)),
    _counter("events_read_bytes", "Bytes of the events read",
             lambda s: s.tally.get("read_bytes", 0)),
    _counter("pairs", "Pairs compared", lambda s: s.tally.get("pairs", 0)),
    MetricSpec(
        f"{PREFIX}dead_letters_total", "counter", "reason", "Dead letters sent, by reason",
        lambda s: s.dead_letters,
    ),
    _counter("lost_records", "Records that retention deleted before they were read, and sides that "
             "could not be joined for it; must stay 0", lambda s: s.totals.lost_records),
    _counter("rewinds", "Times that a partition was read again because ClickHouse had been away",
             lambda s: s.totals.rewinds),
    _counter("commits", "Commits of offsets", lambda s: s.totals.commits),
    _gauge("partitions", "Partitions that this worker holds", lambda s: len(s.partitions)),
    _by_partition("position_offset", "Next offset to read", _each(lambda p: p.position)),
    _by_partition("position_lag_records", "Records not read yet: end of the log less position",
                  _position_lags),
    _by_partition("committed_offset", "Offset last committed; trails the position by window, "
                  "lateness and join timeout on purpose", _committed),
    _by_partition("watermark_lag_seconds", "Wall time less the watermark, the newest request time "
                  "read; grows when nothing comes, too", _watermark_lags_s),
    _by_partition("waiting_sides", "Sides that wait for their partner",
                  _each(lambda p: p.waiting_sides)),
    _by_partition("open_windows", "Slices whose window may still change",
                  _each(lambda p: p.open_windows)),
    _counter("loader_rows", "Rows stored in ClickHouse", lambda s: s.loader.rows),
    _counter("loader_bytes", "Bytes of the rows stored, as encoded", lambda s: s.loader.nbytes),
    _counter("loader_batches", "Inserts that succeeded", lambda s: s.loader.batches),
    _counter("loader_failures", "Inserts or connections that failed", lambda s: s.loader.failures),
    _counter("loader_retries", "Inserts that were tried again", lambda s: s.loader.retries),
    _counter("loader_refused", "Times that the buffer was full; comparisons are then read again "
             "later", lambda s: s.loader.refused),
    _gauge("loader_buffered_bytes", "Bytes that wait to be stored", lambda s: s.buffered_bytes),
    _gauge("clickhouse_up", "1 when the last insert succeeded, or none was due yet",
           lambda s: s.condition.clickhouse_healthy),
    _gauge("kafka_up", "1 when the broker told the ends of the partitions when last asked",
           lambda s: s.condition.kafka_reachable),
    _gauge("healthy", "1 when `/healthz` is good", lambda s: health(s.condition).ok),
    _gauge("ready", "1 when `/readyz` is good", lambda s: readiness(s.condition).ok),
    _counter("cpu_seconds", "Processor time of the worker, all threads, user and system",
             lambda s: s.cpu_s),
    MetricSpec(f"{PREFIX}build_info", "gauge", "version", "1, with the release as a label",
               _release),
)  # fmt: skip
"""Every metric of ours. Beside them stand the usual `process_…` ones, on Linux."""


class WorkerCollector(Collector):
    """Serves `METRICS` from a fresh look at the worker.

    Counters never go back: while a partition changes hands, its counts may be missing for an
    instant, and a dip would look like a restart.
    """

    def __init__(self, look: Callable[[], Snapshot]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._highest: dict[tuple[str, str], float] = {}

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        snapshot = self._look()
        for spec in METRICS:
            yield self._family(spec, spec.read(snapshot))

    def describe(self) -> list[Metric]:
        """Nothing is collected at registration."""
        return []

    def _family(self, spec: MetricSpec, values: Values) -> Metric:
        labels = [spec.label] if spec.label else []
        family: CounterMetricFamily | GaugeMetricFamily
        if spec.kind == "counter":
            values = self._never_back(spec.name, values)
            family = CounterMetricFamily(spec.name, spec.meaning, labels=labels)
        else:
            family = GaugeMetricFamily(spec.name, spec.meaning, labels=labels)
        for label, value in values.items():
            family.add_metric([label] if labels else [], value)
        return family

    def _never_back(self, name: str, values: Values) -> Values:
        with self._lock:
            for label, value in values.items():
                known = self._highest.get((name, label), 0.0)
                self._highest[name, label] = max(known, value)
            return {label: value for (n, label), value in self._highest.items() if n == name}
