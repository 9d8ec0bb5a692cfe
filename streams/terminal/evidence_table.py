"""A decision on a terminal: the verdict with its reasons, and a table of the evidence.

The evidence is shown as multiples of what a verdict needs, `1/α`: at 1 it is enough. Rollback needs
the sum of its column to reach 1, promotion each required row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
    noise_figures,
    promotion_multiple,
    rollback_multiple,
    sides_text,
    times,
)
from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_number,
    printable,
)
from understudy.analyzers.guardrails.guardrail_titles import guardrail_title
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.schemas.decisions import Decision, Evidence
from understudy.streams.terminal.data_table import MAX_SLICES, Column, DataTable
from understudy.streams.terminal.plain_text import one_line

STYLES: Final = {"rollback": "bold red", "hold": "bold yellow", "promote": "bold green"}
_STYLE_OF_STATUS: Final = {"breach": "red", "pass": "green", "open": "", "waiting": "dim"}
_COLUMNS: Final = (
    Column("guardrail", wraps_at=16),
    Column("slice", wraps_at=10),
    Column("limit", leaves=1),
    Column("units", "right", leaves=2),
    Column("stable → candidate", "right", leaves=5),
    Column("harm", "right"),
    Column("95 % interval", "right", leaves=3),
    Column("rollback", "right"),
    Column("promotion", "right"),
    Column("status", leaves=4, wraps_at=12),
)
"""The verdict rests on harm and the last two numbers; all else leaves before them."""
_SUSPICIOUS: Final = 0.1
"""Share of the evidence a rollback needs from which a slice is shown, wherever it is."""
_NOTABLE_DESIGN_EFFECT: Final = 1.05
"""From which it is told: less changes no number that is shown."""
_MAX_SENTENCE: Final = 1_024
"""Characters of a reason: an operator's own words may have as many."""


def show_decision(decision: Decision, *, all_slices: bool = False) -> RenderableType:
    """Verdict, reasons, alerts and evidence."""
    return Group(_verdict(decision), evidence_table(decision, all_slices=all_slices))


def _verdict(decision: Decision) -> Text:
    text = Text()
    text.append(f"{decision.verdict.upper()}", STYLES[decision.verdict])
    stage = decision.stage
    text.append(
        f"  {printable(decision.rollout_id)}, stage {printable(stage.stage.name)}: "
        f"{format_count(stage.requests)} requests in closed windows, "
        f"{format_duration(stage.duration_s)}\n"
    )
    if place := ", ".join(_place(decision)):
        text.append(f"{place}\n", "dim")
    for reason in decision.reasons:
        text.append(f"  {one_line(reason, _MAX_SENTENCE)}\n")
    if counts := _independent(decision):
        text.append(f"  {counts}\n", "dim")
    for name, noise in noise_figures(decision):
        text.append(f"  {printable(name)} {noise}\n", "dim")
    for alert in decision.alerts:
        text.append(f"  alert: {one_line(alert.sentence, _MAX_SENTENCE)}\n", "yellow")
    return text


def _independent(decision: Decision) -> str:
    """How much requests cluster, by the guardrail on all requests in which they do most."""
    together = [one for one in decision.evidence if one.slice == ALL and one.units]
    most = max(together, key=lambda one: one.design_effect, default=None)
    if most is None or most.design_effect < _NOTABLE_DESIGN_EFFECT:
        return ""
    return (
        f"requests share their fate: of {guardrail_title(most.guardrail, most.metric)}, "
        f"{format_count(most.units)} "
        f"count like {format_count(most.independent_units)} independent ones "
        f"(design effect {format_number(most.design_effect, 2)})"
    )


def _place(decision: Decision) -> Iterator[str]:
    """Its number, which `--expects` takes, and since when."""
    if decision.rollout_created_at is not None:
        yield f"decision {decision.sequence}"
    if decision.verdict != "hold":
        yield f"since {decision.since:%Y-%m-%d %H:%M:%S} UTC"


def evidence_table(
    decision: Decision, *, all_slices: bool = False, hint: str = "; --all shows them"
) -> RenderableType:
    """One row for each guardrail and slice that says something, the rest counted."""
    table = DataTable(_COLUMNS)
    shown = decision.evidence if all_slices else _notable(decision)
    for one in shown:
        table.add_row(*_cells(one, decision), style=_STYLE_OF_STATUS[one.status])
    left = len(decision.evidence) - len(shown)
    kind = "slices without a finding" if len(shown) < MAX_SLICES else "slices"
    return Group(table, Text(f"{left:,} more {kind}{hint}\n" if left else "", "dim"))


def _notable(decision: Decision) -> Sequence[Evidence]:
    """What says something; of more than a screenful, breaches and the most suspicious."""
    found = [one for one in decision.evidence if _is_notable(one, decision)]
    if len(found) <= MAX_SLICES:
        return found
    ranked = sorted(found, key=lambda one: _rank(one, decision), reverse=True)
    kept = {id(one) for one in ranked[:MAX_SLICES]}
    return [one for one in found if id(one) in kept]


def _rank(one: Evidence, decision: Decision) -> tuple[bool, bool, float]:
    return one.slice == ALL, one.status == "breach", rollback_multiple(one, decision)


def evidence_documents(decision: Decision) -> list[dict[str, Any]]:
    """One row for each guardrail and slice, as `--csv` prints it."""
    return [
        {
            "rollout_id": decision.rollout_id,
            "verdict": decision.verdict,
            **msgspec.to_builtins(one),
            "rollback_multiple": rollback_multiple(one, decision),
            "promotion_multiple": promotion_multiple(one, decision),
        }
        for one in decision.evidence
    ]


def _is_notable(one: Evidence, decision: Decision) -> bool:
    if one.slice == ALL or one.required or one.status == "breach":
        return True
    return rollback_multiple(one, decision) >= _SUSPICIOUS


def _cells(one: Evidence, decision: Decision) -> list[str]:
    return [
        printable(one.guardrail),
        printable(slice_title(one.slice)),
        limit_text(one),
        format_count(one.units),
        sides_text(one),
        harm_text(one, one.harm),
        interval_text(one),
        times(rollback_multiple(one, decision)),
        times(promotion_multiple(one, decision)),
        one_line(one.note, _MAX_SENTENCE) if one.status == "waiting" else one.status,
    ]


def timeline(decisions: Sequence[Decision]) -> RenderableType:
    """What would have been decided when, in event time."""
    table = DataTable(
        [
            Column("time (UTC)", leaves=1),
            Column("after"),
            Column("verdict"),
            Column("stage", leaves=2),
            Column("why", wraps_at=24),
        ],
        title="Decisions over event time",
    )
    for decision in decisions:
        table.add_row(
            f"{decision.decided_at:%Y-%m-%d %H:%M:%S}",
            format_duration(_after_s(decision, decisions)),
            Text(decision.verdict, STYLES[decision.verdict]),
            printable(decision.stage.stage.name),
            "\n".join(one_line(sentence, _MAX_SENTENCE) for sentence in _sentences(decision)),
        )
    return table


def timeline_documents(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    """The same as rows of a CSV file."""
    return [
        {
            "decided_at": decision.decided_at,
            "after_s": _after_s(decision, decisions),
            "verdict": decision.verdict,
            "stage": decision.stage.stage.name,
            "candidate_share": decision.candidate_share,
            "why": " · ".join(_sentences(decision)),
        }
        for decision in decisions
    ]


def _after_s(decision: Decision, decisions: Sequence[Decision]) -> float:
    return (decision.decided_at - decisions[0].decided_at).total_seconds()


def _sentences(decision: Decision) -> list[str]:
    return [*decision.reasons, *(f"alert: {alert.sentence}" for alert in decision.alerts)]
