"""What happens to a request, for every decision and every request."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.rig import allocation
from understudy.gateways.route_plan import STABLE_ALONE, RoutePlan, Sampling, plan_request

SHARES = st.floats(0.0, 1.0)
MODES = st.sampled_from(["shadow", "interleave", "canary", "ab"])
SAMPLING = st.builds(Sampling, shadow_share=SHARES, control_share=SHARES)


def test_without_a_decision_stable_serves_alone() -> None:
    assert plan_request(None, "user", "pair", Sampling(control_share=1.0)) is STABLE_ALONE


@given(MODES, SAMPLING, st.text(), st.text())
def test_a_decision_that_gives_nothing_runs_no_candidate(
    mode: str, sampling: Sampling, unit: str, pair: str
) -> None:
    given_nothing = allocation(mode, 0.0, mirror=0.0)  # type: ignore[arg-type]
    assert plan_request(given_nothing, unit, pair, sampling) == STABLE_ALONE


@given(SHARES, SHARES, SAMPLING, st.text(), st.text())
def test_shadow_never_serves_the_candidate(
    share: float, mirror: float, sampling: Sampling, unit: str, pair: str
) -> None:
    plan = plan_request(allocation("shadow", share, mirror), unit, pair, sampling)
    assert plan.served == "stable"
    assert plan.single is None
    assert plan.paired in (None, "shadow")


@given(SHARES, SAMPLING, st.text(), st.text())
def test_interleave_serves_the_candidate_only_where_both_run(
    share: float, sampling: Sampling, unit: str, pair: str
) -> None:
    plan = plan_request(allocation("interleave", share), unit, pair, sampling)
    assert plan.paired == "interleave" or plan == STABLE_ALONE
    assert plan.single is None


@given(st.sampled_from(["canary", "ab"]), SHARES, SHARES, SAMPLING, st.text(), st.text())
def test_canary_and_ab_tell_the_served_side_and_mirror_only_beside_stable(
    mode: str, share: float, mirror: float, sampling: Sampling, unit: str, pair: str
) -> None:
    plan = plan_request(allocation(mode, share, mirror), unit, pair, sampling)  # type: ignore[arg-type]
    assert plan.single == (mode if share > 0.0 else None)
    if plan.served == "candidate":
        assert plan.paired is None
    assert not plan.control or plan.paired


@given(SHARES, SHARES, st.text(), st.lists(st.text(), max_size=5))
def test_a_unit_stays_on_its_side_while_the_share_grows(
    one: float, other: float, unit: str, pairs: list[str]
) -> None:
    least, most = sorted((one, other))

    def sides(share: float) -> set[str]:
        plans = [plan_request(allocation("ab", share), unit, p, Sampling()) for p in ["", *pairs]]
        return {plan.served for plan in plans}

    assert len(sides(least)) == len(sides(most)) == 1
    if sides(least) == {"candidate"}:
        assert sides(most) == {"candidate"}


def test_the_share_of_mirrored_requests_is_that_of_the_decision_and_the_gateway() -> None:
    given_half = allocation("canary", 0.1, 0.5)
    plans = [
        plan_request(given_half, f"u{n}", f"p{n}", Sampling(shadow_share=0.5, control_share=0.5))
        for n in range(4_000)
    ]
    outside = [plan for plan in plans if plan.served == "stable"]
    mirrored = [plan for plan in outside if plan.paired == "shadow"]
    control = [plan for plan in mirrored if plan.control]
    assert 0.87 < len(outside) / len(plans) < 0.93
    assert 0.22 < len(mirrored) / len(outside) < 0.28
    assert 0.43 < len(control) / len(mirrored) < 0.57
    assert RoutePlan(single="canary") in outside


@pytest.mark.parametrize("mode", ["canary", "ab"])
def test_a_decision_that_is_too_old_is_refreshed_by_stables_own_events(mode: str) -> None:
    """Without any event no window would come, and no decision be refreshed."""
    old = msgspec.structs.replace(allocation(mode, 0.0, mirror=0.0), is_stale=True)  # type: ignore[arg-type]
    plan = plan_request(old, "user", "pair", Sampling())
    assert plan == RoutePlan(single=mode)  # type: ignore[arg-type]
    rolled_back = msgspec.structs.replace(old, verdict="rollback")
    assert plan_request(rolled_back, "user", "pair", Sampling()) == STABLE_ALONE


def test_interleave_keeps_a_unit_on_one_side_whatever_share_is_sampled() -> None:
    sampling = Sampling(shadow_share=0.5)
    for user in map(str, range(50)):
        served = {
            plan_request(allocation("interleave", 0.5), user, f"pair {n}", sampling).served
            for n in range(10)
        }
        assert len(served) == 1
