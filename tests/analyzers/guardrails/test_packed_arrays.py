"""Packed arrays come back to the bit, and small counts take few bytes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from understudy.analyzers.guardrails.packed_arrays import PackedArray, pack, unpack

NUMBERS = st.one_of(
    st.integers(0, 2**40).map(float),
    st.sampled_from([0.0, 255.0, 256.0, 65_535.0, 65_536.0, 2.0**32 - 1, 2.0**32, -1.0, 0.5]),
    st.floats(allow_nan=False),
)


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2), elements=NUMBERS))
def test_what_is_packed_comes_back_through_json(table: np.ndarray) -> None:
    payload = msgspec.json.encode(pack(table))
    back = unpack(msgspec.json.decode(payload, type=PackedArray))
    assert np.array_equal(back, table)
    assert msgspec.json.encode(pack(back)) == payload


@pytest.mark.parametrize(("largest", "width"), [(255, 1), (256, 2), (65_536, 4), (2**32, 8)])
def test_a_column_takes_the_smallest_type_that_holds_it(largest: int, width: int) -> None:
    table = np.zeros((100, 3))
    table[:, 1] = largest
    (columns,) = pack(table).columns
    assert (columns.places, len(columns.values)) == ([1], 100 * width)


def test_a_table_without_rows_keeps_its_width() -> None:
    assert unpack(pack(np.zeros((0, 7)))).shape == (0, 7)
