"""Each change is one line in the log, however many requests see it."""

from __future__ import annotations

import datetime as dt
import logging

import pytest

from tests.gateways.rig import AT, allocation
from understudy.gateways.allocation import Allocation, in_force
from understudy.gateways.stale_decisions import StaleDecisions


def noted(stale: StaleDecisions, given: Allocation | None, age_s: float) -> None:
    now = AT + dt.timedelta(seconds=age_s)
    stale.note(in_force(given, now), now)


def test_old_and_fresh_decisions_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    stale = StaleDecisions()
    canary, full = allocation("canary", 0.05), allocation("canary", 1.0, rollout_id="full")
    for age_s in (10, 301, 400, 20, 30):
        for given in (canary, full, None):
            noted(stale, given, age_s)
    assert [record.getMessage() for record in caplog.records] == [
        "rollout checkout: the newest decision is 301 s old; stable serves alone until there is a "
        "fresh one",
        "rollout full: the newest decision is 301 s old; the candidate keeps all requests until "
        "there is a fresh one",
        "rollout checkout: there is a fresh decision again",
        "rollout full: there is a fresh decision again",
    ]
