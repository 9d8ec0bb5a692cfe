"""Garbage is collected without anybody asking for it; what is permanent is left alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from understudy.streams.gc_control import THRESHOLDS, garbage_collection_of_a_worker


class _Node:
    """One half of a reference cycle."""

    other: _Node


def _lost_cycle() -> weakref.ref[_Node]:
    left, right = _Node(), _Node()
    left.other, right.other = right, left
    return weakref.ref(left)


def test_cycles_are_collected_while_nothing_else_happens_but_allocation() -> None:
    with garbage_collection_of_a_worker():
        cycle = _lost_cycle()
        kept = [[] for _ in range(2 * THRESHOLDS[0])]
        assert cycle() is None
    assert len(kept) == 2 * THRESHOLDS[0]


@pytest.fixture
def thawed() -> Iterator[None]:
    """Test runs freeze what they have collected; see `conftest.py`."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_what_exists_is_frozen_until_the_end() -> None:
    before = gc.get_threshold()
    with garbage_collection_of_a_worker():
        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


@pytest.mark.usefixtures("thawed")
def test_what_the_process_froze_itself_stays_so() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    with garbage_collection_of_a_worker():
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_freeze_count() > frozen / 2, "frozen objects may still end"
