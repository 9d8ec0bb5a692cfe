"""ClickHouse's Native format is read as it is written, by this service and by ClickHouse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.streams.clickhouse.native_blocks import NativeColumns, decode_blocks
from understudy.streams.clickhouse.native_format import encode_block
from understudy.streams.clickhouse.sink_errors import SinkBroken

TYPES = {
    "flag": "Bool",
    "small": "UInt32",
    "whole": "UInt64",
    "wide": "UInt128",
    "fraction": "Float64",
    "time": "DateTime64(3, 'UTC')",
    "label": "LowCardinality(String)",
    "histogram": "Map(Int32, UInt64)",
    "models": "Map(LowCardinality(String), UInt64)",
}
ROW = st.fixed_dictionaries(
    {
        "flag": st.booleans(),
        "small": st.integers(0, 2**32 - 1),
        "whole": st.integers(0, 2**53),
        "wide": st.integers(0, 2**128 - 1),
        "fraction": st.floats(allow_nan=False),
        "time": st.integers(0, 10**13),
        "label": st.text(st.characters(codec="utf-8"), max_size=8),
        "histogram": st.dictionaries(
            st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**53), max_size=3
        ),
        "models": st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=8), st.integers(0, 2**53), max_size=3
        ),
    }
)
Row = dict[str, Any]


def encoded(rows: list[Row]) -> bytes:
    return encode_block("t", TYPES, {name: [row[name] for row in rows] for name in TYPES}).payload


def rows_of(found: NativeColumns) -> list[Row]:
    """The rows again, one by one."""
    columns: dict[str, list[Any]] = {name: one.tolist() for name, one in found.numbers.items()}
    for name, label in found.labels.items():
        columns[name] = [label.values[code] for code in label.codes.tolist()]
    keyed = {
        **{name: (one, one.keys.tolist()) for name, one in found.maps.items()},
        **{
            name: (one, [one.keys.values[code] for code in one.keys.codes.tolist()])
            for name, one in found.names.items()
        },
    }
    for name, (one, keys) in keyed.items():
        ends = np.cumsum(one.sizes).tolist()
        entries = list(zip(keys, one.values.tolist(), strict=True))
        parts = zip([0, *ends], ends, strict=False)
        columns[name] = [dict(entries[start:end]) for start, end in parts]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def expected(rows: list[Row]) -> list[Row]:
    return [
        {
            **row,
            "wide": float(row["wide"] & (2**64 - 1)) + float(row["wide"] >> 64) * 2.0**64,
            "histogram": {key: float(count) for key, count in row["histogram"].items()},
            "models": {key: float(count) for key, count in row["models"].items()},
        }
        for row in rows
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(ROW, min_size=1, max_size=4), max_size=3))
def test_what_was_written_is_read_again_block_after_block(blocks: list[list[Row]]) -> None:
    payload = b"".join(encoded(rows) for rows in blocks)
    found = decode_blocks(payload)
    assert found.n_rows == sum(map(len, blocks))
    assert rows_of(found) == expected([row for rows in blocks for row in rows])


SOME = {
    "flag": True,
    "small": 7,
    "whole": 8,
    "wide": 9,
    "fraction": 0.5,
    "time": 1_793_577_600_000,
    "label": "zh-Hans",
    "histogram": {3: 4, -1: 2},
    "models": {"heron-4": 5, "heron-5": 6},
}


def test_clickhouse_writes_it_in_the_same_way(client: Client) -> None:
    payload = client.raw_query(
        "SELECT CAST(1, 'Bool') AS flag, toUInt32(7) AS small, toUInt64(8) AS whole, "
        "toUInt128(9) AS wide, 0.5 AS fraction, "
        "fromUnixTimestamp64Milli(1793577600000, 'UTC') AS time, "
        "toLowCardinality(toString(number) = '1' ? 'ja' : 'zh-Hans') AS label, "
        "CAST((number = 1 ? [] : [3, -1], number = 1 ? [] : [4, 2]), 'Map(Int32, UInt64)') "
        "AS histogram, CAST((number = 1 ? [] : ['heron-4', 'heron-5'], number = 1 ? [] : [5, 6]), "
        "'Map(LowCardinality(String), UInt64)') AS models FROM numbers(3)",
        fmt="Native",
    )
    other = {**SOME, "label": "ja", "histogram": {}, "models": {}}
    assert rows_of(decode_blocks(payload)) == expected([SOME, other, SOME])


def test_a_result_of_many_blocks_has_one_dictionary(client: Client) -> None:
    n = 200_000
    payload = client.raw_query(
        "SELECT toLowCardinality(toString(intDiv(number, 100) % 700)) AS label, number "
        f"FROM numbers({n})",
        fmt="Native",
    )
    found = decode_blocks(payload)
    label = found.labels["label"]
    assert found.numbers["number"].tolist() == list(range(n))
    assert len(label.values) == len(set(label.values)) <= 701
    wanted = [str(number // 100 % 700) for number in range(0, n, 997)]
    assert [label.values[code] for code in label.codes[::997].tolist()] == wanted


def test_no_rows_are_no_columns() -> None:
    assert decode_blocks(b"") == NativeColumns()
    assert decode_blocks(encoded([])).n_rows == 0


@pytest.mark.parametrize("size", [1, 3, 40, 90, -1])
def test_what_is_cut_off_is_refused(size: int) -> None:
    payload = encoded([SOME, SOME])[:size]
    with pytest.raises(SinkBroken, match="unexpected format"):
        decode_blocks(payload)


def test_an_error_after_the_rows_is_refused() -> None:
    with pytest.raises(SinkBroken, match="unexpected format"):
        decode_blocks(encoded([SOME]) + b"Code: 241. DB::Exception: Memory limit exceeded")


def test_other_types_are_refused() -> None:
    payload = encode_block("t", {"text": "String"}, {"text": ["a"]}).payload
    with pytest.raises(SinkBroken, match="column text of type String"):
        decode_blocks(payload)
