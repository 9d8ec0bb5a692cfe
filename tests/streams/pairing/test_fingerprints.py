"""What was seen is known for a while and a part of the log, wherever reading began."""

from __future__ import annotations

import random

import pytest

from understudy.streams.pairing import fingerprints
from understudy.streams.pairing.fingerprints import SeenFingerprints, first_offset_needed

DAY_S = 86_400


@pytest.fixture(autouse=True)
def small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "STRETCH_RECORDS", 8)
    monkeypatch.setattr(fingerprints, "MOST_STRETCHES", 3)


def copies(log: list[tuple[int, int]], first: int, look_back_s: int = DAY_S) -> list[bool]:
    """Of the records from an offset on: (fingerprint, second), whether each is a copy."""
    seen = SeenFingerprints(look_back_s)
    return [seen.is_copy(log[n][0], n, log[n][1]) for n in range(first, len(log))]


def test_a_copy_is_known_over_stretches_until_they_lie_too_far_back() -> None:
    log = [(99, 0), *((n, 0) for n in range(30)), (99, 0)]
    assert copies(log, 0)[-1]
    assert not copies([(99, 0), *((n, 0) for n in range(31)), (99, 0)], 0)[-1]


def test_a_copy_is_known_for_the_look_back() -> None:
    assert copies([(1, 0), (1, DAY_S)], 0) == [False, True]
    assert copies([(1, 0), (1, DAY_S + 1)], 0) == [False, False]


def test_what_is_known_does_not_depend_on_where_reading_began() -> None:
    rng = random.Random(5)
    log = [(rng.randrange(40), n * rng.choice((0, 700))) for n in range(400)]
    log = [(one, max(s for _, s in log[: n + 1])) for n, (one, _) in enumerate(log)]
    whole = copies(log, 0)
    for offset in range(0, 400, 7):
        first = first_offset_needed(offset)
        assert first <= offset
        assert copies(log, first)[offset - first :] == whole[offset:]


def test_large_numbers_are_told_apart() -> None:
    seen = SeenFingerprints(DAY_S)
    numbers = [2**64 - 1, 2**64 - 2, 2**63, 0]
    assert [seen.is_copy(one, n, 0) for n, one in enumerate(numbers)] == [False] * 4
    assert [seen.is_copy(one, n + 9, 0) for n, one in enumerate(numbers)] == [True] * 4
    assert len(seen) == 8
