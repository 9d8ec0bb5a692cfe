"""Cycles are collected between batches alone."""

from __future__ import annotations

import gc
import weakref

from understudy.streams.pairing.gc_control import CollectBetweenBatches


class _Node:
    """One half of a reference cycle."""

    other: _Node


def _lost_cycle() -> weakref.ref[_Node]:
    left, right = _Node(), _Node()
    left.other, right.other = right, left
    return weakref.ref(left)


def test_cycles_wait_until_a_collection_is_due() -> None:
    now_s = 0.0
    with CollectBetweenBatches(10.0, clock=lambda: now_s) as garbage:
        cycle = _lost_cycle()
        now_s = 9.0
        garbage.collect_if_due()
        assert cycle() is not None
        now_s = 10.0
        garbage.collect_if_due()
        assert cycle() is None


def test_python_collects_by_itself_again_afterwards() -> None:
    with CollectBetweenBatches():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
