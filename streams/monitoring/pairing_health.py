"""Whether pairing is healthy and ready, from what its monitor observed. Pure.

Polling does not prove health, and an idle topic does not disprove it. Pairing is failing when a
partition with records to read makes no progress for too long, or when its loader has given up. It
is not failing while ClickHouse or Kafka is unavailable: restarting the worker would mend neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.schemas.windows import SOURCES, Source
from understudy.streams.monitoring.health import HealthReport, HealthStatus
from understudy.streams.monitoring.stall_detector import StalledPartition


@dataclass(frozen=True, slots=True)
class PairingCondition:
    """What is known about pairing at one time."""

    not_joined: tuple[Source, ...] = SOURCES
    """Sources of which it holds no partition and whose group does not list it as a member."""
    kafka_reachable: bool = True
    clickhouse_healthy: bool = True
    """Whether the last insert succeeded; true before the first."""
    loader_failure: str | None = None
    """Why the loader has given up; None while it works."""
    stalled: tuple[StalledPartition, ...] = ()


def pairing_health(condition: PairingCondition) -> HealthReport:
    """Health; failing means that a restart may help."""
    return _report(_failures(condition), _degradations(condition))


def pairing_readiness(condition: PairingCondition) -> HealthReport:
    """Readiness: it holds partitions, or is a member of groups that have none left for it.

    Without ClickHouse it is ready, though degraded: it still writes windows to Kafka, and
    decisions are still made.
    """
    failures = _failures(condition)
    failures += [
        f"not yet a member of the consumer group that reads {source}"
        for source in condition.not_joined
    ]
    return _report(failures, _degradations(condition))


def _report(failures: list[str], degradations: list[str]) -> HealthReport:
    if failures:
        return HealthReport(HealthStatus.FAILING, (*failures, *degradations))
    status = HealthStatus.DEGRADED if degradations else HealthStatus.OK
    return HealthReport(status, tuple(degradations))


def _failures(condition: PairingCondition) -> list[str]:
    failures = [
        f"{s.place} has not moved from offset {s.position} for {s.stalled_s:.0f} s "
        f"although {s.lag} records wait to be read"
        for s in condition.stalled
    ]
    if condition.loader_failure is not None:
        failures.append(f"loading into ClickHouse has stopped: {condition.loader_failure}")
    return failures


def _degradations(condition: PairingCondition) -> list[str]:
    degradations = []
    if not condition.clickhouse_healthy and condition.loader_failure is None:
        degradations.append("inserts into ClickHouse fail; they are retried")
    if not condition.kafka_reachable:
        degradations.append("Kafka does not answer")
    return degradations
