"""What a rollout captures, from when on, and until when."""

from __future__ import annotations

import datetime as dt

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import read_manifest
from understudy.schemas.rollout_records import RolloutRecord, new_rollout_record
from understudy.schemas.rollouts import Capture
from understudy.streams.pairing.capture_choices import (
    KNOWN_BY_ALL_MS,
    CaptureChoices,
    CaptureLimits,
    take_over,
)
from understudy.streams.settings import CaptureSettings

AT = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
AT_MS = to_epoch_ms(AT)


def record(capture: Capture) -> RolloutRecord:
    text = f"rollout_id: r\nmodels: {{stable: a, candidate: b}}\ncapture: {capture}\n"
    return new_rollout_record(read_manifest(text), AT)


def apply(choices: CaptureChoices, rollout_id: str, one: RolloutRecord | None) -> None:
    found = dict(choices.by_rollout)
    take_over(found, rollout_id, one)
    choices.by_rollout = found


def test_windows_count_that_begin_when_every_worker_knows_the_policy() -> None:
    choices = CaptureChoices()
    apply(choices, "r", record("worst"))
    assert choices.of("r", AT_MS + KNOWN_BY_ALL_MS) == "worst"
    assert choices.of("r", AT_MS + KNOWN_BY_ALL_MS - 1) == "none"
    assert choices.of("other", AT_MS + KNOWN_BY_ALL_MS) == "none"


def test_record_without_a_time_captures_from_the_beginning() -> None:
    choices = CaptureChoices()
    apply(choices, "r", RolloutRecord(manifest=record("all").manifest))
    assert choices.of("r", 0) == "all"


def test_off_and_deleted_rollouts_cost_nothing() -> None:
    choices = CaptureChoices()
    for last in (record("none"), None):
        apply(choices, "r", record("sample"))
        assert choices.by_rollout
        apply(choices, "r", last)
        assert not choices.by_rollout


def test_limits_are_those_of_the_settings() -> None:
    assert CaptureLimits.from_settings(CaptureSettings()) == CaptureLimits()
    assert CaptureLimits.from_settings(CaptureSettings(pairs_per_kind=7)).pairs_per_kind == 7
