"""The interface of a receiver: which requests notify it of a decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from understudy.streams.alerting.alarms import Alarm
from understudy.streams.alerting.decision_message import DecisionMessage, NotifiedState
from understudy.streams.alerting.drift_notice import DriftNotice


@dataclass(frozen=True, slots=True)
class Notification:
    """One POST request."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Receiver(Protocol):
    """Builds the requests to one receiver. Pure: the time is an argument."""

    @property
    def name(self) -> str:
        """For logs."""

    @property
    def url(self) -> str:
        """Where it listens; only its host is logged."""

    @property
    def repeat_s(self) -> float:
        """How often it is reminded of alarms that still fire; 0 for never."""

    def notification(
        self, before: NotifiedState | None, message: DecisionMessage, now: dt.datetime
    ) -> Notification | None:
        """The request about a decision, given what was sent before; None for no request."""

    def drift_notification(
        self, before: DriftNotice | None, notice: DriftNotice, now: dt.datetime
    ) -> Notification | None:
        """The request about a rollout's drift, given what was told before; None for no request."""

    def reminder(self, alarms: Sequence[Alarm], now: dt.datetime) -> Notification | None:
        """The request that repeats all alarms that fire; None for no request."""
