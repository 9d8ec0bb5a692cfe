"""Every number has a place of its own in the vector."""

from __future__ import annotations

from understudy.analyzers.windows.layout import MOST_NAMES, PLACES, SLOTS, VECTOR_LENGTH
from understudy.schemas.windows import SECTIONS


def test_every_number_of_the_contract_has_its_own_place() -> None:
    names = set(PLACES)
    wanted = {
        f"{section}_{field}"
        for section, record in SECTIONS.items()
        for field in record.__struct_fields__
        if not field.endswith("_histogram") and f"{section}_{field}" not in MOST_NAMES
        if section != "unresolved"  # no sum: each version of a row has its own
    }
    assert names == wanted == set(SLOTS)
    slots = [
        slot for place in PLACES.values() for slot in range(place.slot, place.slot + place.width)
    ]
    assert slots == list(range(VECTOR_LENGTH))
