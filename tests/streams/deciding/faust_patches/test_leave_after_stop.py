"""While the app stops, a rebalance leaves the client alone."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import faust
import pytest
from faust.types import TP

from tests.streams.deciding.faust_patches.bare import bare
from understudy.streams.deciding.faust_app import DecidingApp
from understudy.streams.deciding.faust_patches.leave_after_stop import LeaveAfterStop


@pytest.mark.parametrize("is_patched", [False, True])
def test_a_rebalance_while_it_stops_closes_no_client(is_patched: bool) -> None:
    happened: list[str] = []

    class Stopping(LeaveAfterStop if is_patched else faust.App):  # type: ignore[misc]
        should_stop = True
        consumer = SimpleNamespace(close=lambda: happened.append("closed"))

    app = bare(Stopping)
    asyncio.run(app._on_partitions_revoked({TP("understudy.windows", 0)}))
    asyncio.run(app._on_partitions_assigned({TP("understudy.windows", 0)}))
    assert happened == ([] if is_patched else ["closed", "closed"])


def test_deciding_is_patched() -> None:
    patch = LeaveAfterStop._on_rebalance_when_stopped
    assert DecidingApp._on_rebalance_when_stopped is patch
