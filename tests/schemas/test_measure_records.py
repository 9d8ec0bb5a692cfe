"""The generated records are those of the declaration."""

from __future__ import annotations

import dataclasses
from typing import get_type_hints

import pytest

from understudy.analyzers.compare import measure_arrays
from understudy.schemas.measure_kinds import Measure
from understudy.schemas.measure_records import files
from understudy.schemas.measures import CONTROL, PAIR, SIDE, SUMS
from understudy.schemas.windows import SECTIONS

TYPES = {"int": int, "float": float, "Histogram": dict[int, int], "Names": dict[str, int]}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_the_sums_with_their_types(section: str) -> None:
    hints = get_type_hints(SECTIONS[section])
    assert list(hints.items()) == [(one.name, TYPES[one.type_name]) for one in SUMS[section]]
    row = SECTIONS[section]()
    assert all(not getattr(row, one.name) for one in SUMS[section])


@pytest.mark.parametrize(
    ("record", "measures"),
    [
        (measure_arrays.SideMeasures, SIDE),
        (measure_arrays.PairMeasures, PAIR),
        (measure_arrays.ControlMeasures, CONTROL),
    ],
)
def test_arrays_have_the_measures_in_order(record: type, measures: tuple[Measure, ...]) -> None:
    found = [(field.name, field.type) for field in dataclasses.fields(record)]
    assert found == [(one.name, one.array_type) for one in measures]


def test_generated_files_say_so() -> None:
    for text in files().values():
        assert text.startswith("# Written by `python -m understudy.schemas.generate`")
        compile(text, "generated", "exec")
