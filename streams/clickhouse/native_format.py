"""ClickHouse's Native format, written: columns to the bytes that an INSERT carries.

Numpy arrays go over as they lie in memory, so a row of 90 columns costs about 2 µs; the client's
own insert packs every number as a Python object, at twice the cost. Blocks of the same columns can
be joined end to end. Only writing is done here, and only the types that the tables need.

Input by type: numbers, Bool and Enum8 take arrays or lists of numbers (n,); DateTime64(3) takes
milliseconds since 1970; String and LowCardinality(String) take lists of str; Array takes a list
of lists; Map takes dicts. A Nullable float is NULL where it is NaN, a
Nullable integer where it is negative. Numbers beyond a type's range are set to its nearest limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Column = Sequence[Any] | NDArray[Any]
Encoder = Callable[[Column], bytes]

_NUMBERS: Final[dict[str, type[np.generic]]] = {
    "Bool": np.uint8,
    "Enum8": np.int8,
    "UInt8": np.uint8,
    "UInt16": np.uint16,
    "UInt32": np.uint32,
    "UInt64": np.uint64,
    "Int32": np.int32,
    "Int64": np.int64,
    "DateTime64": np.int64,
    "Float32": np.float32,
    "Float64": np.float64,
}
_DICTIONARY_VERSION: Final = (1).to_bytes(8, "little")
_DICTIONARY_FLAGS: Final = (1 << 9) | (1 << 10)
_UINT128_LIMIT: Final = (1 << 128) - 1
_WRAPPED: Final = re.compile(r"(?P<outer>\w+)\((?P<inner>.*)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one table, encoded; `columns` are the table's columns that it fills."""

    table: str
    columns: tuple[str, ...]
    rows: int
    payload: bytes

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, here and on its way."""
        return len(self.payload)


def encode_block(table: str, types: Mapping[str, str], columns: Mapping[str, Column]) -> Block:
    """Encode columns, each of n values; `types` maps a column's name to its ClickHouse type.

    Raises KeyError for an unknown column, ValueError when lengths differ or a value does not fit
    its type.
    """
    rows = len(next(iter(columns.values()), ()))
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{table}.{name} has {len(values)} values, other columns {rows}")
    together = _encode_together(types, columns) if rows else {}
    parts = [_leb128(len(columns)), _leb128(rows)]
    for name, values in columns.items():
        data = together.get(name)
        if data is None:
            data = _encode(table, name, types[name], values)
        parts += (_header(name, types[name]), data)
    return Block(table, tuple(columns), rows, b"".join(parts))


@lru_cache(maxsize=4096)
def _header(name: str, type_name: str) -> bytes:
    """What comes before the data of a column."""
    return _text(name) + _text(type_name)


def _encode_together(types: Mapping[str, str], columns: Mapping[str, Column]) -> dict[str, bytes]:
    """Encode columns that are plain lists of numbers, all of one type at once, by name.

    A table of windows has hundreds, each of few rows. What is not that simple is left out.
    """
    by_type: dict[str, list[str]] = {}
    for name, values in columns.items():
        if types[name] in _PLAIN and not isinstance(values, np.ndarray):
            by_type.setdefault(types[name], []).append(name)
    encoded: dict[str, bytes] = {}
    for type_name, names in by_type.items():
        numbers = np.array([columns[name] for name in names])
        if numbers.dtype.kind in _PLAIN[type_name]:
            data = _within(numbers, _NUMBERS[type_name]).tobytes()
            width = len(data) // len(names)
            encoded.update(
                (name, data[row * width : (row + 1) * width]) for row, name in enumerate(names)
            )
    return encoded


_PLAIN: Final = {"UInt64": "iu", "Int64": "iu", "Float64": "fiu"}
"""Types that many columns have, and numpy's kinds of numbers that need no further check."""


def _encode(table: str, name: str, type_name: str, values: Column) -> bytes:
    if not len(values):
        return b""
    prefix, encoder = _encoder(type_name)
    try:
        return prefix + encoder(values)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"{table}.{name} ({type_name}): {error}") from error


@cache
def _encoder(type_name: str) -> tuple[bytes, Encoder]:
    """What comes before the column's data, and how to write the data."""
    match = _WRAPPED.fullmatch(type_name)
    outer, inner = (match["outer"], match["inner"]) if match else (type_name, "")
    if outer == "String":
        return b"", _texts
    if outer == "LowCardinality" and inner == "String":
        return _DICTIONARY_VERSION, _dictionary
    if outer == "Nullable":
        return b"", _nullable(_NUMBERS[inner])
    if outer == "Array":
        prefix, encoder = _encoder(inner)
        return prefix, _array(encoder)
    if outer == "Map":
        return _map(*inner.split(", "))
    if outer == "UInt128":
        return b"", _uint128
    return b"", _numbers(_NUMBERS[outer])


def _numbers(dtype: type[np.generic]) -> Encoder:
    return lambda values: _within(np.asarray(values), dtype).tobytes()


def _within(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """The values as `dtype`, set to its limits where they lie beyond."""
    if values.dtype.kind == "O":
        values = np.asarray([_int64_or_uint64(value) for value in values.tolist()])
    if values.dtype == dtype:
        return values
    if np.dtype(dtype).kind in "iu" and values.dtype.kind in "iu":
        least, most = _limits(values.dtype, np.dtype(dtype))
        values = values if least is None else np.maximum(values, least)
        values = values if most is None else np.minimum(values, most)
    elif np.dtype(dtype).kind in "iu" and values.dtype.kind != "b":
        raise ValueError(f"whole numbers wanted, not {values.dtype}")
    return values.astype(dtype)


@cache
def _limits(own: np.dtype[Any], dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the most of a type, as numbers of another; None where that has none beyond."""
    limits, of_own = np.iinfo(dtype), np.iinfo(own)
    least = own.type(limits.min) if limits.min > of_own.min else None
    most = own.type(limits.max) if limits.max < of_own.max else None
    return least, most


def _int64_or_uint64(value: Any) -> Any:
    """An integer too large for numpy, set to the limit."""
    return min(max(value, -(1 << 63)), (1 << 64) - 1) if isinstance(value, int) else value


def _nullable(dtype: type[np.generic]) -> Encoder:
    def encode(values: Column) -> bytes:
        known = np.asarray(values)
        nulls = np.isnan(known) if known.dtype.kind == "f" else known < 0
        if nulls.any():
            known = np.where(nulls, known.dtype.type(0), known)
        return nulls.tobytes() + _within(known, dtype).tobytes()

    return encode


def _uint128(values: Column) -> bytes:
    return b"".join(min(int(v), _UINT128_LIMIT).to_bytes(16, "little") for v in values)


def _array(encoder: Encoder) -> Encoder:
    def encode(values: Column) -> bytes:
        flat = list(chain.from_iterable(values))
        return _offsets(values) + (encoder(flat) if flat else b"")

    return encode


def _map(key_type: str, value_type: str) -> tuple[bytes, Encoder]:
    """Where each row's keys end, then all keys, then all values."""
    key_prefix, encode_keys = _item_encoder(key_type)
    value_prefix, encode_values = _item_encoder(value_type)

    def encode(values: Column) -> bytes:
        keys = list(chain.from_iterable(values))
        if not keys:
            return _offsets(values)
        items = list(chain.from_iterable(v.values() for v in values))
        return _offsets(values) + encode_keys(keys) + encode_values(items)

    return key_prefix + value_prefix, encode


def _item_encoder(type_name: str) -> tuple[bytes, Encoder]:
    """As `_encoder`; numbers of a map fit their type, so that no limits need be looked for."""
    if type_name not in _NUMBERS:
        return _encoder(type_name)
    dtype = _NUMBERS[type_name]
    return b"", lambda values: np.fromiter(values, dtype, len(values)).tobytes()


def _offsets(values: Column) -> bytes:
    """Where each row's elements end."""
    return np.cumsum(np.fromiter(map(len, values), np.uint64, len(values))).tobytes()


def _dictionary(values: Column) -> bytes:
    """Distinct strings once, then each row's index among them."""
    distinct = dict.fromkeys(values)
    width = 0 if len(distinct) <= 1 << 8 else 1 if len(distinct) <= 1 << 16 else 2
    dtype = (np.uint8, np.uint16, np.uint32)[width]
    if len(distinct) == 1:
        keys = bytes(len(values))
    else:
        index = dict(zip(distinct, range(len(distinct)), strict=True))
        keys = np.fromiter(map(index.__getitem__, values), dtype, len(values)).tobytes()
    return b"".join(
        (
            _uint64(_DICTIONARY_FLAGS | width),
            _uint64(len(distinct)),
            _texts(distinct),
            _uint64(len(values)),
            keys,
        )
    )


def _texts(values: Iterable[str]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        raw = _utf8(value)
        parts += (_LENGTHS[len(raw)] if len(raw) < 128 else _leb128(len(raw)), raw)
    return b"".join(parts)


def _text(value: str) -> bytes:
    return _texts((value,))


def _utf8(value: str) -> bytes:
    """UTF-8; a lone surrogate, which has none, becomes a question mark."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="replace")


def _uint64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_LENGTHS: Final = tuple(bytes([length]) for length in range(128))
