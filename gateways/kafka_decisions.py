"""Decisions as a gateway reads them from Kafka: each process the whole topic, without a group."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from understudy.gateways.allocation import Allocation, decode_allocation, distrusted
from understudy.gateways.compacted_topic import CompactedTopicFollower
from understudy.schemas.topics import DEFAULT_PREFIX, understudy_topics


class KafkaDecisions(CompactedTopicFollower[Allocation]):
    """The newest decision of every rollout, from `understudy.decisions`."""

    _what = "decisions"
    _record = "decision about"

    def __init__(self, config: Mapping[str, Any], *, topic_prefix: str = DEFAULT_PREFIX) -> None:
        """Follow with librdkafka's settings, `bootstrap.servers` at least."""
        super().__init__(config, understudy_topics(topic_prefix).decisions.name)

    def allocation(self, rollout_id: str) -> Allocation | None:
        """Return what the newest decision allocates; None without one, or before all was read."""
        return self.values().get(rollout_id)

    def _value_of(self, payload: bytes, written_at: dt.datetime) -> Allocation:
        return decode_allocation(payload, written_at)

    def _unreadable(self, previous: Allocation) -> Allocation:
        return distrusted(previous)
