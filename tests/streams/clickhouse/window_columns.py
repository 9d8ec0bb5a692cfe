"""Made-up window rows as columns of `windows`, every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from msgspec.structs import astuple

from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.windows import SECTIONS, WindowRow
from understudy.streams.clickhouse.tables import Columns

_IDENTITY = [name for name in WindowRow.__struct_fields__ if name not in SECTIONS]


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


def _section_columns(section: str, names: Sequence[str], rows: Sequence[WindowRow]) -> Columns:
    records = map(astuple, map(attrgetter(section), rows))
    values = zip(*records, strict=True) if rows else ((),) * len(names)
    return {f"{section}_{name}": column for name, column in zip(names, values, strict=True)}
