"""What was measured on each case of two recorded runs, a row each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from understudy.analyzers.compare.measure_arrays import PairMeasures, SideMeasures
from understudy.analyzers.windows.drawn_rows import DrawnRow
from understudy.schemas.adapters.cases import Case
from understudy.schemas.measures import JsonState
from understudy.streams.pairing.comparison import Comparisons
from understudy.streams.pairing.records import BatchOutput

_FLAGS: Final = (
    "refused", "empty", "truncated", "garbled", "repetitive", "reasoning_leaked",
    "tool_call_invalid", "tool_call_missing",
)  # fmt: skip
"""Outcomes of an answer that a row names where they are so."""
_SIMILARITY_DIGITS: Final = 4
"""One character in ten thousand is the least that people look for."""
_NUMBERS: Final = ("duration_ms", "time_to_first_token_ms", "cost_usd")


class CaseSink:
    """Keeps what a replay compared; a `ReplaySink`."""

    def __init__(self) -> None:
        self.comparisons: list[Comparisons] = []

    def put(self, outcome: BatchOutput, rows: list[DrawnRow], position: int) -> None:
        """Take the results of a batch."""
        self.comparisons += outcome.comparisons


def case_documents(
    cases: Sequence[Case], comparisons: Sequence[Comparisons]
) -> Iterator[dict[str, Any]]:
    """A document for each case, in their order; one that a side lacks says which."""
    measured = {
        named: (part, row)
        for part in comparisons
        for row, named in enumerate(part.requests.pair_id)
    }
    for case in cases:
        sides = (("stable", case.stable), ("candidate", case.candidate))
        places = {f"{side}_at": str(found.place) if found else "" for side, found in sides}
        found = measured.get(case.id)
        if found is None:
            missing = "candidate" if case.candidate is None else "stable"
            yield {"id": case.id, **places, "missing": missing}
        else:
            yield {"id": case.id, **places, **_compared(*found)}


def _compared(part: Comparisons, row: int) -> dict[str, Any]:
    document: dict[str, Any] = {"missing": "", "language": part.requests.language[row]}
    if part.pair is not None:
        document.update(_pair(part.pair, row))
    for side, measures in (("stable", part.stable), ("candidate", part.candidate)):
        if measures is not None:
            document.update({f"{side}_{k}": v for k, v in _side(measures, row).items()})
    return document


def _pair(pair: PairMeasures, row: int) -> Mapping[str, Any]:
    return {
        "identical": bool(pair.identical[row]),
        "similarity": _known(round(float(pair.similarity[row]), _SIMILARITY_DIGITS)),
        "json_equal": bool(pair.json_equal[row]) if pair.json_compared[row] else None,
        "tool_calls_match": (
            bool(pair.tool_calls_match[row]) if pair.tool_calls_compared[row] else None
        ),
    }


def _side(side: SideMeasures, row: int) -> Mapping[str, Any]:
    state = JsonState(int(side.json_state[row]))
    return {
        "error": side.error_type[row],
        "json": "" if state is JsonState.NOT_EXPECTED else state.name.lower(),
        "findings": " ".join(name for name in _FLAGS if getattr(side, name)[row]),
        "language": side.output_language[row],
        "characters": int(side.output_characters[row]),
        "finish_reason": side.finish_reason[row],
        **{name: _known(float(getattr(side, name)[row])) for name in _NUMBERS},
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
