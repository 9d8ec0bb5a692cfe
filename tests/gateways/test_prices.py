"""What calls cost by the user's table."""

from __future__ import annotations

import pytest

from understudy.gateways.prices import Price, PriceTable
from understudy.schemas.events import Usage

TABLE = PriceTable(
    {
        "heron-4": Price(input=2.0, output=8.0, cached_input=0.5),
        "heron-4-mini": Price(input=0.2, output=0.8),
    }
)


def cost(usage: Usage | None, *models: str | None) -> float | None:
    priced = TABLE.priced(usage, *models)
    return priced.cost_usd if priced is not None else None


def test_tokens_cost_what_the_table_says() -> None:
    assert cost(Usage(1_000_000, 0), "heron-4") == 2.0
    assert cost(Usage(0, 1_000_000), "heron-4") == 8.0
    assert cost(Usage(1000, 500, None, 400), "heron-4") == pytest.approx(5.4e-3)
    assert cost(Usage(1000, 500, None, 400), "heron-4-mini") == pytest.approx(6e-4)
    assert cost(Usage(100, 0, None, 500), "heron-4") == pytest.approx(5e-5)  # more than there are


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("heron-4-2026-05-01",), 2.0),
        (("heron-4-mini-2026-05-01",), 0.2),
        (("heron-40",), None),
        (("unknown", "heron-4"), 2.0),
        ((None, "heron-4"), 2.0),
        ((None,), None),
        ((), None),
    ],
)
def test_a_dated_release_has_the_price_of_its_model(
    models: tuple[str | None, ...], expected: float | None
) -> None:
    assert cost(Usage(1_000_000, 0), *models) == expected


def test_what_is_known_stays_and_what_is_not_stays_unknown() -> None:
    assert cost(Usage(1, 1, 0.25), "heron-4") == 0.25
    assert cost(Usage(None, 1), "heron-4") is None
    assert cost(None, "heron-4") is None
