"""Window rows laid out as columns to insert, and made again from what a query returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from understudy.analyzers.windows.drawn_rows import DrawnRow, measured
from understudy.schemas.event_time import from_epoch_ms
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.tables import TABLES, WINDOWS, Columns, block

_IDENTITY = [name for name in WindowRow.__struct_fields__ if name not in SECTIONS]
_ROW_BYTES: Final = 8_000
"""Of a row before it is encoded, measured; some 2,000 encoded."""
_KEY_FIELDS: Final = DrawnRow._fields.index("version")
"""Those before it say what the table keeps the latest version of."""


class LatestWindows:
    """Window rows that wait to be inserted, the latest version of each.

    A worker makes a row of each open window every second, and inserts every five: of the versions
    that would travel together the table keeps the highest.
    """

    table: Final = WINDOWS
    is_full: Final = False
    """However many: later versions take the place of these."""

    def __init__(self, rows: Sequence[DrawnRow]) -> None:
        self._by_key: dict[Any, DrawnRow] = {}
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

    def _take(self, rows: Iterable[DrawnRow]) -> None:
        for row in rows:
            key = row[:_KEY_FIELDS]
            known = self._by_key.get(key)
            if known is None or row.version >= known.version:
                self._by_key[key] = row


def filled_columns(rows: Sequence[DrawnRow]) -> Columns:
    """Rows as columns of `windows`, without measures that are zero or empty in every row.

    The table has those anyway, and more than half are: of sides that are alone by design, of what
    nobody measured. It is less to encode and to send; ClickHouse takes hardly less time.
    """
    columns: Columns = {
        "rollout_id": [row.key.rollout_id for row in rows],
        "mode": [row.key.mode for row in rows],
        "language": [row.key.language for row in rows],
        "workflow": [row.key.workflow for row in rows],
        "window_start": [row.key.window_start_ms for row in rows],
        "window_s": [row.window_s for row in rows],
        "evaluator": [row.key.evaluator for row in rows],
        "requests_from": [row.key.requests_from_ms if row.key.evaluator else 0 for row in rows],
        "source": [row.source for row in rows],
        "partition": [row.partition for row in rows],
        "version": [row.version for row in rows],
        "closed": [row.closed for row in rows],
        **measured(rows),
    }
    return {name: columns[name] for name in TABLES[WINDOWS] if name in columns}


def window_rows(columns: Mapping[str, Sequence[Any]]) -> list[WindowRow]:
    """The rows of columns of `windows`; times in milliseconds since 1970."""
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
