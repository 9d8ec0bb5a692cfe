"""ClickHouse's Native format, read: the bytes of a query's result as columns.

Numbers come as they lie in memory, and maps flattened, which is how they are sent: a row of 60
columns costs a microsecond, where making Python objects of it costs a hundred. Only the types that
the tables have in columns that are read this way are known; `native_format` writes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from understudy.streams.clickhouse.sink_errors import SinkBroken

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_NUMBERS: Final[dict[str, str]] = {
    "Bool": "?",
    "UInt8": "<u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int32": "<i4",
    "Int64": "<i8",
    "Float64": "<f8",
}
_INDEXES: Final = ("<u1", "<u2", "<u4", "<u8")
"""Of a dictionary's entries, by the lowest byte of the column's flags."""
_HAS_KEYS: Final = 1 << 9
"""Flag of a dictionary that comes with the block itself."""
_MAP: Final = re.compile(r"Map\((\w+), (\w+)\)")
_LABEL: Final = "LowCardinality(String)"
_NAMES: Final = re.compile(r"Map\(LowCardinality\(String\), (\w+)\)")


class LabelColumn(NamedTuple):
    """Strings of few kinds: (n,) places in a list of them."""

    codes: IntArray
    values: list[str]


class MapColumn(NamedTuple):
    """Maps from whole numbers to numbers: (n,) sizes, and the entries of all rows in a row."""

    sizes: IntArray
    keys: IntArray
    values: FloatArray


class NamesColumn(NamedTuple):
    """Maps from names to numbers: (n,) sizes, and the entries of all rows in a row."""

    sizes: IntArray
    keys: LabelColumn
    values: FloatArray


@dataclass(frozen=True, slots=True)
class NativeColumns:
    """The columns of some rows, by name."""

    n_rows: int = 0
    numbers: dict[str, FloatArray | IntArray] = field(default_factory=dict)
    """Whole numbers up to 64 bits as int64, wider ones and fractions as float64."""
    labels: dict[str, LabelColumn] = field(default_factory=dict)
    maps: dict[str, MapColumn] = field(default_factory=dict)
    names: dict[str, NamesColumn] = field(default_factory=dict)


def decode_blocks(payload: bytes) -> NativeColumns:
    """Decode all blocks of a result. Raises `SinkBroken` for what it does not know or is cut off.

    A server may write an error after the blocks that it has sent; that is refused, too.
    """
    reader = _Reader(payload)
    blocks = []
    try:
        while not reader.is_at_end:
            blocks.append(_block(reader))
    except (ValueError, IndexError) as error:
        raise SinkBroken(f"a result in an unexpected format: {error}") from error
    return _joined([block for block in blocks if block.n_rows])


class _Reader:
    """Reads one value after the other. Raises ValueError where the bytes end."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._payload)

    def array(self, dtype: str, count: int) -> NDArray[np.generic]:
        found = np.frombuffer(self._payload, dtype, count, self._at)
        self._at += found.nbytes
        return found

    def whole(self) -> int:
        """A UInt64."""
        return int(self.array("<u8", 1)[0])

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._payload[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        size = self.varint()
        found = self._payload[self._at : self._at + size]
        if len(found) < size:
            raise ValueError("a string is cut off")
        self._at += size
        return found.decode("utf-8", "replace")


def _block(reader: _Reader) -> NativeColumns:
    n_columns, n_rows = reader.varint(), reader.varint()
    block = NativeColumns(n_rows)
    for _ in range(n_columns):
        name, type_name = reader.text(), reader.text()
        if n_rows:
            _read_column(reader, block, name, type_name)
    return block


def _read_column(reader: _Reader, block: NativeColumns, name: str, type_name: str) -> None:
    n_rows = block.n_rows
    if type_name in _NUMBERS:
        block.numbers[name] = _number(reader.array(_NUMBERS[type_name], n_rows))
    elif type_name.startswith("DateTime64("):
        block.numbers[name] = _number(reader.array("<i8", n_rows))
    elif type_name == "UInt128":
        halves = reader.array("<u8", 2 * n_rows).astype(np.float64)
        block.numbers[name] = halves[0::2] + halves[1::2] * 2.0**64
    elif type_name == _LABEL:
        _check_version(reader)
        block.labels[name] = _labels(reader, n_rows)
    elif of_names := _NAMES.fullmatch(type_name):
        _check_version(reader)
        ends = reader.array("<u8", n_rows).astype(np.int64)
        labels = _labels(reader, int(ends[-1]))
        values = reader.array(_NUMBERS[of_names[1]], int(ends[-1]))
        sizes = np.diff(ends, prepend=0)
        block.names[name] = NamesColumn(sizes, labels, values.astype(np.float64))
    elif of_map := _MAP.fullmatch(type_name):
        ends = reader.array("<u8", n_rows).astype(np.int64)
        keys = reader.array(_NUMBERS[of_map[1]], int(ends[-1]))
        values = reader.array(_NUMBERS[of_map[2]], int(ends[-1]))
        block.maps[name] = MapColumn(
            np.diff(ends, prepend=0), keys.astype(np.int64), values.astype(np.float64)
        )
    else:
        raise ValueError(f"column {name} of type {type_name}")


def _number(found: NDArray[np.generic]) -> FloatArray | IntArray:
    """64 bits; the format's whole numbers beyond 63 become fractions, which hold them nearly."""
    if found.dtype == np.dtype("<f8"):
        return found.astype(np.float64)
    if found.dtype == np.dtype("<u8") and bool((found > np.uint64(2**63 - 1)).any()):
        return found.astype(np.float64)
    return found.astype(np.int64)


def _check_version(reader: _Reader) -> None:
    """Read what comes before a column with a dictionary."""
    if reader.whole() != 1:
        raise ValueError("a dictionary of an unknown version")


def _labels(reader: _Reader, n_rows: int) -> LabelColumn:
    if not n_rows:
        return LabelColumn(np.zeros(0, dtype=np.int64), [])
    flags = reader.whole()
    if not flags & _HAS_KEYS:
        raise ValueError("a dictionary that is elsewhere")
    values = [reader.text() for _ in range(reader.whole())]
    if reader.whole() != n_rows:
        raise ValueError("a dictionary of other rows")
    codes = reader.array(_INDEXES[flags & 0xFF], n_rows).astype(np.int64)
    if codes.size and int(codes.max()) >= len(values):
        raise ValueError("a string that the dictionary lacks")
    return LabelColumn(codes, values)


def _joined(blocks: list[NativeColumns]) -> NativeColumns:
    if not blocks:
        return NativeColumns()
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    return NativeColumns(
        sum(block.n_rows for block in blocks),
        {name: np.concatenate([block.numbers[name] for block in blocks]) for name in first.numbers},
        {name: _one_dictionary([block.labels[name] for block in blocks]) for name in first.labels},
        {
            name: MapColumn(
                *map(np.concatenate, zip(*(one.maps[name] for one in blocks), strict=True))
            )
            for name in first.maps
        },
        {name: _one_names_column([one.names[name] for one in blocks]) for name in first.names},
    )


def _one_names_column(parts: list[NamesColumn]) -> NamesColumn:
    return NamesColumn(
        np.concatenate([part.sizes for part in parts]),
        _one_dictionary([part.keys for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def _one_dictionary(parts: list[LabelColumn]) -> LabelColumn:
    """Each block has a dictionary of its own."""
    places: dict[str, int] = {}
    codes = []
    for part in parts:
        of_part = [places.setdefault(value, len(places)) for value in part.values]
        codes.append(np.array(of_part, dtype=np.int64)[part.codes])
    return LabelColumn(np.concatenate(codes), list(places))
