"""Places of slices in arrays follow from the checks and from what has turned up."""

from __future__ import annotations

import pytest

from tests.analyzers.guardrails.test_evaluator import policy
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.slice_table import NO_PLACE, SliceTable
from understudy.analyzers.guardrails.slices import Arrivals

CHECKS = [
    check
    for check in checks_of(
        policy(
            "{metric: error_rate, max_increase: 1pp, slices: [all]}, "
            "{metric: json_valid_rate, max_drop: 1pp, slices: [all, each language]}"
        )
    )
    if not check.of_stable
]
TABLE = SliceTable(CHECKS, Arrivals(["en", "ja"], ["chat"]))


def test_every_check_has_its_own_slices_in_the_order_of_its_weights() -> None:
    assert TABLE.names == ["all", "language:en", "language:ja"]
    assert TABLE.of_check == [["all"], ["all", "language:en", "language:ja"]]
    assert [places.tolist() for places in TABLE.places_of_check] == [[0], [0, 1, 2]]
    assert TABLE.weights[0].tolist() == [0.5]
    alone = Arrivals(["en", "ja"]).weights(CHECKS[1].guardrail.slices)
    assert TABLE.weights[1].tolist() == pytest.approx([0.5 * one for one in alone.values()])


def test_a_row_is_part_of_the_slices_that_some_check_covers() -> None:
    assert TABLE.places_of("ja", "chat") == (0, 2, NO_PLACE, NO_PLACE)
    assert TABLE.places_of("de", "chat") == (0, NO_PLACE, NO_PLACE, NO_PLACE)


def test_mirrored_requests_have_places_of_their_own_where_the_policy_mirrors() -> None:
    table = SliceTable(CHECKS, Arrivals(["en", "ja"], ["chat"]), mirrors=True)
    own, mirrored = (table.places_of("ja", "chat", mode) for mode in ("canary", "shadow"))
    names = [[table.names[place] for place in places[:2]] for places in (own, mirrored)]
    assert names == [["all", "language:ja"], ["mirrored", "mirrored,language:ja"]]
    assert sum(weights.sum() for weights in table.weights) == pytest.approx(
        sum(weights.sum() for weights in TABLE.weights)
    )
    assert TABLE.places_of("ja", "chat", "shadow") == TABLE.places_of("ja", "chat")
