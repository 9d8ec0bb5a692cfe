"""Reading again from a committed offset gives the same rows, whatever was killed and when.

Random logs of pairs, duplicates, late, lost and invalid events are read by workers that are killed
at random positions, with sinks that may hold more than was committed (torn flushes). What the sinks
hold at the end equals what one undisturbed worker would have written, to the byte.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.streams.pairing.kills import (
    Sinks,
    Worker,
    differences_between,
    disturbed,
    undisturbed,
)
from tests.streams.pairing.log import event
from understudy.analyzers.windows.rows import total
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.pairing.partition import Partition

POLICY = PairingPolicy(window_s=2, join_timeout_s=6, allowed_lateness_s=7)
SIDES3 = ["stable", "candidate", "control"]


def random_log(rng: random.Random, requests: int, disagreeing: float = 0.02) -> list[bytes]:
    """Payloads in order of arrival: disorder, loss, copies, late copies, garbage."""
    arrivals: list[tuple[float, bytes]] = []
    for number in range(requests):
        at_s = number * rng.choice((0.2, 0.5, 0.5, 1.0))
        for payload in request_sides(rng, number, at_s, disagreeing):
            copies = rng.choices((0, 1, 2, 3), (4, 80, 10, 3))[0]
            for _ in range(copies):
                delay_s = rng.choice((rng.random(), 3 * rng.random(), 20 * rng.random()))
                arrivals.append((at_s + delay_s, payload))
        if rng.random() < 0.1:
            arrivals.append((at_s, rng.choice((b"{", b"", event("x", side="both")))))
    return [payload for _, payload in sorted(arrivals)]


def request_sides(
    rng: random.Random, number: int, at_s: float, disagreeing: float = 0.0
) -> Iterator[bytes]:
    language = rng.choice(("en", "ja", "zh-Hans"))
    usage = {"cost_usd": rng.random() / 100, "output_tokens": rng.randrange(1000)}
    common: dict[str, Any] = {"language": language, "usage": usage}
    if rng.random() < 0.2:
        yield event(f"p{number}", at_s=at_s, mode="canary", sides=["stable"], **common)
        return
    sides = SIDES3 if rng.random() < 0.2 else SIDES3[:2]
    for side in sides:
        timing = {"duration_ms": rng.random() * 1000}
        text = {"output": rng.choice(("yes", "no", "maybe so"))}
        if rng.random() < disagreeing:
            common = {**common, "workflow": "other"}
        yield event(f"p{number}", side, at_s, sides=sides, timing=timing, response=text, **common)


def differences(seed: int, requests: int = 60, disagreeing: float = 0.02) -> list[tuple[Any, ...]]:
    """Keys of rows that differ, and the pairs that were not stored."""
    rng = random.Random(seed)
    log = random_log(rng, requests, disagreeing)
    return differences_between(undisturbed(log, POLICY), disturbed(log, rng, POLICY))


@pytest.mark.parametrize("seed", range(100))
def test_kills_do_not_show(seed: int) -> None:
    assert differences(seed) == []


@pytest.mark.parametrize("seed", [167, 196, 219, 246, 331, 333, 369, 452, 463, 491])
def test_a_disagreement_with_a_side_that_is_not_read_again(seed: int) -> None:
    """Found by the soak in `tests/faults`: its window had closed, and lost it on recovery."""
    assert differences(seed, disagreeing=0.25) == []


def test_every_event_is_counted_once() -> None:
    for seed in range(50):
        log = random_log(random.Random(seed), 80)
        worker = Worker(log, Sinks(), POLICY)
        worker.read_to(len(log))
        worker.flush()
        events = msgspec.to_builtins(total(worker.sinks.rows.values()).events)
        assert sum(events.values()) + worker.state.waiting_sides == len(log), seed


def found(seeds: range = range(120)) -> bool:
    """Whether any of the seeds shows a difference."""
    return any(differences(seed) for seed in seeds)


def test_mutation_a_shorter_horizon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        PairingPolicy, "horizon_ms", property(lambda self: self.join_timeout_ms), raising=True
    )
    assert found()


def test_mutation_counting_closed_windows_again_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Partition, "_is_closed", lambda self, start_ms: False)
    assert found()


def test_mutation_duplicates_by_arrival_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Partition._count_duplicate

    def by_arrival(self: Partition, record: Any, time_ms: int) -> None:
        honest(self, record, self.watermark_ms or time_ms)

    monkeypatch.setattr(Partition, "_count_duplicate", by_arrival)
    assert found()


def _row_bytes(log: list[bytes]) -> dict[tuple[Any, ...], bytes]:
    sinks = undisturbed(log, POLICY)
    return {
        key: msgspec.json.encode(msgspec.structs.replace(row, version=0))
        for key, row in sinks.rows.items()
    }


@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=60)
def test_the_order_of_sides_does_not_show(seed: int, rng: random.Random) -> None:
    """Any order, duplication and interleaving of sides within the timeouts: the same windows."""
    maker = random.Random(seed)
    sides = [
        side
        for number in range(12)
        for side in request_sides(maker, number, at_s=maker.random() * 5.9)
    ]
    shuffled = list(sides)
    rng.shuffle(shuffled)
    assert _row_bytes(shuffled) == _row_bytes(sides)
    copies = [*shuffled, *rng.choices(shuffled, k=5)]
    rng.shuffle(copies)
    assert _without_duplicates(_row_bytes(copies)) == _without_duplicates(_row_bytes(sides))


def _without_duplicates(rows: dict[tuple[Any, ...], bytes]) -> dict[tuple[Any, ...], Any]:
    documents = {key: msgspec.json.decode(row) for key, row in rows.items()}
    for document in documents.values():
        document.get("events", {}).pop("duplicate", None)
    return documents
