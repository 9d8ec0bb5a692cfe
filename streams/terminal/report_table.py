"""The replay report as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from understudy.analyzers.guardrails.formatting import printable

Document = dict[str, Any]


def report_tables(document: Document) -> RenderableType:
    """Counts, then one table for each rollout."""
    return Group(_counts(document), *(_rollout(r) for r in document["rollouts"]))


def _counts(document: Document) -> RenderableType:
    events, unmatched, single = document["events"], document["unmatched"], document["single"]
    return Text(
        f"{events['read']:,} events: {document['pairs']:,} pairs, "
        f"{unmatched['stable']:,} stable and {unmatched['candidate']:,} candidate unmatched, "
        f"{single['stable']:,} stable and {single['candidate']:,} candidate single, "
        f"{events['duplicate']:,} duplicate, {events['late']:,} late, "
        f"{events['invalid']:,} invalid\n"
    )


def _rollout(rollout: Document) -> RenderableType:
    title = Text(f"Rollout {printable(rollout['rollout_id'])}")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("slice", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rollout["slices"]:
        is_total = row["language"] is None
        table.add_row(_title(row), *_cells(row), style="bold" if is_total else None)
    return table


_COLUMNS = (
    "pairs", "errors %", "JSON valid %", "same %", "simil.", "tools %", "p95 s", "time ×",
    "cost µUSD",
)  # fmt: skip


def _title(row: Document) -> Text:
    """Language and workflow, or the mode where all are taken together."""
    if row["language"] is None:
        return Text(f"all ({row['mode']})")
    return Text(printable("/".join(part for part in (row["language"], row["workflow"]) if part)))


def _cells(row: Document) -> list[Text]:
    stable, candidate, delta = row["stable"], row["candidate"], row["delta"]
    return [
        Text(cell)
        for cell in (
            f"{row['pairs']:,}",
            _both(_rate(stable, "errors", "requests"), _rate(candidate, "errors", "requests"), 1),
            _both(
                _rate(stable, "json_valid", "json_expected"),
                _rate(candidate, "json_valid", "json_expected"),
                1,
            ),
            _scaled(delta["identical_rate"], 100, 1),
            _scaled(delta["similarity_mean"], 1, 2),
            _scaled(delta["tool_calls_match_rate"], 100, 1),
            _both(
                _seconds(stable["duration_ms"]["p95"]), _seconds(candidate["duration_ms"]["p95"]), 2
            ),
            _scaled(delta["duration_ratio_geometric_mean"], 1, 2),
            _scaled(delta["cost_usd_diff_mean"], 1e6, 0),
        )
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
