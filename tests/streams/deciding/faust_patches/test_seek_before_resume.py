"""After a recovery the consumer seeks before anything is resumed, unless partitions are gone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_patches.seek_before_resume import SeekBeforeResume

WINDOWS, CHANGELOG = TP("understudy.windows", 0), TP("rollouts-changelog", 0)


class Recording:
    """Notes which methods were called, in order; they return nothing."""

    def __init__(self, happened: list[str]) -> None:
        self._happened = happened

    def __getattr__(self, name: str) -> Any:
        def called(*_: Any) -> None:
            self._happened.append(name)

        return called


def recover(*, rebalances_since: int = 0, generation_id: int = 5) -> list[str]:
    happened: list[str] = []

    async def note(name: str) -> None:
        happened.append(name)

    async def wait(coroutine: Any, timeout: float) -> None:
        await coroutine

    consumer = Recording(happened)
    vars(consumer).update(
        assignment=lambda: {WINDOWS, CHANGELOG},
        perform_seek=lambda: note("seek"),
        resume_partitions=lambda tps: happened.append(f"resume {len(tps)}"),
    )
    app = Recording(happened)
    vars(app).update(
        consumer=consumer,
        consumer_generation_id=5,
        rebalancing_count=3 + rebalances_since,
        conf=SimpleNamespace(broker_request_timeout=1.0),
        on_rebalance_complete=SimpleNamespace(send=lambda: note("complete")),
        flow_control=SimpleNamespace(resume=lambda: happened.append("empty queues")),
        _fetcher=SimpleNamespace(maybe_start=lambda: note("fetch")),
        assignor=SimpleNamespace(assigned_standbys=set),
    )
    tables = Recording(happened)
    vars(tables).update(values=list)
    recovery = bare(
        SeekBeforeResume,
        app=app,
        tables=tables,
        completed=asyncio.Event(),
        _rebalances=3,
        _wait=wait,
        _set_recovery_ended=lambda: None,
        _is_changelog_tp=lambda tp: tp == CHANGELOG,
    )
    asyncio.run(recovery.on_recovery_completed(generation_id))
    assert recovery.completed.is_set() == ("fetch" in happened)
    return happened


def test_seek_then_queues_then_partitions() -> None:
    assert recover() == [
        "complete", "seek", "empty queues", "resume 1", "resume_flow", "fetch",
        "on_actives_ready", "on_standbys_ready", "on_rebalance_end",
    ]  # fmt: skip


@pytest.mark.parametrize("stale", [{"rebalances_since": 1}, {"generation_id": 4}])
def test_partitions_revoked_meanwhile_are_left_alone(stale: dict[str, int]) -> None:
    assert recover(**stale) == ["complete"]


@pytest.mark.parametrize("rebalances_since", [0, 1])
def test_a_step_of_a_recovery_ends_it_when_partitions_have_been_revoked(
    rebalances_since: int,
) -> None:
    happened: list[str] = []
    app = SimpleNamespace(consumer_generation_id=5, rebalancing_count=3)

    async def wait_first(coroutine: Any, *_: Any, timeout: float | None) -> Any:
        await coroutine
        return SimpleNamespace(stopped=False, done=())

    async def seek() -> None:
        app.rebalancing_count += rebalances_since

    async def recover() -> None:
        recovery = bare(
            SeekBeforeResume, app=app, _rebalances=3, _generation_id=5,
            _signal_recovery_start=asyncio.Event(), wait_first=wait_first,
        )  # fmt: skip
        try:
            await recovery._wait(seek())
        except RebalanceAgain:
            happened.append("again")

    asyncio.run(recover())
    assert happened == ["again"] * rebalances_since
