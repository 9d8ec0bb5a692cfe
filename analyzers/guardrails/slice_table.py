"""The slice table: the slices that a policy's checks cover so far, with their places in arrays.

It follows from the checks and the arrivals, and is made anew whenever a language or workflow turns
up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from understudy.analyzers.guardrails.checks import Check
from understudy.analyzers.guardrails.slices import MIRRORED_MODE, Arrivals, mirrored
from understudy.analyzers.sequential.bets import FloatArray, IntArray

NO_PLACE: Final = -1
"""Of a slice that no check covers."""


class SliceTable:
    """Slices by their places, and each check's own among them."""

    def __init__(
        self, checks: Sequence[Check], arrivals: Arrivals, *, mirrors: bool = False
    ) -> None:
        """`mirrors` says whether requests that are mirrored have slices of their own."""
        self._arrivals, self._mirrors = arrivals, mirrors
        weights = [arrivals.weights(check.guardrail.slices) for check in checks]
        if mirrors:
            weights = list(map(_with_mirrored, weights))
        self.names: list[str] = list(dict.fromkeys(name for one in weights for name in one))
        """Of all slices that some check covers."""
        self.places: dict[str, int] = {name: place for place, name in enumerate(self.names)}
        self.of_check: list[list[str]] = [list(one) for one in weights]
        """By check, the names of its slices in the order of its arrays."""
        self.places_of_check: list[IntArray] = [
            np.array([self.places[name] for name in one], dtype=np.int64) for one in weights
        ]
        self.weights: list[FloatArray] = [
            check.weight * np.array(list(one.values()), dtype=np.float64)
            for check, one in zip(checks, weights, strict=True)
        ]
        """By check, the share of its action's error that each slice has."""
        self._of_row: dict[tuple[str, str, bool], tuple[int, ...]] = {}

    def places_of(self, language: str, workflow: str, mode: str | None = None) -> tuple[int, ...]:
        """Return a row's slices by kind, see `slices`; `NO_PLACE` where no check covers one.

        The mode matters alone where mirrored requests have slices of their own.
        """
        key = language, workflow, self._mirrors and mode == MIRRORED_MODE
        if key not in self._of_row:
            names = self._arrivals.slices_by_kind(language, workflow)
            self._of_row[key] = tuple(
                NO_PLACE if name is None else self._place(name, is_mirrored=key[2])
                for name in names
            )
        return self._of_row[key]

    def name_at(self, place: int) -> str | None:
        """Return the name of a slice; None where no check covers one."""
        return None if place == NO_PLACE else self.names[place]

    def _place(self, name: str, *, is_mirrored: bool) -> int:
        return self.places.get(mirrored(name) if is_mirrored else name, NO_PLACE)


def _with_mirrored(weights: dict[str, float]) -> dict[str, float]:
    """Share the weight of each slice evenly with its mirrored requests."""
    own = {name: weight / 2.0 for name, weight in weights.items()}
    return own | {mirrored(name): weight for name, weight in own.items()}
