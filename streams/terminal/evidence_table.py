"""A decision on a terminal: the verdict with its reasons, and a table of the evidence.

The evidence is shown as multiples of what a verdict needs, `1/α`: at 1 it is enough. Rollback needs
the sum of its column to reach 1, promotion each required row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_limit,
    format_value,
    printable,
)
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.analyzers.sequential.weights import weighted_log_evidence
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.rollout_metrics import METRICS
from understudy.streams.terminal.plain_text import one_line

STYLES: Final = {"rollback": "bold red", "hold": "bold yellow", "promote": "bold green"}
_STYLE_OF_STATUS: Final = {"breach": "red", "pass": "green", "open": "", "waiting": "dim"}
_COLUMNS: Final[dict[str, JustifyMethod]] = {
    "guardrail": "left",
    "slice": "left",
    "limit": "left",
    "units": "right",
    "stable → candidate": "right",
    "harm": "right",
    "95 % interval": "right",
    "rollback": "right",
    "promotion": "right",
    "": "left",
}
_SUSPICIOUS: Final = 0.1
"""Share of the evidence a rollback needs from which a slice is shown, wherever it is."""
_MAX_SENTENCE: Final = 1_024
"""Characters of a reason: an operator's own words may have as many."""


def show_decision(decision: Decision) -> RenderableType:
    """Verdict, reasons, alerts and evidence."""
    return Group(_verdict(decision), evidence_table(decision))


def _verdict(decision: Decision) -> Text:
    text = Text()
    text.append(f"{decision.verdict.upper()}", STYLES[decision.verdict])
    stage = decision.stage
    text.append(
        f"  {printable(decision.rollout_id)}, stage {printable(stage.stage.name)}: "
        f"{format_count(stage.requests)} requests in closed windows, "
        f"{format_duration(stage.duration_s)}\n"
    )
    if decision.verdict != "hold":
        text.append(f"since {decision.since:%Y-%m-%d %H:%M:%S} UTC (event time)\n", "dim")
    for reason in decision.reasons:
        text.append(f"  {one_line(reason, _MAX_SENTENCE)}\n")
    for alert in decision.alerts:
        text.append(f"  alert: {one_line(alert, _MAX_SENTENCE)}\n", "yellow")
    return text


def evidence_table(
    decision: Decision, *, leave_out: Sequence[str] = (), hint: str = "; all of them with --json"
) -> RenderableType:
    """One row for each guardrail and slice that says something, the rest counted."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    kept = [title for title in _COLUMNS if title not in leave_out]
    for title in kept:
        table.add_column(title, justify=_COLUMNS[title], no_wrap=True)
    shown = [one for one in decision.evidence if _is_notable(one, decision)]
    for one in shown:
        cells = dict(zip(_COLUMNS, _cells(one, decision), strict=True))
        table.add_row(*(cells[title] for title in kept), style=_STYLE_OF_STATUS[one.status])
    left = len(decision.evidence) - len(shown)
    note = f"{left} more slices without a finding{hint}\n" if left else ""
    return Group(table, Text(note, "dim"))


def multiple(log_evidence: float | None, log_threshold: float) -> float:
    """Evidence in units of what a verdict needs; 0 for none."""
    return 0.0 if log_evidence is None else math.exp(min(log_evidence - log_threshold, 700.0))


def rollback_multiple(one: Evidence, decision: Decision) -> float:
    """A row's weighted evidence for rollback as a share of what is needed."""
    weighted = weighted_log_evidence(one.log_rollback, one.weight)
    return multiple(weighted, decision.thresholds.log_rollback)


def _is_notable(one: Evidence, decision: Decision) -> bool:
    if one.slice == ALL or one.required or one.status == "breach":
        return True
    return rollback_multiple(one, decision) >= _SUSPICIOUS


def _cells(one: Evidence, decision: Decision) -> list[Text]:
    low, high = one.interval
    promotion = multiple(one.log_promotion, decision.thresholds.log_promotion)
    cells = [
        printable(one.guardrail),
        printable(slice_title(one.slice)),
        format_limit(METRICS[one.metric], one.limit, one.margin, relative=one.relative),
        format_count(one.units),
        _sides(one),
        _harm(one, one.harm),
        "–" if low is None or high is None else f"{_harm(one, low)} to {_harm(one, high)}",
        times(rollback_multiple(one, decision)),
        times(promotion),
        one_line(one.note, _MAX_SENTENCE) if one.status == "waiting" else one.status,
    ]
    return [Text(cell) for cell in cells]


def _sides(one: Evidence) -> str:
    """Both sides' values; of paired yes-or-no, the pairs in which one side alone was bad."""
    if one.candidate is not None:
        stable = "" if one.stable is None else f"{format_value(one.unit, one.stable)} → "
        return stable + format_value(one.unit, one.candidate)
    found = one.statistics
    if "pairs" not in found:
        return "–"
    return f"{found.get('stable_only', 0)} → {found.get('candidate_only', 0)} alone bad"


def _harm(one: Evidence, value: float | None) -> str:
    """What the limit is about: points, per cent of stable, or the value itself."""
    if value is None:
        return "–"
    if one.limit in ("max", "min") and METRICS[one.metric].kind != "excess":
        return format_value(one.unit, abs(value))
    is_tail = METRICS[one.metric].kind == "quantile"
    if is_tail or (one.unit == "share" and not one.relative):
        return f"{100 * value:+.2f} pp"
    return f"{100 * value:+.1f} %" if one.relative else format_value(one.unit, value)


def times(value: float) -> str:
    """`0`, `<0.001`, `0.03`, `4.1`, `>1000`."""
    if value > 1_000:
        return ">1000"
    if 0.0 < value < 0.001:
        return "<0.001"
    return f"{value:.0f}" if value == 0 or value >= 10 else f"{value:.2g}"


def timeline(decisions: Sequence[Decision]) -> RenderableType:
    """What would have been decided when, in event time."""
    table = Table(title="Decisions over event time", title_justify="left", box=SIMPLE_HEAD,
                  pad_edge=False)  # fmt: skip
    for name in ("time (UTC)", "after", "verdict", "stage"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", overflow="fold")
    for decision in decisions:
        after_s = (decision.decided_at - decisions[0].decided_at).total_seconds()
        sentences = [*decision.reasons, *(f"alert: {alert}" for alert in decision.alerts)]
        why = "\n".join(one_line(sentence, _MAX_SENTENCE) for sentence in sentences)
        table.add_row(
            Text(f"{decision.decided_at:%Y-%m-%d %H:%M:%S}"),
            Text(format_duration(after_s)),
            Text(decision.verdict, STYLES[decision.verdict]),
            Text(printable(decision.stage.stage.name)),
            Text(why),
        )
    return table
