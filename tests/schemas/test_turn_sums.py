"""Which measures have turn sums, and what these are called."""

from __future__ import annotations

from understudy.schemas.measure_kinds import SumKind
from understudy.schemas.measures import PAIR, SIDE, SUMS, TURNS
from understudy.schemas.turn_sums import TURN_SECTIONS, turn_measures


def test_what_a_guardrail_judges_request_by_request_has_turn_sums() -> None:
    names = {one.joint for one in (*TURNS.outcomes, *TURNS.pair_outcomes)}
    assert {"error", "json_valid", "language_match", "tool_calls_match"} <= names
    assert {one.name for one in TURNS.values} == {
        "cost_usd", "output_tokens", "output_characters",
    }  # fmt: skip
    assert turn_measures(SIDE, PAIR) == TURNS
    assert turn_measures((), ()) == ((), (), ())


def test_sums_of_pairs_have_signs_and_both_sides_of_values() -> None:
    kinds = {one.name: one.kind for one in SUMS["turns"]}
    assert [kinds[f"error_{name}"] for name in ("pairs", "sums", "products")] == [
        SumKind.COUNT, SumKind.SIGNED, SumKind.SIGNED,
    ]  # fmt: skip
    assert kinds["cost_usd_cross_products"] is kinds["cost_usd_stable_products"] is SumKind.PRODUCT
    assert "tool_calls_match_products" in kinds


def test_a_side_has_its_own_outcomes_alone() -> None:
    for section in TURN_SECTIONS.values():
        names = [one.name for one in SUMS[section]]
        assert names[:3] == ["requests", "first", "earlier"]
        assert {"error_products", "cost_usd_sums"} <= set(names)
        assert not any(name.startswith(("tool_calls_match", "cost_usd_stable")) for name in names)
