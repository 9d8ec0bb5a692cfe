"""Where each sum of a window row stands in a vector of integers.

A vector holds all counts, all totals in ticks and, for products, their three parts (see
`moments`). Adding vectors is adding rows. The layout follows from `understudy.schemas.measures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.windows.moments import LIMBS
from understudy.schemas.measure_kinds import SumKind
from understudy.schemas.measures import SUMS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number of a row stands, and what its sum is divided by."""

    slot: int
    """First place in the vector."""
    section: str
    name: str
    kind: SumKind
    tick: float
    """The values, or the factors of a product, are rounded to whole ticks."""

    @property
    def column(self) -> str:
        """Name of the column."""
        return f"{self.section}_{self.name}"

    @property
    def is_product(self) -> bool:
        """Whether it stands in three parts."""
        return self.kind is SumKind.PRODUCT

    @property
    def divisor(self) -> int:
        """What a sum in ticks is divided by; 1 where ticks are the natural unit."""
        return round(1 / self.tick) ** (2 if self.is_product else 1)

    @property
    def width(self) -> int:
        """How many places it takes."""
        return LIMBS if self.is_product else 1


def _places() -> Iterator[Place]:
    slot = 0
    for section, sums in SUMS.items():
        if section == "unresolved":  # counted anew for each version of a row
            continue
        for one in sums:
            if not one.is_map:
                place = Place(slot, section, one.name, one.kind, one.tick)
                yield place
                slot += place.width


PLACES: Final = {place.column: place for place in _places()}
"""Every number of a row, by column."""
SLOTS: Final = {column: place.slot for column, place in PLACES.items()}
VECTOR_LENGTH: Final = sum(place.width for place in PLACES.values())
MOST_NAMES: Final = {
    f"{section}_{one.name}": one.most_names
    for section, sums in SUMS.items()
    for one in sums
    if one.kind is SumKind.NAMES
}
"""How many names a row has, by column of counts by name."""
