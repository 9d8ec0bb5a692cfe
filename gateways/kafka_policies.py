"""The routes that the policies in force make, from `understudy.rollouts`.

A policy that cannot be used beside the others leaves the table as it was, and a log line says why:
a mistake in one rollout must not take the models of another one away.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

from understudy.gateways.compacted_topic import CompactedTopicFollower
from understudy.gateways.route_table import RouteTable, RouteTableError, table_of_policies
from understudy.schemas.rollout_records import decode_rollout_record
from understudy.schemas.rollouts import RolloutManifest
from understudy.schemas.topics import DEFAULT_PREFIX, understudy_topics

log = logging.getLogger(__name__)


class KafkaPolicies(CompactedTopicFollower[RolloutManifest]):
    """The policies of all rollouts, as a route table."""

    _what = "policies"
    _record = "policy of"

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        default_model: str | None = None,
        topic_prefix: str = DEFAULT_PREFIX,
    ) -> None:
        """Follow with librdkafka's settings; `default_model` serves workflows without a rollout.

        It also serves all requests before the policies have been read, so that none has to wait.
        """
        self._default_model = default_model
        self._made_of: dict[str, RolloutManifest] = {}
        self._table = RouteTable((), default_model, is_complete=False)
        super().__init__(config, understudy_topics(topic_prefix).rollouts.name)

    def table(self) -> RouteTable:
        """Return the newest table; the same object until a policy changes.

        It is not complete before all policies have been read. The child of a fork goes on with its
        parent's until it has read them itself.
        """
        manifests = dict(self.values())
        if self._ready.is_set() and (manifests != self._made_of or not self._table.is_complete):
            self._made_of = manifests
            try:
                self._table = table_of_policies(manifests.values(), self._default_model)
            except RouteTableError as error:
                log.error("The routes stay as they were: %s", error)
        return self._table

    def _value_of(self, payload: bytes, written_at: dt.datetime) -> RolloutManifest | None:
        return decode_rollout_record(payload).manifest
