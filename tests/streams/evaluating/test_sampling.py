"""Which requests are evaluated."""

from __future__ import annotations

import random
from typing import Any

import pytest

from understudy.schemas.evaluation_sampling import EvaluationSampling
from understudy.streams.evaluating.sampling import MAX_SLICES, Chosen, RolloutSampler
from understudy.streams.pairing.pair_place import place_of

HOUR_MS = 3_600_000


def sampling(evaluator: str = "e@1", **changes: Any) -> EvaluationSampling:
    fields: dict[str, Any] = {
        "share": 0.1,
        "floor_per_hour": 0,
        "both_orders": 0.2,
        "control_share": 0.2,
        "usd_per_day": 1.0,
        "calls_per_minute": 60,
    }
    return EvaluationSampling(evaluator=evaluator, **{**fields, **changes})


def take(
    sampler: RolloutSampler, place: float, slice_name: tuple[str, str], time_ms: int
) -> tuple[Chosen, ...]:
    """Choose and count, as is done with a request that is in order."""
    chosen = sampler.choose(place, slice_name, time_ms)
    sampler.count_request(place, slice_name, time_ms)
    sampler.count_chosen(chosen, place, slice_name, time_ms)
    return chosen


def test_places_are_even_and_independent() -> None:
    sample = [place_of("r", str(n)) for n in range(10_000)]
    order = [place_of("r", str(n), "order") for n in range(10_000)]
    assert sum(sample) / 10_000 == pytest.approx(0.5, abs=0.01)
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(sample, order, strict=True))
    assert both / 10_000 == pytest.approx(0.25, abs=0.015)
    assert place_of("r", "1") == place_of("r", "1") != place_of("s", "1")


def test_a_share_is_chosen_and_evaluators_share_the_sample() -> None:
    sampler = RolloutSampler((sampling("a@1", share=0.2), sampling("b@1", share=0.05)))
    chosen = [take(sampler, place_of("r", str(n)), ("en", ""), 0)
              for n in range(20_000)]  # fmt: skip
    by_a = [{one.sampling.evaluator for one in found} for found in chosen]
    assert sum("a@1" in names for names in by_a) / 20_000 == pytest.approx(0.2, abs=0.01)
    assert sum("b@1" in names for names in by_a) / 20_000 == pytest.approx(0.05, abs=0.005)
    assert all("a@1" in names for names in by_a if "b@1" in names)
    assert {one.probability for found in chosen for one in found} == {0.2, 0.05}


def test_a_rare_language_has_its_floor() -> None:
    sampler = RolloutSampler((sampling(share=0.01, floor_per_hour=20),))
    counts: dict[tuple[int, str], int] = {}
    rng = random.Random(1)
    for n in range(40_000):
        language = "sw" if rng.random() < 0.01 else "en"
        hour = n // 10_000
        found = take(sampler, place_of("r", str(n)), (language, "chat"), hour * HOUR_MS + n)
        counts[hour, language] = counts.get((hour, language), 0) + len(found)
        assert not any(one.is_floor for one in found if language == "en" and n > 10_000)
    for hour in range(4):
        assert 15 <= counts[hour, "sw"] <= 40, counts
        assert 60 <= counts[hour, "en"] <= 140, counts


def test_the_floor_is_spread_over_the_hour_once_the_rate_is_known() -> None:
    sampler = RolloutSampler((sampling(share=0.0001, floor_per_hour=20),))
    times: list[int] = []
    for n in range(2_000):  # a thousand an hour
        at_ms = n * HOUR_MS // 1000
        if take(sampler, place_of("r", str(n)), ("sw", ""), at_ms):
            times.append(at_ms)
    second = [at_ms - HOUR_MS for at_ms in times if at_ms >= HOUR_MS]
    assert 10 <= len(second) <= 20
    assert max(second) > HOUR_MS / 2


def test_the_probability_tells_how_requests_like_it_were_chosen() -> None:
    sampler = RolloutSampler((sampling(share=0.01, floor_per_hour=20),))
    for n in range(100):
        take(sampler, 1.0 + n, ("sw", ""), 0)
    (found,) = sampler.choose(0.15, ("sw", ""), HOUR_MS)
    assert found.is_floor
    assert found.probability == pytest.approx(0.2)
    (found,) = sampler.choose(0.005, ("sw", ""), HOUR_MS)
    assert not found.is_floor
    assert found.probability == pytest.approx(0.2), "it would have been chosen as the others are"


def test_weighing_by_the_probability_counts_the_requests() -> None:
    estimates = []
    for trial in range(200):
        sampler = RolloutSampler((sampling(share=0.05, floor_per_hour=20),))
        for n in range(100):
            take(sampler, place_of("r", f"{trial}-before-{n}"), ("sw", ""), 0)
        chosen = [
            one
            for n in range(100)
            for one in take(sampler, place_of("r", f"{trial}-{n}"), ("sw", ""), HOUR_MS)
        ]
        estimates.append(sum(1 / one.probability for one in chosen))
    assert sum(estimates) / len(estimates) == pytest.approx(100, abs=6)


def test_a_request_of_another_time_leaves_the_floor_as_it_is() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    take(sampler, 0.0, ("sw", ""), 1_000 * HOUR_MS)
    assert sampler.choose(0.5, ("sw", ""), 5 * HOUR_MS)
    assert sampler.choose(0.5, ("sw", ""), 6 * HOUR_MS)


def test_to_choose_counts_nothing() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    for _ in range(100):
        assert sampler.choose(0.9, ("sw", ""), 0)
    assert not sampler._hours


def test_copies_of_a_request_count_once() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    for _ in range(1_000):
        sampler.count_request(0.9, ("sw", ""), 0)
    assert sampler.choose(0.9, ("sw", ""), 0)


def test_what_is_known_of_copies_is_bounded() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    for n in range(50_000):
        sampler.count_request(n / 50_000, ("sw", ""), 0)
    assert len(sampler._recent) + len(sampler._earlier) <= 20_000


def test_slices_are_forgotten_after_two_hours() -> None:
    sampler = RolloutSampler((sampling(floor_per_hour=1),))
    for hour in range(5):
        take(sampler, 0.5 + hour, (f"x{hour}", ""), hour * HOUR_MS)
    assert [name for (name, _), _ in sampler._hours] == ["x3", "x4"]


def test_hostile_names_of_languages_do_not_fill_memory() -> None:
    sampler = RolloutSampler((sampling(floor_per_hour=1),))
    for n in range(MAX_SLICES + 100):
        take(sampler, 0.5 + n, (f"x{n}", ""), 0)
    assert len(sampler._hours) == MAX_SLICES


def test_a_floor_that_is_told_is_not_filled_again() -> None:
    """After a restart, and beside another worker: what the log says counts as what was chosen."""
    told = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    for n in range(15):
        told.note_chosen("e@1", n / 100, ("sw", ""), 0)
        told.note_chosen("e@1", n / 100, ("sw", ""), 0)  # read twice
    chosen = [n for n in range(100) if take(told, n / 100, ("sw", ""), 0)]
    assert chosen == list(range(20)), "those that were chosen stay so, and five come to them"


def test_what_is_told_of_other_evaluators_slices_and_hours_changes_nothing() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=2),))
    take(sampler, 0.9, ("sw", ""), 10 * HOUR_MS)
    for evaluator, slice_name, hour in (
        ("f@1", ("sw", ""), 10), ("e@1", ("sw", "chat"), 10), ("e@1", ("sw", ""), 8),
    ):  # fmt: skip
        sampler.note_chosen(evaluator, 0.1, slice_name, hour * HOUR_MS)
        sampler.note_chosen(evaluator, 0.2, slice_name, hour * HOUR_MS)
    assert sampler.choose(0.95, ("sw", ""), 10 * HOUR_MS)
    assert {number for _, number in sampler._hours} == {10}


def test_places_of_a_slice_with_many_requests_are_not_kept() -> None:
    sampler = RolloutSampler((sampling(share=1.0, floor_per_hour=5),))
    for n in range(1_000):
        take(sampler, n / 1_000, ("en", ""), 0)
    (hour,) = sampler._hours.values()
    assert len(hour.chosen["e@1"]) == 5


def test_a_worker_of_several_expects_what_the_others_see() -> None:
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),), partition_share=0.25)
    for n in range(100):
        take(sampler, 1.0 + n, ("sw", ""), 0)
    (found,) = sampler.choose(0.04, ("sw", ""), HOUR_MS)
    assert found.probability == pytest.approx(20 / 400)


def test_a_worker_that_catches_up_exceeds_no_floor() -> None:
    """What others choose now must not keep it from counting what it chooses of earlier hours."""
    sampler = RolloutSampler((sampling(share=0.0, floor_per_hour=20),))
    sampler.note_chosen("e@1", 0.5, ("sw", ""), 10 * HOUR_MS)
    places = [place_of("r", str(n)) for n in range(1_000)]
    assert sum(map(len, (take(sampler, one, ("sw", ""), 7 * HOUR_MS) for one in places))) == 20
