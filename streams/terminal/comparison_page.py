"""Two recorded runs on a terminal: what was read, how the models differ, and the verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    limit_text,
    sides_text,
)
from understudy.analyzers.guardrails.formatting import format_count, printable
from understudy.analyzers.guardrails.guardrail_titles import slice_titles
from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.schemas.adapters.cases import Case
from understudy.schemas.fixed_sample import FixedSampleFinding, FixedSampleVerdict
from understudy.streams.terminal.data_table import MAX_SLICES, Column, DataTable
from understudy.streams.terminal.evidence_table import STYLES
from understudy.streams.terminal.plain_text import one_line
from understudy.streams.terminal.report_table import slices_table

_STYLE_OF_STATUS: Final = {"breach": "red", "pass": "green", "open": "", "untested": "dim"}
_ORDER: Final = ("breach", "open", "pass", "untested")
"""What matters most comes first; the order of the policy within each."""
_MAX_SENTENCE: Final = 1_024
"""Characters of a sentence, as of the reasons of a decision."""
MAX_REASONS: Final = 3
"""Without `--all`: a hold has one for each guardrail, which the table shows already."""
_COLUMNS: Final = (
    Column("guardrail"),
    Column("slice", wraps_at=8),
    Column("limit", leaves=2),
    Column("cases", "right", leaves=3),
    Column("stable → candidate", "right", leaves=1),
    Column("harm", "right"),
    Column("95 % interval", "right", leaves=4),
    Column("status"),
)


class RunLine(NamedTuple):
    """One side, as the head of the page shows it."""

    side: str
    files: str
    format: str
    model: str
    answers: int


class Page(NamedTuple):
    """What the page shows."""

    runs: tuple[RunLine, RunLine]
    notes: Sequence[str]
    """What became of records that are no simple case, a sentence each."""
    report: dict[str, Any]
    verdict: FixedSampleVerdict
    examples: Mapping[str, Sequence[Case]]
    unjudged: Sequence[str]


def comparison_page(page: Page, *, all_slices: bool = False) -> RenderableType:
    """The whole page."""
    slices = (
        slices_table(_distinct(one), all_slices=all_slices, title="How the answers differ")
        for one in page.report["rollouts"]
    )
    return Group(
        _head(page),
        *slices,
        _findings(page.verdict, all_slices=all_slices),
        _verdict(page, all_slices=all_slices),
    )


def _distinct(rollout: dict[str, Any]) -> dict[str, Any]:
    """The slices, without one that holds all cases: it says what the total says."""
    slices = rollout["slices"]
    return {**rollout, "slices": slices[:1] if len(slices) == 2 else slices}


def _head(page: Page) -> RenderableType:
    columns = [
        Column("run"),
        Column("file", wraps_at=16),
        Column("format", leaves=2, wraps_at=12),
        *([Column("model", leaves=1, wraps_at=12)] if any(one.model for one in page.runs) else []),
        Column("answers", "right"),
    ]
    table = DataTable(columns)
    for one in page.runs:
        model = [printable(one.model)] if len(columns) == 5 else []
        table.add_row(one.side, printable(one.files), one.format, *model, format_count(one.answers))
    return Group(table, *(_indented(note) for note in page.notes), Text())


def _indented(sentence: str, style: str = "") -> RenderableType:
    """A sentence whose further lines begin where its first does."""
    return Padding(Text(one_line(sentence, _MAX_SENTENCE), style), (0, 0, 0, 2), expand=False)


def _findings(verdict: FixedSampleVerdict, *, all_slices: bool) -> RenderableType:
    table = DataTable(_COLUMNS, title="One look at a fixed number of cases, by exact tests")
    tested = [one for one in verdict.findings if one.cases or one.status == "breach"]
    tested.sort(key=lambda one: _ORDER.index(one.status))
    shown = tested if all_slices else [one for one in tested if _is_notable(one)][:MAX_SLICES]
    for one in shown:
        table.add_row(*_cells(one), style=_STYLE_OF_STATUS[one.status])
    left = len(tested) - len(shown)
    more = f"{left:,} more slices without a finding; --all shows them\n" if left else ""
    return Group(table, Text(more, "dim"))


def _is_notable(one: FixedSampleFinding) -> bool:
    return one.slice == ALL or one.status == "breach"


def _cells(one: FixedSampleFinding) -> list[str]:
    return [
        printable(one.guardrail),
        printable(slice_title(one.slice)),
        limit_text(one),
        format_count(one.cases),
        sides_text(one),
        harm_text(one, one.harm),
        interval_text(one),
        one.status if one.action == "rollback" or one.status != "breach" else one.action,
    ]


def _verdict(page: Page, *, all_slices: bool) -> RenderableType:
    verdict = page.verdict
    shown = verdict.reasons if all_slices else verdict.reasons[:MAX_REASONS]
    left = len(verdict.reasons) - len(shown)
    head = Text(verdict.verdict.upper(), STYLES[verdict.verdict])
    head.append(f"  {format_count(verdict.cases)} cases{_units(verdict)}", "not bold default")
    return Group(
        head,
        *(_indented(reason) for reason in shown),
        *([_indented(f"{left:,} more reasons; --all shows them", "dim")] if left else []),
        *(_indented(f"alert: {alert}", "yellow") for alert in verdict.alerts),
        *(_indented(line) for line in _examples(page.examples, page.verdict.findings)),
        *(_indented(sentence, "dim") for sentence in page.unjudged),
    )


def _units(verdict: FixedSampleVerdict) -> str:
    if verdict.units in (0, verdict.cases):
        return ""
    return f" in {format_count(verdict.units)} conversations"


def _examples(
    examples: Mapping[str, Sequence[Case]], findings: Sequence[FixedSampleFinding]
) -> Iterator[str]:
    """For each breach, cases to look at, with the place of candidate's record; none twice."""
    shown: set[tuple[str, ...]] = set()
    for name, cases in examples.items():
        ids = tuple(case.id for case in cases)
        if ids in shown:
            continue
        shown.add(ids)
        (title,) = slice_titles([name], findings)
        yield f"look at ({title}): {_places(cases)}"


def _places(cases: Sequence[Case]) -> str:
    """Ids with their lines, and the file where it is one."""
    places = [(case.id, (case.candidate or case.stable)) for case in cases]
    files = {found.place.file for _, found in places if found is not None}
    if len(files) != 1:
        return ", ".join(f"{name} ({found.place})" for name, found in places if found is not None)
    lines = ", ".join(
        f"{name} (line {found.place._replace(file='')})"
        for name, found in places
        if found is not None
    )
    return f"{lines} in {files.pop()}"
