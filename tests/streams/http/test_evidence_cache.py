"""The course of evidence: asked once, then grown by each new decision."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from tests.streams.alerting.samples import decision
from tests.streams.demo.decisions import evidence
from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.clickhouse.evidence_history import MAX_POINTS, EvidencePoint
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.http import evidence_cache
from understudy.streams.http.evidence_cache import MAX_KEPT, EvidenceCache

NOWHERE = cast(ReadConnection, None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Slices that ClickHouse was asked for; it has the decisions 1 to 3."""
    found: list[str] = []

    def read(_: object, __: Decision, one: Evidence, ___: object) -> list[EvidencePoint]:
        found.append(one.slice)
        return [_point(number) for number in (1, 2, 3)]

    monkeypatch.setattr(evidence_cache, "read_course", read)
    return found


def _point(number: int) -> EvidencePoint:
    at = made(number)
    return EvidencePoint.of(at, at.evidence[0])


def made(sequence: int, minute: int | None = None) -> Decision:
    found = decision("hold", minute=sequence if minute is None else minute, sequence=sequence)
    return msgspec.structs.replace(found, evidence=[evidence("all")])


def drawn(cache: EvidenceCache, sequence: int, minute: int | None = None) -> list[int]:
    newest = made(sequence, minute)
    return [point.sequence for point in cache.points(NOWHERE, newest, newest.evidence[0])]


def test_clickhouse_is_asked_once_while_decisions_follow_each_other(asked: list[str]) -> None:
    cache = EvidenceCache()
    assert drawn(cache, 3) == [1, 2, 3]
    assert drawn(cache, 3) == [1, 2, 3], "a second page of the same"
    assert drawn(cache, 4) == [1, 2, 3, 4]
    assert drawn(cache, 5) == [1, 2, 3, 4, 5]
    assert asked == ["all"]


def test_a_decision_that_was_missed_or_comes_anew_is_read(asked: list[str]) -> None:
    cache = EvidenceCache()
    drawn(cache, 3)
    assert drawn(cache, 5) == [1, 2, 3, 5], "ClickHouse has no 4 yet; the newest is drawn anyway"
    drawn(cache, 1)
    assert len(asked) == 3


def test_what_is_older_than_a_day_leaves(asked: list[str]) -> None:
    cache = EvidenceCache()
    drawn(cache, 3)
    assert drawn(cache, 4, minute=24 * 60 + 2) == [2, 3, 4]


def test_a_page_that_is_open_for_long_is_thinned_again(asked: list[str]) -> None:
    cache = EvidenceCache()
    for number in range(3, 3 + 2 * MAX_POINTS):
        assert len(drawn(cache, number, minute=10)) <= 2 * MAX_POINTS
    assert len(asked) == 2


def test_only_so_many_are_kept(asked: list[str]) -> None:
    cache, newest = EvidenceCache(), made(3)
    for number in [*range(MAX_KEPT + 1), MAX_KEPT, 0]:
        cache.points(NOWHERE, newest, evidence(f"language:x{number}"))
    assert len(asked) == MAX_KEPT + 2, "the one asked for longest ago was dropped, no other"
