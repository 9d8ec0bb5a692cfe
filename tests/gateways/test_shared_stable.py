"""Several candidates at once share stable's answer, and one of them at most serves a user."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.gateways.rig import AT, Model, Published, Rig, allocation
from tests.gateways.virtual_time import run
from understudy.gateways.allocation import Allocation
from understudy.gateways.request_context import RequestContext
from understudy.gateways.shared_stable import SharedStable


class Rigs:
    """Rollouts with one stable."""

    def __init__(self, *allocations: Allocation) -> None:
        self.stable = Model("stable")
        self.rigs = [
            Rig(one, stable=self.stable, candidate=Model(one.rollout_id)) for one in allocations
        ]
        self.shared = SharedStable(*(rig.router for rig in self.rigs))

    def answers(self, requests: int) -> list[Any]:
        async def all_of_them() -> list[Any]:
            answers = [
                await self.shared.call(RequestContext(user_id=f"u{number}"), "hi")
                for number in range(requests)
            ]
            await self.shared.aclose(60.0)
            return answers

        return run(all_of_them())

    def published(self, number: int) -> Published:
        return self.rigs[number].published


def test_shadows_share_one_call_of_stable() -> None:
    rigs = Rigs(allocation(rollout_id="a"), allocation(rollout_id="b"))
    assert rigs.answers(3) == ["stable: hi"] * 3
    assert len(rigs.stable.calls) == 3
    for number, name in enumerate(("a", "b")):
        requests = rigs.published(number).requests
        assert len(requests) == 3
        for stable, candidate in requests:
            assert (stable.rollout_id, candidate.rollout_id) == (name, name)
            assert candidate.response is not None
            assert candidate.response.output == f"{name}: hi"


def test_each_user_belongs_to_one_of_the_canaries() -> None:
    canaries = [allocation("canary", 0.4, rollout_id=name) for name in ("a", "b")]
    rigs = Rigs(*canaries, allocation(rollout_id="c"))
    answers = rigs.answers(600)
    served = {name: answers.count(f"{name}: hi") for name in ("a", "b", "stable")}
    assert 90 < served["a"] < 150
    assert 90 < served["b"] < 150
    for number in (0, 1):
        events = rigs.published(number).events
        assert {event.mode for event in events} == {"canary"}
        candidates = sum(event.side == "candidate" for event in events)
        assert 0.32 < candidates / len(events) < 0.48  # as its own decision says
    assert len(rigs.published(0).events) + len(rigs.published(1).events) == 600
    assert len(rigs.published(2).requests) == served["stable"] == len(rigs.stable.calls)


def test_a_canary_whose_decision_grew_old_is_refreshed_by_what_stable_serves() -> None:
    """Its users stay its own meanwhile, and those of the others stay theirs."""
    fresh = [allocation("canary", 0.5, rollout_id=name) for name in ("a", "b")]
    old = allocation("canary", 0.5, rollout_id="a", written_at=AT - dt.timedelta(hours=1))
    rigs = Rigs(old, fresh[1])
    answers = rigs.answers(200)
    events = rigs.published(0).events
    assert {(event.side, event.mode) for event in events} == {("stable", "canary")}
    before = Rigs(*fresh)
    assert answers == [
        "stable: hi" if answer == "a: hi" else answer for answer in before.answers(200)
    ]
    assert len(events) == len(before.published(0).events)


def test_a_stopped_canary_needs_no_refreshing() -> None:
    stopped = allocation(
        "canary", 0.0, 0.0, verdict="rollback", written_at=AT - dt.timedelta(hours=1)
    )
    rigs = Rigs(stopped, allocation(rollout_id="b"))
    assert rigs.answers(20) == ["stable: hi"] * 20
    assert rigs.published(0).events == []


def test_a_request_that_cannot_be_assigned_is_served_by_stable() -> None:
    rigs = Rigs(*(allocation("canary", 1.0, rollout_id=name) for name in ("a", "b")))

    class Nameless:
        def __str__(self) -> str:
            raise RuntimeError("no name")

    async def asked() -> Any:
        context = RequestContext(user_id=Nameless())  # type: ignore[arg-type]
        return await rigs.shared.call(context, "hi")

    assert run(asked()) == "stable: hi"
    assert rigs.rigs[0].router.counts["failed: a request could not be assigned"] == 1


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_one_router_a_rollout(names: tuple[str, ...]) -> None:
    routers = [Rig(allocation(rollout_id=name)).router for name in names]
    with pytest.raises(ValueError, match="one a rollout"):
        SharedStable(*routers)
