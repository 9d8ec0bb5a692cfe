"""The replay report as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Document = dict[str, Any]


def print_report(document: Document, console: Console) -> None:
    """Print counts, then one table for each rollout."""
    console.print(Group(_counts(document), *(_rollout(r) for r in document["rollouts"])))


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
    table = Table(title=f"Rollout {rollout['rollout_id']}", title_justify="left")
    for name in ("mode", "language", "workflow"):
        table.add_column(name, no_wrap=True)
    for name in (
        "pairs", "errors\n% s → c", "JSON valid\n% s → c", "same\n%", "simil.",
        "tools\n%", "p95 ms\ns → c", "time\nratio", "cost diff\nµUSD",
    ):  # fmt: skip
        table.add_column(name, justify="right", no_wrap=True)
    for row in rollout["slices"]:
        table.add_row(*_cells(row), style="bold" if row["language"] is None else None)
    return table


def _cells(row: Document) -> list[Text]:
    stable, candidate, delta = row["stable"], row["candidate"], row["delta"]
    cost = delta["cost_usd_diff_mean"]
    return [
        Text(cell)
        for cell in (
            row["mode"] or "", row["language"] or "all", row["workflow"] or "all",
            f"{row['pairs']:,}",
            _both(_rate(stable, "errors", "requests"), _rate(candidate, "errors", "requests"), 1),
            _both(_rate(stable, "json_valid", "json_expected"),
                  _rate(candidate, "json_valid", "json_expected"), 1),
            _percent(delta["identical_rate"]),
            _number(delta["similarity_mean"], 2),
            _percent(delta["tool_calls_match_rate"]),
            _both(stable["duration_ms"]["p95"], candidate["duration_ms"]["p95"], 0),
            _number(delta["duration_ratio_geometric_mean"], 2),
            _number(None if cost is None else cost * 1e6, 1),
        )
    ]  # fmt: skip


def _rate(side: Document, part: str, whole: str) -> float | None:
    return 100 * side[part] / side[whole] if side[whole] else None


def _both(left: float | None, right: float | None, digits: int) -> str:
    if left is None and right is None:
        return "–"
    return f"{_number(left, digits)} → {_number(right, digits)}"


def _percent(value: float | None) -> str:
    return _number(None if value is None else 100 * value, 1)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
