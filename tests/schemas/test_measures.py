"""The declaration holds together: names, units, and sums that fit."""

from __future__ import annotations

import pytest

from understudy.schemas.events import MAX_COST_USD, MAX_DURATION_MS
from understudy.schemas.measure_kinds import Category, Distribution, GuardrailMetric, Outcome
from understudy.schemas.measures import CONTROL, FEEDBACK, PAIR, SIDE, SUMS, check_rates

LARGEST = {
    "ms": MAX_DURATION_MS,
    "tokens": 2.0**31 - 1,
    "characters": 2.0**31 - 1,
    "US dollars": MAX_COST_USD,
    "0 to 1": 1.0,
}
MAX_TICKS = 2.0**44
"""See `understudy.analyzers.windows.moments`."""


@pytest.mark.parametrize("section", SUMS)
def test_sums_of_a_section_have_names_of_their_own(section: str) -> None:
    names = [one.name for one in SUMS[section]]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("measures", [SIDE, FEEDBACK, PAIR])
def test_measures_have_names_of_their_own(measures: tuple[Outcome, ...]) -> None:
    names = [one.name for one in measures]
    assert len(set(names)) == len(names)


def test_rates_are_over_sums_that_there_are() -> None:
    sums = {section: {one.name for one in some} for section, some in SUMS.items()}
    for measure in (*SIDE, *FEEDBACK):
        if isinstance(measure, Outcome | Category) and measure.success:
            assert {measure.among, measure.success} <= sums["stable"]
            assert not measure.paired_among or measure.paired_among in sums["pair"]
    for measure in PAIR:
        if isinstance(measure, Outcome):
            assert {measure.among, measure.success} <= sums["pair"]
    for measure in CONTROL:
        if isinstance(measure, Outcome):
            assert {measure.among, measure.success} <= sums["control"]


METRIC = GuardrailMetric("rude_rate", "rudeness")


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        (Outcome("rude", "was rude", among="answers"), "no sum is named answers"),
        (Outcome("rude", "was rude", measured_by="tones"), "no sum is named tones"),
        (Outcome("rude", "was rude", paired_among="pears"), "no sum of pairs is named pears"),
        (Outcome("rude", "was rude", metric=METRIC), "either paired_among or two_arms"),
        (
            Outcome("rude", "was rude", paired_among="pairs", two_arms=True, metric=METRIC),
            "either paired_among or two_arms",
        ),
    ],
)
def test_a_rate_that_cannot_be_read_is_an_error_at_import(measure: Outcome, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_rates([measure], {"requests"}, {"pairs"})
    check_rates([Outcome("rude", "was rude", paired_among="pairs", metric=METRIC)],
                {"requests"}, {"pairs"})  # fmt: skip
    check_rates([Outcome("rude", "was rude", two_arms=True, metric=METRIC)],
                {"requests"}, {"pairs"})  # fmt: skip


def test_the_largest_value_fits_into_ticks() -> None:
    for measure in (*SIDE, *FEEDBACK, *PAIR):
        if isinstance(measure, Distribution):
            assert LARGEST[measure.unit] / measure.tick < MAX_TICKS, measure.name


def test_control_is_measured_as_pairs_are() -> None:
    assert {one.name for one in SUMS["control"]} < {one.name for one in SUMS["pair"]}
