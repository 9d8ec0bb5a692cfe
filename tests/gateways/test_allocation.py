"""What a decision allocates, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from tests.gateways.decisions import decision as whole_decision
from understudy.gateways.allocation import (
    MAX_DECISION_AGE_S,
    PROBE_EVERY_S,
    Allocation,
    allocation_of,
    decode_allocation,
    in_force,
)

WRITTEN_AT = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)


def decision(**changes: Any) -> dict[str, Any]:
    """The fields that a gateway reads, and one that it does not know."""
    stage = {"name": "5%", "mode": "canary", "share": 0.05, **changes.pop("stage", {})}
    return {
        "schema_version": 99,
        "rollout_id": "r1",
        "verdict": "hold",
        "candidate_share": 0.05,
        "decided_at": "2026-03-04T11:59:50Z",
        "stage": {"stage": stage, "index": 1},
        "evidence": [{"of": "a newer release"}],
        **changes,
    }


def decoded(**changes: Any) -> Allocation:
    return decode_allocation(msgspec.json.encode(decision(**changes)), WRITTEN_AT)


def at(age_s: float) -> dt.datetime:
    return WRITTEN_AT + dt.timedelta(seconds=age_s)


def test_reads_what_it_obeys_and_nothing_else() -> None:
    assert decoded() == Allocation(
        rollout_id="r1",
        mode="canary",
        candidate_share=0.05,
        mirror_share=0.0,
        verdict="hold",
        stage="5%",
        decided_at=dt.datetime(2026, 3, 4, 11, 59, 50, tzinfo=dt.UTC),
        written_at=WRITTEN_AT,
    )


def test_decision_without_a_share_is_no_allocation() -> None:
    incomplete = {k: v for k, v in decision().items() if k != "candidate_share"}
    with pytest.raises(msgspec.ValidationError, match="candidate_share"):
        decode_allocation(msgspec.json.encode(incomplete), WRITTEN_AT)


@pytest.mark.parametrize(
    ("mode", "share", "mirrored"),
    [("shadow", 0.0, 1.0), ("interleave", 0.5, 1.0), ("canary", 0.05, 0.0), ("ab", 0.5, 0.0)],
)
def test_paired_stages_mirror_everything(mode: str, share: float, mirrored: float) -> None:
    found = decoded(candidate_share=share, stage={"mode": mode, "share": share})
    assert (found.mode, found.candidate_share, found.mirror_share) == (mode, share, mirrored)


def test_canary_mirrors_what_its_stage_says() -> None:
    assert decoded(stage={"mirror": 0.2}).mirror_share == 0.2


@pytest.mark.parametrize("changes", [{"verdict": "rollback"}, {"is_latched": True}])
@pytest.mark.parametrize("mode", ["shadow", "interleave", "canary", "ab"])
def test_rollback_gives_the_candidate_nothing(mode: str, changes: dict[str, Any]) -> None:
    found = decoded(stage={"mode": mode, "mirror": 0.2}, **changes)
    assert (found.candidate_share, found.mirror_share) == (0.0, 0.0)
    stale = in_force(found, at(MAX_DECISION_AGE_S + 1))
    assert stale is not None
    assert stale.probe_every_s is None


def test_decision_as_deciding_makes_it_is_read() -> None:
    made = whole_decision()
    found = allocation_of(made)
    assert (found.rollout_id, found.candidate_share, found.stage) == ("checkout", 0.05, "5%")
    assert found.written_at == found.decided_at == made.decided_at
    assert allocation_of(made, WRITTEN_AT).written_at == WRITTEN_AT


# Age


def test_age_counts_from_the_writing_and_is_never_negative() -> None:
    assert decoded().age_s(at(61.5)) == 61.5
    assert decoded().age_s(at(-5.0)) == 0.0


def test_without_a_decision_stable_serves_alone() -> None:
    assert in_force(None, at(0)) is None


def test_decision_is_in_force_until_it_is_too_old() -> None:
    found = decoded(stage={"mirror": 0.2})
    assert in_force(found, at(MAX_DECISION_AGE_S)) is found
    stale = in_force(found, at(MAX_DECISION_AGE_S + 0.001))
    assert stale == msgspec.structs.replace(
        found, candidate_share=0.0, mirror_share=0.0, is_stale=True
    )
    assert in_force(found, at(31.0), max_age_s=30.0) == stale


def test_candidate_that_had_everything_keeps_it_and_says_that_the_decision_is_old() -> None:
    found = decoded(candidate_share=1.0, stage={"share": 1.0})
    stale = in_force(found, at(86_400))
    assert stale == msgspec.structs.replace(found, is_stale=True)


@pytest.mark.parametrize("mode", ["shadow", "interleave"])
def test_paired_stage_probes_since_without_pairs_no_decision_would_be_refreshed(mode: str) -> None:
    stale = in_force(decoded(stage={"mode": mode}), at(86_400))
    assert stale is not None
    assert (stale.candidate_share, stale.mirror_share) == (0.0, 0.0)
    assert stale.probe_every_s == PROBE_EVERY_S


@pytest.mark.parametrize("mode", ["canary", "ab"])
def test_single_stage_needs_no_probe_since_stable_alone_makes_events(mode: str) -> None:
    stale = in_force(decoded(stage={"mode": mode}), at(86_400))
    assert stale is not None
    assert stale.probe_every_s is None
