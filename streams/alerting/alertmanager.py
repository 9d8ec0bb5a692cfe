"""Alertmanager: alarms as alerts of its API v2, `POST /api/v2/alerts`.

Alertmanager resolves an alert once its `endsAt` has passed. Firing alerts are repeated with an
`endsAt` some intervals ahead, so an alert ends by itself when Understudy is away for long. An alert
that no longer fires is sent once with an `endsAt` of now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from understudy.analyzers.guardrails.slices import ALL
from understudy.streams.alerting.alarms import DRIFT, GUARDRAIL, Alarm
from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notified_state_of,
)
from understudy.streams.alerting.drift_notice import DriftNotice
from understudy.streams.alerting.links import NO_LINKS, Links
from understudy.streams.alerting.receiver import Notification
from understudy.streams.dashboard.addresses import rollout_address

ALERTS_PATH: Final = "/api/v2/alerts"
LASTS_INTERVALS: Final = 3
"""Intervals that an alert lasts without being repeated; a lost repetition must not end it."""


class PostableAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`postableAlert` in Alertmanager's OpenAPI description."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime
    generator_url: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="generatorURL"
    )


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One Alertmanager, by the base URL of its API."""

    url: str
    repeat_s: float
    links: Links = NO_LINKS
    name: str = "alertmanager"

    def notification(
        self, before: NotifiedState | None, message: DecisionMessage, now: dt.datetime
    ) -> Notification | None:
        """All alarms of a decision, and those of the previous one that are over."""
        return self._changed(
            before.alarms if before else (), notified_state_of(message).alarms, now
        )

    def drift_notification(
        self, before: DriftNotice | None, notice: DriftNotice, now: dt.datetime
    ) -> Notification | None:
        """An alert for each side that has changed, and for those that no longer differ."""
        return self._changed(before.alarms if before else (), notice.alarms, now)

    def reminder(self, alarms: Sequence[Alarm], now: dt.datetime) -> Notification | None:
        """All alarms that fire."""
        return self._post([self._firing(alarm, now) for alarm in alarms])

    def _changed(
        self, before: Sequence[Alarm], firing: Sequence[Alarm], now: dt.datetime
    ) -> Notification | None:
        keys = {alarm.key for alarm in firing}
        resolved = [alarm for alarm in before if alarm.key not in keys]
        alerts = [self._firing(alarm, now) for alarm in firing]
        return self._post([*alerts, *(self._alert(alarm, now, now) for alarm in resolved)])

    def _firing(self, alarm: Alarm, now: dt.datetime) -> PostableAlert:
        ahead = dt.timedelta(seconds=LASTS_INTERVALS * self.repeat_s)
        return self._alert(alarm, now, now + ahead)

    def _alert(self, alarm: Alarm, now: dt.datetime, ends_at: dt.datetime) -> PostableAlert:
        page = self._page(alarm)
        annotations = {"summary": alarm.summary, "description": alarm.description}
        return PostableAlert(
            labels=alarm.labels,
            annotations={**annotations, "dashboard": page} if page else annotations,
            # Event time may be ahead of this clock, and an alert must not end before it starts.
            starts_at=min(alarm.since, now),
            ends_at=ends_at,
            generator_url=self.links.page(alarm.rollout_id) or msgspec.UNSET,
        )

    def _page(self, alarm: Alarm) -> str:
        """The dashboard's page about what fires: of a guardrail its evidence."""
        if alarm.name == GUARDRAIL:
            where = alarm.slice or ALL
            return self.links.evidence(alarm.rollout_id, alarm.guardrail, where)
        if alarm.name == DRIFT:
            return rollout_address(self.links.public_url, alarm.rollout_id, "traffic")
        return rollout_address(self.links.public_url, alarm.rollout_id)

    def _post(self, alerts: list[PostableAlert]) -> Notification | None:
        if not alerts:
            return None
        url = self.url.rstrip("/") + ALERTS_PATH
        return Notification(url, {"Content-Type": "application/json"}, msgspec.json.encode(alerts))
