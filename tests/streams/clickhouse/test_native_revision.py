"""Native blocks for clients that name a revision, read back by a reader that expects it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_connect.datatypes import registry
from clickhouse_connect.driver.buffer import ResponseBuffer
from clickhouse_connect.driver.query import QueryContext

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.native_revision import with_revision

SQL = """
SELECT number, toString(number) AS text, toLowCardinality('x') AS low, [number] AS list,
    map(toUInt16(number), number) AS numbers, if(number % 2 = 0, NULL, 'a') AS perhaps,
    (number, 'y') AS two, toDateTime64(number, 3, 'UTC') AS time
FROM numbers({rows}) SETTINGS max_block_size = 100 FORMAT Native
"""


def read(payload: bytes, *, header: bool, mark: bool) -> Iterator[list[list[Any]]]:
    """The columns of each block, as a client of such a revision reads them."""
    source: Any = ResponseBuffer(SimpleNamespace(gen=iter([payload])))  # type: ignore[no-untyped-call]
    context = QueryContext()
    while source.buf_loc < len(payload):
        if header:
            assert source.read_bytes(8) == b"\x01\x00\x02\xff\xff\xff\xff\x00"
        columns, rows = source.read_leb128(), source.read_leb128()
        block = []
        for _ in range(columns):
            context.start_column(source.read_leb128_str())
            kind = registry.get_from_name(source.read_leb128_str())
            if mark:
                assert source.read_bytes(1) == b"\x00"
            block.append(list(kind.read_column(source, rows, context)) if rows else [])
        yield block


@pytest.mark.parametrize("rows", [0, 1, 250])
@pytest.mark.parametrize(
    ("revision", "header", "mark"),
    [(0, False, False), (51_902, False, False), (54_405, True, False), (54_515, True, True)],
)
def test_blocks_of_every_revision_hold_the_same(
    rows: int, revision: int, header: bool, mark: bool, clickhouse_url: str
) -> None:
    client = connect(clickhouse_url)
    plain = bytes(client.raw_query(SQL.format(rows=rows)))
    client.close()
    written = with_revision(plain, revision)
    expected = list(read(plain, header=False, mark=False))
    assert list(read(written, header=header, mark=mark)) == expected
    assert sum(len(block[0]) for block in expected) == rows
