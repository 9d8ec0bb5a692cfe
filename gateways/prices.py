"""What calls cost, by a table that the user gives: no list of prices stays true for long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from understudy.schemas.events import Usage

_TOKENS: Final = 1e6
"""Providers state prices for a million tokens."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens of one model."""

    input: float
    output: float
    cached_input: float | None = None
    """Of input tokens that the provider had cached; as `input` where it is left out."""

    def cost_usd(self, usage: Usage) -> float | None:
        """Return the price of a call; None where the tokens are not known."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
        cached_price = self.input if self.cached_input is None else self.cached_input
        paid = (usage.input_tokens - cached) * self.input + cached * cached_price
        return (paid + usage.output_tokens * self.output) / _TOKENS


class PriceTable:
    """Prices by model."""

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)
        self._longest_first = sorted(self._prices, key=len, reverse=True)

    def priced(self, usage: Usage | None, *models: str | None) -> Usage | None:
        """Return the usage with its cost, by the first of `models` that has a price.

        A dated release (`heron-4-2026-05-01`) has the price of the longest name that it begins
        with. A cost that is known already stays.
        """
        if usage is None or usage.cost_usd is not None:
            return usage
        for model in models:
            price = self._price(model)
            if price is not None:
                return msgspec.structs.replace(usage, cost_usd=price.cost_usd(usage))
        return usage

    def _price(self, model: str | None) -> Price | None:
        if model is None or model in self._prices:
            return self._prices.get(model or "")
        dated = (name for name in self._longest_first if model.startswith(f"{name}-"))
        return self._prices.get(next(dated, ""))
