"""The metrics of pairing in one table: name, meaning, and how each is read.

No label names a pair, a rollout or a language: those are questions for ClickHouse. Rollouts have
series of their own (`streams/http/rollout_series.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from understudy.streams.monitoring.metric_specs import PREFIX, MetricSpec, Values, counter, gauge
from understudy.streams.monitoring.pairing_snapshot import (
    PairingSnapshot,
    PartitionSnapshot,
    ReaderSnapshot,
)

OUTCOMES: Final = (
    "paired", "single", "unmatched", "duplicate", "superseded", "late", "invalid", "replayed",
    "skipped",
)  # fmt: skip
"""Fields of the tally that count where records ended up."""

Spec = MetricSpec[PairingSnapshot]

_SOURCE: Final = ("source",)
_PARTITION: Final = ("source", "partition")


def _by_source(read: Callable[[ReaderSnapshot], float]) -> Callable[[PairingSnapshot], Values]:
    return lambda s: {(source,): read(reader) for source, reader in s.readers.items()}


def _source_counter(name: str, meaning: str, read: Callable[[ReaderSnapshot], float]) -> Spec:
    return MetricSpec(f"{PREFIX}{name}_total", "counter", _SOURCE, meaning, _by_source(read))


def _by_partition(
    name: str, meaning: str, read: Callable[[PartitionSnapshot, int], float | None]
) -> Spec:
    """A gauge for each partition. `read` is given the Unix time in ms; None is left out."""

    def values(snapshot: PairingSnapshot) -> Values:
        found = {
            (source, str(number)): read(one, snapshot.now_ms)
            for source, reader in snapshot.readers.items()
            for number, one in reader.partitions.items()
        }
        return {labels: value for labels, value in found.items() if value is not None}

    return MetricSpec(PREFIX + name, "gauge", _PARTITION, meaning, values)


def _outcomes(snapshot: PairingSnapshot) -> Values:
    return {
        (source, outcome): reader.tally.get(outcome, 0)
        for source, reader in snapshot.readers.items()
        for outcome in OUTCOMES
    }


def _dead_letters(snapshot: PairingSnapshot) -> Values:
    sent: Counter[str] = Counter()
    for reader in snapshot.readers.values():
        sent.update(reader.dead_letters)
    return {(reason,): count for reason, count in sent.items()}


def _misplaced(snapshot: PairingSnapshot) -> Values:
    counts = [reader.totals.placement for reader in snapshot.readers.values()]
    return {
        ("partition",): sum(one.elsewhere for one in counts),
        ("key",): sum(one.wrong_key for one in counts),
    }


def _watermark_lag_s(one: PartitionSnapshot, now_ms: int) -> float | None:
    return None if one.watermark_ms is None else (now_ms - one.watermark_ms) / 1000


def _position_lag(one: PartitionSnapshot, _: int) -> float | None:
    return None if one.end is None else max(0, one.end - max(one.position, one.read_to or 0))


PAIRING: Final[tuple[Spec, ...]] = (
    MetricSpec(
        f"{PREFIX}events_total", "counter", ("source", "outcome"),
        "Records by source (events, feedback or evaluations) and outcome: paired, single, "
        "unmatched, duplicate, superseded, late, invalid, replayed (read again after an earlier "
        "run had counted them) or skipped (in windows that are not written, since the log no "
        "longer has all of their records). Records that are read again count again; the view "
        "`accounting` counts each once",
        _outcomes,
    ),
    _source_counter("events_read", "Records read", lambda r: r.tally.get("read", 0)),
    _source_counter("events_read_bytes", "Bytes of the records read",
                    lambda r: r.tally.get("read_bytes", 0)),
    counter("pairs", "Pairs compared",
            lambda s: sum(reader.tally.get("pairs", 0) for reader in s.readers.values())),
    counter("captured_pairs", "Pairs captured with their texts, as policies say; read "
            "again they count again",
            lambda s: sum(r.tally.get("captured", 0) for r in s.readers.values())),
    counter("capture_failures", "Pairs left out there, since they could not be redacted",
            lambda s: sum(r.tally.get("capture_failures", 0) for r in s.readers.values())),
    counter("capture_dropped", "Pairs left out there, since all rollouts' captures together would "
            "take more memory than `capture.max_bytes`",
            lambda s: sum(r.tally.get("capture_dropped", 0) for r in s.readers.values())),
    gauge("capture_bytes", "Memory of the texts that are kept until their windows close",
          lambda s: sum(p.capture_bytes for r in s.readers.values()
                        for p in r.partitions.values())),
    MetricSpec(f"{PREFIX}dead_letters_total", "counter", ("reason",),
               "Dead letters sent, by reason", _dead_letters),
    _source_counter("lost_records", "Records that retention deleted before they were read, and "
                    "sides that could not be joined because of it; must stay 0",
                    lambda r: r.totals.lost_records),
    _source_counter("unreadable_records", "Records in batches that could not be unpacked, such as "
                    "decompression bombs; each counts as invalid",
                    lambda r: r.totals.unreadable_records),
    counter("placement_checked_events", "Events whose key and partition were looked at: the first "
            "of each partition, then one in 1024",
            lambda s: sum(r.totals.placement.checked for r in s.readers.values())),
    MetricSpec(
        f"{PREFIX}misplaced_events_total", "counter", ("reason",),
        "Events among those looked at whose key lies in another partition than murmur2 puts it "
        "(partition), or is not the event's own (key); must stay 0",
        _misplaced,
    ),
    _source_counter("rewinds", "Times that a partition was rewound because ClickHouse had been "
                    "unavailable", lambda r: r.totals.rewinds),
    _source_counter("commits", "Commits of offsets", lambda r: r.totals.commits),
    MetricSpec(f"{PREFIX}partitions", "gauge", _SOURCE, "Partitions assigned to this worker",
               _by_source(lambda r: len(r.partitions))),
    _by_partition("position_offset", "Next offset to read", lambda p, _: p.position),
    _by_partition("position_lag_records", "Records not yet read: end of the log minus position; 0 "
                  "where only marks of transactions follow",
                  _position_lag),
    _by_partition("committed_offset", "Offset last committed; trails the position by window, "
                  "lateness and join timeout on purpose", lambda p, _: p.committed),
    _by_partition("watermark_lag_seconds", "Wall-clock time minus the watermark, the newest time "
                  "of requests, feedback or evaluations that was read; grows also while nothing "
                  "arrives",
                  _watermark_lag_s),
    _by_partition("waiting_sides", "Sides that wait for their partner",
                  lambda p, _: p.waiting_sides),
    _by_partition("open_windows", "Slices whose window may still change",
                  lambda p, _: p.open_windows),
    counter("loader_rows", "Rows stored in ClickHouse", lambda s: s.loader.rows),
    counter("loader_bytes", "Bytes of the rows stored, as encoded", lambda s: s.loader.nbytes),
    counter("loader_batches", "Inserts that succeeded", lambda s: s.loader.batches),
    counter("loader_failures", "Inserts or connections that failed", lambda s: s.loader.failures),
    counter("loader_retries", "Inserts that were retried", lambda s: s.loader.retries),
    counter("loader_refused", "Times that the buffer was full; the comparisons are read again "
            "later", lambda s: s.loader.refused),
    gauge("loader_buffered_bytes", "Bytes that wait to be stored", lambda s: s.buffered_bytes),
    gauge("clickhouse_up", "1 when the last insert succeeded, or none was due yet",
          lambda s: s.condition.clickhouse_healthy),
    gauge("kafka_up", "1 when the broker answered the last request for the ends of partitions",
          lambda s: s.condition.kafka_reachable),
)  # fmt: skip
