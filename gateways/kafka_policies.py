"""The routes that the policies in force make, from `understudy.rollouts`.

A policy that cannot be used beside the others leaves the table as it was, and a log line says why:
a mistake in one rollout must not take the models of another one away.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from understudy.gateways.compacted_topic import CompactedTopicFollower
from understudy.gateways.route_table import RouteTable, RouteTableError, table_of_policies
from understudy.schemas.rollout_records import decode_rollout_record
from understudy.schemas.rollouts import RolloutManifest
from understudy.schemas.topics import DEFAULT_PREFIX, understudy_topics

log = logging.getLogger(__name__)


class KafkaPolicies(CompactedTopicFollower[RolloutManifest]):
    """The policies of all rollouts, as a route table."""

    _what = "policies"

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        default_model: str | None = None,
        topic_prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Follow with librdkafka's settings; `default_model` serves workflows without a rollout."""
        self._default_model = default_model
        self._made_of: dict[str, RolloutManifest] = {}
        self._table = RouteTable((), default_model)
        super().__init__(config, understudy_topics(topic_prefix).rollouts.name)

    def table(self) -> RouteTable:
        """Return the newest table; the same object until a policy changes."""
        manifests = dict(self.values())
        if manifests != self._made_of:
            self._made_of = manifests
            try:
                self._table = table_of_policies(manifests.values(), self._default_model)
            except RouteTableError as error:
                log.error("The routes stay as they were: %s", error)
        return self._table

    def _value_of(
        self,
        rollout_id: str,
        payload: bytes,
        written_at: dt.datetime,
        previous: RolloutManifest | None,
    ) -> RolloutManifest | None:
        try:
            return decode_rollout_record(payload).manifest
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.error("The newest policy of %s cannot be read: %s", rollout_id, error)
            return previous
