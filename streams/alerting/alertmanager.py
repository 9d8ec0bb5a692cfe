"""Alertmanager: alarms as alerts of its API v2, `POST /api/v2/alerts`.

Alertmanager takes an alert for resolved once its `endsAt` has passed. Firing ones are sent again
and again with an `endsAt` some intervals ahead, so an alert ends by itself when Understudy is gone
for long; one that fires no more is sent once with an `endsAt` of now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec

from understudy.streams.alerting.alarms import Alarm
from understudy.streams.alerting.delivery import Letter
from understudy.streams.alerting.links import link_to
from understudy.streams.alerting.notices import Notice, Standing, standing_of

ALERTS_PATH: Final = "/api/v2/alerts"
LASTS_INTERVALS: Final = 3
"""An alert outlives so many intervals without being sent again."""


class PostableAlert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`postableAlert` of Alertmanager's OpenAPI description."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime
    generator_url: str | msgspec.UnsetType = msgspec.field(
        default=msgspec.UNSET, name="generatorURL"
    )


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """One Alertmanager, by the URL under which its API stands."""

    url: str
    repeat_s: float
    external_url: str = ""
    name: str = "alertmanager"

    def letter(self, before: Standing | None, notice: Notice, now: dt.datetime) -> Letter | None:
        """All alarms of a decision, and those of the one before that are over."""
        firing = standing_of(notice).alarms
        keys = {alarm.key for alarm in firing}
        gone = [a for a in (before.alarms if before else ()) if a.key not in keys]
        alerts = [self._firing(alarm, now) for alarm in firing]
        return self._post([*alerts, *(self._alert(alarm, now, now) for alarm in gone)])

    def reminder(self, standing: Sequence[Standing], now: dt.datetime) -> Letter | None:
        """All alarms that stand."""
        alarms = chain.from_iterable(one.alarms for one in standing)
        return self._post([self._firing(alarm, now) for alarm in alarms])

    def _firing(self, alarm: Alarm, now: dt.datetime) -> PostableAlert:
        ahead = dt.timedelta(seconds=LASTS_INTERVALS * self.repeat_s)
        return self._alert(alarm, now, now + ahead)

    def _alert(self, alarm: Alarm, now: dt.datetime, ends_at: dt.datetime) -> PostableAlert:
        return PostableAlert(
            labels=alarm.labels,
            annotations={"summary": alarm.summary, "description": alarm.description},
            # Event time may be ahead of this clock, and an alert must not end before it starts.
            starts_at=min(alarm.since, now),
            ends_at=ends_at,
            generator_url=link_to(self.external_url, alarm.rollout_id) or msgspec.UNSET,
        )

    def _post(self, alerts: list[PostableAlert]) -> Letter | None:
        if not alerts:
            return None
        url = self.url.rstrip("/") + ALERTS_PATH
        return Letter(url, {"Content-Type": "application/json"}, msgspec.json.encode(alerts))
