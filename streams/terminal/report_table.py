"""The replay report as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from understudy.analyzers.guardrails.formatting import printable
from understudy.streams.terminal.data_table import MAX_SLICES, Column, DataTable

Document = dict[str, Any]


def report_tables(document: Document, *, all_slices: bool = False) -> RenderableType:
    """Counts, then one table for each rollout; without `all_slices` of its largest slices."""
    rollouts = (slices_table(one, all_slices=all_slices) for one in document["rollouts"])
    return Group(_counts(document), *rollouts)


def slice_documents(document: Document) -> list[Document]:
    """The slices of all rollouts, as `--csv` prints them."""
    return [
        {"rollout_id": rollout["rollout_id"], **row}
        for rollout in document["rollouts"]
        for row in rollout["slices"]
    ]


def _counts(document: Document) -> RenderableType:
    events, unmatched, single = document["events"], document["unmatched"], document["single"]
    return Text(
        f"{events['read']:,} events: {document['pairs']:,} pairs, "
        f"{unmatched['stable']:,} stable and {unmatched['candidate']:,} candidate unmatched, "
        f"{single['stable']:,} stable and {single['candidate']:,} candidate single, "
        f"{events['duplicate']:,} duplicate, {events['superseded']:,} superseded, "
        f"{events['late']:,} late, "
        f"{events['invalid']:,} invalid\n{_unreadable(document['unreadable_fields'])}"
    )


def _unreadable(fields: dict[str, dict[str, int]]) -> str:
    """Which fields could not be read, and how often; empty where all could."""
    found = [
        f"{printable(name)} of {count:,} {side} sides"
        for side, counts in fields.items()
        for name, count in counts.items()
    ]
    return f"Could not be read: {', '.join(found)}\n" if found else ""


def slices_table(
    rollout: Document, *, all_slices: bool, title: str | None = None
) -> RenderableType:
    """How the sides of a rollout differ, a row for each slice.

    With a `title` instead of the rollout's name, columns that say nothing are left out: files lack
    many, gateways few.
    """
    most = None if all_slices else MAX_SLICES
    shown = _largest(rollout["slices"], most)
    cells = [[_title(row, has_modes=title is None), *_cells(row)] for row in shown]
    kept = [n for n in range(len(_COLUMNS)) if title is None or _is_known(cells, n)]
    table = DataTable(
        [_COLUMNS[n] for n in kept],
        title=title or f"Rollout {printable(rollout['rollout_id'])}",
    )
    for row, texts in zip(shown, cells, strict=True):
        style = "bold" if row["language"] is None else ""
        table.add_row(*(texts[n] for n in kept), style=style)
    left = len(rollout["slices"]) - len(shown)
    return Group(table, Text(f"{left:,} smaller slices; --all shows them\n" if left else "", "dim"))


def _is_known(cells: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column says anything."""
    return any(row[column] != "–" for row in cells)


def _largest(rows: Sequence[Document], most: int | None) -> Sequence[Document]:
    """The totals and the slices with the most pairs, in their order."""
    if most is None or len(rows) <= most:
        return rows
    ranked = sorted(rows, key=lambda row: (row["language"] is not None, -row["pairs"]))
    kept = {id(row) for row in ranked[:most]}
    return [row for row in rows if id(row) in kept]


_COLUMNS = (
    Column("slice", wraps_at=12),
    Column("pairs", "right"),
    Column("errors %", "right"),
    Column("JSON valid %", "right"),
    Column("same %", "right", leaves=5),
    Column("simil.", "right", leaves=6),
    Column("tools %", "right", leaves=4),
    Column("p95 s", "right", leaves=1),
    Column("time ×", "right", leaves=3),
    Column("cost µUSD", "right", leaves=2),
)


def _title(row: Document, *, has_modes: bool) -> str:
    """Language and workflow, or the mode where all are taken together."""
    if row["language"] is None:
        return f"all ({row['mode']})" if has_modes else "all"
    return printable("/".join(part for part in (row["language"], row["workflow"]) if part))


def _cells(row: Document) -> list[str]:
    stable, candidate, delta = row["stable"], row["candidate"], row["delta"]
    return [
        f"{row['pairs']:,}",
        _both(
            _rate(stable, "errors", "model_requests"),
            _rate(candidate, "errors", "model_requests"),
            1,
        ),
        _both(
            _rate(stable, "json_valid", "json_expected"),
            _rate(candidate, "json_valid", "json_expected"),
            1,
        ),
        _scaled(delta["identical_rate"], 100, 1),
        _scaled(delta["similarity_mean"], 1, 2),
        _scaled(delta["tool_calls_match_rate"], 100, 1),
        _both(_seconds(stable["duration_ms"]["p95"]), _seconds(candidate["duration_ms"]["p95"]), 2),
        _scaled(delta["duration_ratio_geometric_mean"], 1, 2),
        _scaled(delta["cost_usd_diff_mean"], 1e6, 0),
    ]


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _rate(side: Document, part: str, whole: str) -> float | None:
    return 100 * side[part] / side[whole] if side[whole] else None


def _both(left: float | None, right: float | None, digits: int) -> str:
    if left is None and right is None:
        return "–"
    return f"{_number(left, digits)}→{_number(right, digits)}"


def _scaled(value: float | None, factor: float, digits: int) -> str:
    return _number(None if value is None else factor * value, digits)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
