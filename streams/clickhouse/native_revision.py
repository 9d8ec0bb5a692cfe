"""Native blocks as ClickHouse's server writes them for clients that name their protocol's revision.

chDB writes Native without a revision. Clients written in Go, such as Grafana's data source, read
the blocks with what later revisions added: a header for each block and a mark for each column.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

from clickhouse_connect.datatypes import registry
from clickhouse_connect.driver.buffer import ResponseBuffer
from clickhouse_connect.driver.common import write_leb128
from clickhouse_connect.driver.query import QueryContext

WITH_BLOCK_INFO: Final = 51_903
"""The first revision whose blocks have a header."""
WITH_SERIALIZATION: Final = 54_454
"""The first revision whose columns say whether they are serialized in a special way."""
_BLOCK_INFO: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""No overflow row, no bucket."""
_USUAL_SERIALIZATION: Final = b"\x00"


def with_revision(payload: bytes, revision: int) -> bytes:
    """The same blocks for a client of that revision."""
    if revision < WITH_BLOCK_INFO or not payload:
        return payload
    return b"".join(_parts(payload, revision))


def _parts(payload: bytes, revision: int) -> Iterator[bytes]:
    # The source is one piece, so the reader's place in its buffer is the place in the payload.
    source: Any = ResponseBuffer(SimpleNamespace(gen=iter([payload])))  # type: ignore[no-untyped-call]
    mark = _USUAL_SERIALIZATION if revision >= WITH_SERIALIZATION else b""
    context = QueryContext()
    done = 0
    while done < len(payload):
        columns, rows = source.read_leb128(), source.read_leb128()
        yield _BLOCK_INFO + _leb128(columns) + _leb128(rows)
        for _ in range(columns):
            start = source.buf_loc
            name, kind = source.read_leb128_str(), source.read_leb128_str()
            yield payload[start : source.buf_loc] + mark
            start = source.buf_loc
            if rows:
                context.start_column(name)
                registry.get_from_name(kind).read_column(source, rows, context)
            yield payload[start : source.buf_loc]
        done = source.buf_loc


def _leb128(number: int) -> bytes:
    written = bytearray()
    write_leb128(number, written)
    return bytes(written)
