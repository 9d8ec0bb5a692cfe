"""Feedback read again from a committed offset gives the same rows; see `test_recovery`."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec
import pytest

from tests.streams.pairing.kills import (
    Sinks,
    Worker,
    differences_between,
    disturbed,
    killed_everywhere,
    undisturbed,
)
from tests.streams.pairing.log import opinion
from understudy.analyzers.windows.rows import total
from understudy.streams.pairing.dedup_cache import DedupCache
from understudy.streams.pairing.feedback_partition import FeedbackPartition
from understudy.streams.pairing.pairing_policy import PairingPolicy

POLICY = PairingPolicy(
    window_s=2, join_timeout_s=6, allowed_lateness_s=7, request_time_tolerance_s=0
)
SMALL_POLICY = PairingPolicy(
    window_s=2,
    join_timeout_s=6,
    allowed_lateness_s=7,
    request_time_tolerance_s=0,
    max_join_bytes=4_000,
)


def random_log(rng: random.Random, opinions: int) -> list[bytes]:
    """Payloads in order of arrival: disorder, second thoughts, copies, late ones, garbage."""
    arrivals: list[tuple[float, bytes]] = []
    at_s = 0.0
    for number in range(opinions):
        at_s += rng.choice((0.1, 0.3, 0.5, 1.0, 4.0))
        told_s = at_s
        for _ in range(rng.choices((1, 2, 4), (80, 14, 6))[0]):
            payload = opinion(
                f"p{number}",
                at_s=told_s,
                score=rng.randrange(11) / 10,
                side=rng.choice(("stable", "candidate", "candidate")),
                language=rng.choice(("en", "ja", None)),
                name=rng.choice(("thumbs", "thumbs", "stars")),
            )
            for _ in range(rng.choices((1, 2), (85, 15))[0]):
                delay_s = rng.choice((rng.random(), 3 * rng.random(), 15 * rng.random()))
                arrivals.append((told_s + delay_s, payload))
            told_s += rng.choice((0.0, 2.0, 5.5, 6.5))
        if rng.random() < 0.1:
            arrivals.append((at_s, rng.choice((b"{", b"", opinion("x", score=2.0)))))
    return [payload for _, payload in sorted(arrivals)]


def has_differences(seed: int, policy: PairingPolicy = POLICY) -> bool:
    rng = random.Random(seed)
    log = random_log(rng, 60)
    whole = undisturbed(log, policy, FeedbackPartition)
    return bool(differences_between(whole, disturbed(log, rng, policy, FeedbackPartition)))


@pytest.mark.slow
@pytest.mark.parametrize("policy", [POLICY, SMALL_POLICY], ids=["time", "bytes"])
def test_kills_do_not_show(policy: PairingPolicy) -> None:
    assert [seed for seed in range(250) if has_differences(seed, policy)] == []


def test_every_record_is_counted_once() -> None:
    outcomes: dict[str, int] = {}
    for seed in range(50):
        log = random_log(random.Random(seed), 80)
        worker = Worker(log, Sinks(), POLICY, FeedbackPartition)
        worker.read_to(len(log))
        worker.flush()
        totals = total(worker.sinks.rows.values())
        events = msgspec.to_builtins(totals.events)
        assert sum(events.values()) == len(log), seed
        assert (
            totals.stable.feedback_score_count + totals.candidate.feedback_score_count
            == totals.events.single
        )
        for name, count in events.items():
            outcomes[name] = outcomes.get(name, 0) + count
    assert set(outcomes) == {"single", "duplicate", "late", "invalid"}, "the logs have them all"


def is_noticed(seeds: Iterable[int] = range(250), policy: PairingPolicy = POLICY) -> bool:
    return any(has_differences(seed, policy) for seed in seeds)


def test_mutation_a_shorter_horizon_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PairingPolicy, "horizon_ms", property(lambda self: self.window_ms))
    assert is_noticed()


def test_mutation_counting_closed_windows_again_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FeedbackPartition, "_is_unwritten", lambda self, start_ms: False)
    assert is_noticed()


def test_mutation_a_copy_told_from_the_first_alone_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the first was not read again, a copy of a copy would be judged by the second."""

    def from_the_first(self: DedupCache, key: str, time_ms: int, watermark_ms: int) -> bool:
        last = self._last.setdefault(key, (time_ms, self.log_bytes))
        is_near = self._is_near(*last, watermark_ms)
        if not is_near:
            self._last[key] = (time_ms, self.log_bytes)
        return is_near and last[1] != self.log_bytes

    told_s = (10.0, 15.4, 20.8, 26.2, 31.6)
    opinions = [(at_s, opinion("again", at_s=at_s)) for at_s in told_s]
    others = [(at_s, opinion(f"p{at_s}", at_s=at_s)) for at_s in range(60)]
    log = [payload for _, payload in sorted([*opinions, *others])]
    assert killed_everywhere(log, POLICY, FeedbackPartition) == []
    monkeypatch.setattr(DedupCache, "is_copy", from_the_first)
    assert killed_everywhere(log, POLICY, FeedbackPartition) != []
