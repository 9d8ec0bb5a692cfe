"""The page of a rollout's traffic."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

from understudy.analyzers.windows.histogram import bucket_value
from understudy.streams.clickhouse.traffic_figures import (
    HISTOGRAMS,
    OTHER_SUMS,
    SIDE_SUMS,
    SIDES,
    Traffic,
    TrafficStep,
)
from understudy.streams.dashboard.traffic_page import traffic_page

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NAMES = [*OTHER_SUMS, *(f"{side}_{name}" for side in SIDES for name in SIDE_SUMS)]


def traffic(steps: int = 0, **sums: float) -> Traffic:
    """Ten thousand requests of each side, and what is given."""
    requests = {f"{side}_{name}": 10_000.0 for side in SIDES for name in ("requests", "answers")}
    made = {f"{side}_model_requests": 10_000.0 for side in SIDES}
    counts = {
        f"{side}_{name}": 100 * (n + 1)
        for n, side in enumerate(SIDES)
        for name in ("requests", "errors", "model_requests")
    }
    return Traffic(
        since=NOON - dt.timedelta(hours=1),
        until=NOON,
        rows=5,
        sums={**dict.fromkeys(NAMES, 0.0), **requests, **made, **sums},
        histograms={f"{side}_{name}": {} for side in SIDES for name in HISTOGRAMS},
        steps=[TrafficStep(60_000 * n, counts) for n in range(steps)],
    )


def test_failures_are_shares_of_what_could_fail_and_only_what_occurred() -> None:
    page = traffic_page(traffic(stable_errors=10, candidate_errors=40, stable_empties=3))
    assert [(one.title, one.stable, one.candidate, one.is_worse) for one in page.failures] == [
        ("gave no answer", "10 (0.1 %)", "40 (0.4 %)", True),
        ("answered with nothing", "3 (0.03 %)", "0 (0 %)", False),
    ]


def test_what_nobody_was_served_is_what_the_rollout_costs() -> None:
    page = traffic_page(
        traffic(candidate_cost_usd_count=5_000, candidate_cost_usd_sum=10.0, candidate_served=2_000)
    )
    assert page.rollout_cost == [
        ("Candidate's answers that nobody was served", "8,000"),
        ("What they cost", "$16"),
        ("The same per 1,000 requests", "$1.6"),
    ]
    assert traffic_page(traffic()).rollout_cost == [], "without prices nothing is known"


def test_every_event_ends_in_one_place() -> None:
    page = traffic_page(traffic(events_paired=90, events_unmatched_stable=4, events_invalid=6))
    assert page.ends == [
        ("Paired", "90", "90 %"), ("Without a partner", "4", "4 %"), ("Invalid", "6", "6 %"),
    ]  # fmt: skip


def test_times_come_from_the_histograms() -> None:
    some = traffic()
    some.histograms["stable_duration_ms_histogram"] |= {300: 99, 400: 1}
    some.histograms["candidate_duration_ms_histogram"] |= {300: 50, 400: 50}
    page = traffic_page(some)
    assert [one.title for one in page.times] == [
        "Duration, median", "Duration, p95", "Duration, p99",
    ]  # fmt: skip
    assert page.times[1].stable != page.times[1].candidate
    (drawn,) = page.charts
    spec = json.loads(drawn.spec)
    stable, candidate = spec["series"]
    assert sum(stable["values"]) == sum(candidate["values"]) == 100.0
    assert spec["x"][0] < bucket_value(301) / 1000 * 1.1


def test_requests_are_per_minute_and_a_last_step_that_may_grow_is_left_out() -> None:
    whole = traffic(steps=4)
    wide = replace(
        whole, steps=[TrafficStep(300_000 * n, step.sums) for n, step in enumerate(whole.steps)]
    )
    for newest_s, shown in ((1_200, 4), (1_100, 3)):
        cut = replace(wide, newest=dt.datetime.fromtimestamp(newest_s, dt.UTC))
        requests = traffic_page(cut).charts[0]
        assert requests.lines[0].values == [40.0] * shown
        assert requests.spoken == "800 requests in all."


def test_the_course_is_drawn_from_two_steps_on() -> None:
    assert traffic_page(traffic(steps=1)).charts == []
    requests, errors = traffic_page(traffic(steps=2)).charts
    assert json.loads(requests.spec)["series"][0]["values"] == [200, 200]
    assert [line["values"] for line in json.loads(errors.spec)["series"]] == [[100.0, 100.0]] * 2


def test_ratings_and_costs_of_an_answer_are_means() -> None:
    page = traffic_page(
        traffic(stable_cost_usd_count=2, stable_cost_usd_sum=0.01, candidate_feedback_score_count=4,
                candidate_feedback_positive=3)
    )  # fmt: skip
    assert [(one.title, one.stable, one.candidate) for one in page.costs] == [
        ("Cost of an answer", "$0.005", "–"), ("Positive ratings", "–", "75 %"),
    ]  # fmt: skip
