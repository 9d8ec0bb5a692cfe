"""Languages against guardrails: where the candidate is worse, and where nobody can tell. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from understudy.analyzers.guardrails.slices import ALL, slice_title
from understudy.streams.dashboard.evidence_rows import EvidenceRow

MAX_COLUMNS: Final = 31
"""All requests and thirty languages; the rest is counted, and has a place in the table."""
_LANGUAGE: Final = "language:"


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Cells by guardrail and slice; a cell is None where the guardrail does not test the slice."""

    slices: list[str]
    titles: list[str]
    rows: list[tuple[str, str, list[EvidenceRow | None]]]
    """Guardrail, its title, a cell for each slice."""
    left_out: int
    """Slices that did not fit."""

    @property
    def is_worth_showing(self) -> bool:
        """Whether there is more than all requests together."""
        return len(self.slices) > 1

    def parts(self, columns: int) -> list[HeatMap]:
        """The same in parts of at most so many languages, each after all requests together."""
        first = 1 if self.slices[:1] == [ALL] else 0
        n, parts = len(self.slices), []
        each = -(-(n - first) // max(1, -(-(n - first) // columns)))
        for start in range(first, n, max(1, each)):
            kept = [*range(first), *range(start, min(start + each, n))]
            rows = [(name, title, [cells[n] for n in kept]) for name, title, cells in self.rows]
            shown = ([self.slices[n] for n in kept], [self.titles[n] for n in kept])
            parts.append(HeatMap(*shown, rows, 0))
        return parts


def heat_map(found: Sequence[EvidenceRow]) -> HeatMap:
    """Return what was found over all requests and in each language.

    Languages are in the order of how many units they have.
    """
    slices = _slices(found)
    shown = slices[:MAX_COLUMNS]
    cells: dict[str, dict[str, EvidenceRow]] = {}
    for row in found:
        if row.slice in shown:
            cells.setdefault(row.guardrail, {})[row.slice] = row
    rows = [
        (name, next(iter(of.values())).title, [of.get(slice_) for slice_ in shown])
        for name, of in cells.items()
    ]
    titles = [slice_title(slice_) for slice_ in shown]
    return HeatMap(shown, titles, rows, len(slices) - len(shown))


def _slices(evidence: Sequence[EvidenceRow]) -> list[str]:
    units: dict[str, int] = {}
    for one in evidence:
        is_language = one.slice.startswith(_LANGUAGE) and "," not in one.slice
        if one.slice == ALL or is_language:
            units[one.slice] = max(units.get(one.slice, 0), one.unit_count)
    seen = [name for name in units if name == ALL or units[name]]
    return sorted(seen, key=lambda name: (name != ALL, -units[name], name))
