"""Which requests are evaluated."""

from __future__ import annotations

import random
from typing import Any

import pytest

from understudy.schemas.evaluation_sampling import EvaluationSampling
from understudy.streams.evaluating.sampling import MAX_SLICES, RolloutSampler, place_of

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


def test_places_are_even_and_independent() -> None:
    sample = [place_of("r", str(n)) for n in range(10_000)]
    order = [place_of("r", str(n), "order") for n in range(10_000)]
    assert sum(sample) / 10_000 == pytest.approx(0.5, abs=0.01)
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(sample, order, strict=True))
    assert both / 10_000 == pytest.approx(0.25, abs=0.015)
    assert place_of("r", "1") == place_of("r", "1") != place_of("s", "1")


def test_a_share_is_chosen_and_evaluators_share_the_sample() -> None:
    sampler = RolloutSampler((sampling("a@1", share=0.2), sampling("b@1", share=0.05)))
    chosen = [sampler.choose(place_of("r", str(n)), ("en", ""), 0, counts=True)
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
        found = sampler.choose(
            place_of("r", str(n)), (language, "chat"), hour * HOUR_MS + n, counts=True
        )
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
        if sampler.choose(place_of("r", str(n)), ("sw", ""), at_ms, counts=True):
            times.append(at_ms)
    second = [at_ms - HOUR_MS for at_ms in times if at_ms >= HOUR_MS]
    assert 10 <= len(second) <= 20
    assert max(second) > HOUR_MS / 2


def test_the_probability_tells_how_requests_like_it_were_chosen() -> None:
    sampler = RolloutSampler((sampling(share=0.01, floor_per_hour=20),))
    for _ in range(100):
        sampler.choose(1.0, ("sw", ""), 0, counts=True)
    (found,) = sampler.choose(0.15, ("sw", ""), HOUR_MS, counts=True)
    assert found.is_floor
    assert found.probability == pytest.approx(0.2)


def test_hostile_names_of_languages_do_not_fill_memory() -> None:
    sampler = RolloutSampler((sampling(floor_per_hour=1),))
    for n in range(MAX_SLICES + 100):
        sampler.choose(0.5, (f"x{n}", ""), 0, counts=True)
    assert len(sampler._hours) == MAX_SLICES
