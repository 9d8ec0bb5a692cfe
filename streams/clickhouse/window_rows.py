"""Window rows laid out as columns to insert, and made again from what a query returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec.structs import astuple

from understudy.schemas.event_time import from_epoch_ms, to_epoch_ms
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.tables import WINDOWS, Columns, block

_IDENTITY = [name for name in WindowRow.__struct_fields__ if name not in SECTIONS]
_ROW_BYTES: Final = 8_000
"""Of a row before it is encoded, measured; some 2,000 encoded."""
_key: Final = attrgetter(*(name for name in _IDENTITY if name not in ("version", "closed")))
"""What the table keeps the latest version of."""


class LatestWindows:
    """Window rows that wait to be inserted, the latest version of each.

    A worker makes a row of each open window every second, and inserts every five: of the versions
    that would travel together the table keeps the highest.
    """

    table: Final = WINDOWS
    is_full: Final = False
    """However many: later versions take the place of these."""

    def __init__(self, rows: Sequence[WindowRow]) -> None:
        self._by_key: dict[Any, WindowRow] = {}
        self._take(rows)

    @property
    def rows(self) -> int:
        """How many wait."""
        return len(self._by_key)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they take, about."""
        return _ROW_BYTES * len(self._by_key)

    @property
    def payload(self) -> bytes:
        """All of them in ClickHouse's Native format."""
        return block(WINDOWS, filled_columns(list(self._by_key.values()))).payload

    def join(self, later: LatestWindows) -> None:
        """Take in rows that were made later, or again by reading again."""
        self._take(later._by_key.values())

    def _take(self, rows: Iterable[WindowRow]) -> None:
        for row in rows:
            key = _key(row)
            known = self._by_key.get(key)
            if known is None or row.version >= known.version:
                self._by_key[key] = row


def window_columns(rows: Sequence[WindowRow]) -> Columns:
    """n window rows as columns of `windows`; a missing mode becomes the empty string.

    So do times that are missing the first instant of 1970.
    """
    columns: Columns = {name: [getattr(row, name) for row in rows] for name in _IDENTITY}
    columns["mode"] = [row.mode or "" for row in rows]
    columns["window_start"] = [to_epoch_ms(row.window_start) for row in rows]
    columns["requests_from"] = [
        to_epoch_ms(row.requests_from) if row.requests_from else 0 for row in rows
    ]
    for section, record in SECTIONS.items():
        columns.update(_section_columns(section, record.__struct_fields__, rows))
    return columns


def filled_columns(rows: Sequence[WindowRow]) -> Columns:
    """The same without measures that are zero or empty in every row, as the table has it anyway.

    More than half are: of sides that are alone by design, of what nobody measured. ClickHouse
    takes the others a fifth faster.
    """
    return {
        name: values
        for name, values in window_columns(rows).items()
        if name in _KEPT or any(values)
    }


_KEPT: Final = frozenset(_IDENTITY)


def _section_columns(section: str, names: Sequence[str], rows: Sequence[WindowRow]) -> Columns:
    records = map(astuple, map(attrgetter(section), rows))
    values = zip(*records, strict=True) if rows else ((),) * len(names)
    return {f"{section}_{name}": column for name, column in zip(names, values, strict=True)}


def window_rows(columns: Mapping[str, Sequence[Any]]) -> list[WindowRow]:
    """The rows that `window_columns` laid out; times in milliseconds since 1970."""
    identity = {
        **{name: columns[name] for name in _IDENTITY},
        "mode": [mode or None for mode in columns["mode"]],
        "window_start": list(map(from_epoch_ms, columns["window_start"])),
        "requests_from": [
            from_epoch_ms(time) if time else None for time in columns["requests_from"]
        ],
    }
    sections = {name: _section_records(name, record, columns) for name, record in SECTIONS.items()}
    parts = {**identity, **sections}
    return [
        WindowRow(**dict(zip(parts, row, strict=True))) for row in zip(*parts.values(), strict=True)
    ]


def _section_records(
    section: str, record: type[msgspec.Struct], columns: Mapping[str, Sequence[Any]]
) -> list[msgspec.Struct]:
    names = record.__struct_fields__
    rows = zip(*(columns[f"{section}_{name}"] for name in names), strict=True)
    return [record(**dict(zip(names, values, strict=True))) for values in rows]
