"""The text of the Python records that follow from the measures.

They are files, not classes made at import, so that type checkers and readers see every field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from understudy.schemas.measure_kinds import Measure, Sum
from understudy.schemas.measures import CONTROL, PAIR, SIDE, SUMS

_ROOT: Final = Path(__file__).parents[1]
WINDOW_MEASURES: Final = _ROOT / "schemas" / "window_measures.py"
MEASURE_ARRAYS: Final = _ROOT / "analyzers" / "compare" / "measure_arrays.py"

_HEAD: Final = '''\
# Written by `python -m understudy.schemas.generate` from schemas/measures.py; do not edit.
# fmt: off
"""{purpose}"""

from __future__ import annotations
'''
_WINDOW_IMPORTS: Final = """
from typing import Annotated

import msgspec
from msgspec import Meta

Histogram = dict[int, int]
\"\"\"Bucket index to count; see `understudy.analyzers.windows.histogram` for the two scales.\"\"\"
Count = Annotated[int, Meta(ge=0, le=2**53)]
\"\"\"What decides keeps these as they are: JSON's numbers are exact up to there.\"\"\"
Names = dict[str, Count]
\"\"\"Name to count, of the most frequent names; all others together count as `other`.\"\"\"
"""
_ARRAY_IMPORTS: Final = """
from dataclasses import dataclass

from understudy.analyzers.compare.arrays import Bools, Bytes, Floats, Hashes, Ints
"""
_STRUCTS: Final[Mapping[str, tuple[str, str]]] = {
    "events": (
        "EventCounts",
        "Where the records of this slice and window ended; each of them in exactly one place.\n\n"
        "    In rows made from feedback a record is one rating, in those made from evaluations "
        "one\n    evaluation; only `single`, `duplicate`, `late` and `invalid` occur there.\n    ",
    ),
    "stable": ("SideSums", "What adds up over the compared requests of one side."),
    "pair": ("PairSums", "What adds up over pairs of a stable and a candidate side."),
    "control": (
        "ControlSums",
        "Stable against a second run of stable: how much stable differs from itself.",
    ),
    "turns": (
        "PairTurnSums",
        "Of conversations whose requests are paired: how alike the outcomes of their turns are.",
    ),
    "stable_turns": (
        "SideTurnSums",
        "The same of one side's own outcomes, in canary and ab.",
    ),
    "quality": (
        "QualitySums",
        "What one evaluator says about pairs of a stable and a candidate answer.",
    ),
    "noise": (
        "NoiseSums",
        "What it says about two answers of stable: its own noise.",
    ),
    "unresolved": (
        "UnresolvedCounts",
        "Requests that waited for a side when the row was made; none in closed rows.",
    ),
}


def files() -> dict[Path, str]:
    """Each file and its text."""
    return {WINDOW_MEASURES: window_measures(), MEASURE_ARRAYS: measure_arrays()}


def window_measures() -> str:
    """The sections of a window row."""
    parts = [_HEAD.format(purpose="The sections of a window row: what adds up."), _WINDOW_IMPORTS]
    for section, (name, purpose) in _STRUCTS.items():
        head = f"class {name}(msgspec.Struct, omit_defaults=True, kw_only=True):"
        type_of_count = "Count" if section == "events" else "int"
        fields = "\n".join(_struct_field(one, type_of_count) for one in SUMS[section])
        parts.append(f'\n\n{head}\n    """{purpose}"""\n\n{fields}\n')
    return "".join(parts)


def _struct_field(one: Sum, type_of_count: str) -> str:
    default = {"int": "0", "float": "0.0"}.get(one.type_name, "msgspec.field(default_factory=dict)")
    description = json.dumps(f"{one.description}.", ensure_ascii=False)
    type_name = type_of_count if one.type_name == "int" else one.type_name
    return f"    {one.name}: Annotated[{type_name}, Meta(description={description})] = {default}"


def measure_arrays() -> str:
    """The arrays that analyzers fill: one row a side, a pair, or a pair with a control side."""
    purpose = (
        "The measures of n comparisons, column by column.\n\n"
        "Numbers stand in numpy arrays of shape (n,), labels in lists of that length. Missing "
        "numbers are\nNaN (floats) or -1 (integers); a check that was not made is -1, else 0 "
        "or 1.\n"
    )
    return "".join(
        (
            _HEAD.format(purpose=purpose),
            _ARRAY_IMPORTS,
            _dataclass("SideMeasures", "What one side answered; n rows.", SIDE),
            _dataclass("PairMeasures", "How a candidate differs from its stable; n rows.", PAIR),
            _dataclass(
                "ControlMeasures",
                "How stable differs from a second run of itself; n rows.",
                CONTROL,
            ),
        )
    )


def _dataclass(name: str, purpose: str, measures: Iterable[Measure]) -> str:
    fields = "\n".join(
        f'    {one.name}: {one.array_type}\n    """{one.description}."""' for one in measures
    )
    first = next(iter(measures)).name
    return (
        f"\n\n@dataclass(frozen=True, slots=True)\nclass {name}:\n"
        f'    """{purpose}"""\n\n{fields}\n\n'
        f"    def __len__(self) -> int:\n        return len(self.{first})\n"
    )
