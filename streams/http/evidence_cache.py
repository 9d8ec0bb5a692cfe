"""How evidence grew, kept for pages that stay open: a new decision adds a point, not a query."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.event_time import to_epoch_ms
from understudy.streams.clickhouse.evidence_history import (
    DAY,
    MAX_POINTS,
    EvidencePoint,
    read_course,
)
from understudy.streams.clickhouse.read_connection import ReadConnection

MAX_KEPT: Final = 100
"""Guardrails in slices; some hundred points of half a kilobyte each, so 30 MB at the very most."""
_MAX_GROWN: Final = 2 * MAX_POINTS
"""Points of a page that stays open for hours; then they are read and thinned again."""


class EvidenceCache:
    """The course of evidence by guardrail and slice. To be used by one thread at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], list[EvidencePoint]] = OrderedDict()

    def points(
        self, connection: ReadConnection, decision: Decision, one: Evidence
    ) -> list[EvidencePoint]:
        """Return the course of the last day up to a decision, in order.

        ClickHouse is asked unless the decision follows the newest one that was drawn. Raises
        `SinkBusy` and `SinkBroken`.
        """
        since = decision.decided_at - DAY
        key = (decision.rollout_id, decision.rollout_created_at, one.guardrail, one.slice)
        points = self._kept.pop(key, [])
        if not points or not 0 <= decision.sequence - points[-1].sequence <= 1 or (
            len(points) >= _MAX_GROWN
        ):  # fmt: skip
            points = read_course(connection, decision, one, since)
        if not points or points[-1].sequence < decision.sequence:
            points = [*points, EvidencePoint.of(decision, one)]  # ClickHouse may not have it yet
        since_ms = to_epoch_ms(since)
        points = [point for point in points if point.at_ms >= since_ms]
        self._kept[key] = points
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return points
