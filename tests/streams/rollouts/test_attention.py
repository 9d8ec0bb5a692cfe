"""The list of rollouts: what needs an operator comes first, with what to do."""

from __future__ import annotations

import datetime as dt

import msgspec

from tests.streams.demo.decisions import AT, decision
from tests.streams.http.views import policy
from understudy.schemas.api import RolloutStatus
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.rollouts.attention import SILENT_AFTER, by_attention, silence_of
from understudy.streams.rollouts.rollout_status import status_of

NOW = AT + dt.timedelta(minutes=1)
HOLD = msgspec.structs.replace(
    status_of(RolloutRecord(manifest=policy()), decision("hold")),
    rollout_id="hold", is_outdated=False, windows_until=AT,
)  # fmt: skip


def like(name: str, **changes: object) -> RolloutStatus:
    return msgspec.structs.replace(HOLD, rollout_id=name, **changes)


def test_the_most_urgent_come_first_and_equals_by_name() -> None:
    rows = by_attention(
        [
            HOLD,
            like("ready", verdict="promote"),
            like("waiting", verdict="waiting", windows_until=None),
            like("b-broken", verdict="rollback"),
            like("a-broken", verdict="rollback"),
            like("paused", is_paused=True),
            like("alarming", alerts=["stable itself answers no JSON"]),
            like("outdated", is_outdated=True),
            like("silent", windows_until=NOW - SILENT_AFTER),
            like("complete", verdict="promote", next_stage=None),
        ],
        NOW,
    )
    assert [row.status.rollout_id for row in rows] == [
        "a-broken", "b-broken", "paused", "alarming", "outdated", "silent", "ready", "waiting",
        "complete", "hold",
    ]  # fmt: skip
    needs = {row.status.rollout_id: row.need for row in rows}
    assert needs["alarming"] == "stable itself answers no JSON"
    assert needs["silent"] == "No window for 10 min"
    assert needs["ready"] == "Promote it to 1%, or wait if that is automatic"
    assert (needs["hold"], needs["complete"]) == ("–", "–")


def test_only_an_old_decision_none_or_silence_is_unknown() -> None:
    rows = by_attention(
        [HOLD, like("broken", verdict="rollback"), like("waiting", verdict="waiting"),
         like("outdated", is_outdated=True), like("silent", windows_until=NOW - SILENT_AFTER)],
        NOW,
    )  # fmt: skip
    unknown = {row.status.rollout_id for row in rows if row.is_unknown}
    assert unknown == {"waiting", "outdated", "silent"}
    assert [row.needs_operator for row in rows if row.status is HOLD] == [False]


def test_a_row_says_what_the_candidate_gets_and_why() -> None:
    (row,) = by_attention([like("one", candidate_share=0.05)], NOW)
    assert (row.share, row.reason) == ("5 %", HOLD.reasons[0])
    (row,) = by_attention([like("one", candidate_share=None, reasons=[])], NOW)
    assert (row.share, row.reason) == ("–", "")


def test_silence_begins_when_no_window_has_come_for_too_long() -> None:
    assert silence_of(HOLD, AT + SILENT_AFTER - dt.timedelta(seconds=1)) is None
    assert silence_of(HOLD, AT + SILENT_AFTER) == SILENT_AFTER.total_seconds()
    assert silence_of(like("new", windows_until=None), NOW) is None
