"""The text of the Python records that follow from the measures.

They are files, not classes made at import, so that type checkers and readers see every field.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from understudy.schemas.measure_kinds import Measure, Sum, SumKind
from understudy.schemas.measures import CONTROL, PAIR, SIDE, SUMS

_ROOT: Final = Path(__file__).parents[1]
WINDOW_MEASURES: Final = _ROOT / "schemas" / "window_measures.py"
ROW_LISTS: Final = _ROOT / "schemas" / "row_lists.py"
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

Count = Annotated[int, Meta(ge=0, le=2**53)]
\"\"\"What decides keeps these as they are: JSON's numbers are exact up to there.\"\"\"
Bucket = Annotated[int, Meta(ge=-(2**15), le=2**15)]
\"\"\"Beyond any measured value; what a bucket begins at is a float up to there.\"\"\"
Histogram = Annotated[
    dict[Bucket, Count], Meta(extra_json_schema={"propertyNames": {"pattern": r"^-?\\d+$"}})
]
\"\"\"Bucket index to count; see `understudy.analyzers.windows.histogram` for the two scales.\"\"\"
Names = dict[str, Count]
\"\"\"Name to count, of the most frequent names; all others together count as `other`.\"\"\"
"""
_ROW_LISTS: Final = """
import datetime as dt
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from understudy.schemas.events import Mode
from understudy.schemas.window_measures import Count, Histogram, Names

MOST_ROWS: Final = 200
\"\"\"Of one message: a row of 36 bytes, which says nothing, takes 17 kB of who reads it.\"\"\"


class RowLists(msgspec.Struct, omit_defaults=True, kw_only=True):
    \"\"\"Rows of one rollout, source and partition: a list for each column, with a value per row.

    The first four columns are there wherever there are rows. Of the others a column is left out
    where it is zero, empty or null in all rows.
    \"\"\"

{fields}

    def __post_init__(self) -> None:
        \"\"\"Raise ValueError for lists of different lengths, and for windows without an end.\"\"\"
        n_rows = len(self.window_start)
        lengths = {{len(values) for values in astuple(self) if values is not UNSET}}
        if lengths != {{n_rows}}:
            raise ValueError(f"not every column has a value for each of {{n_rows}} rows")
        if n_rows and max(self.window_start).year == dt.MAXYEAR:
            raise ValueError(f"a window may end after the year {{dt.MAXYEAR}}")
"""
_TIME: Final = "Annotated[dt.datetime, Meta(tz=True)]"
_NEEDED: Final = (
    ("window_start", _TIME, "Inclusive, UTC."),
    ("window_s", "Annotated[int, Meta(ge=1, le=86_400)]", "Length of the window in seconds."),
    ("language", "str", "BCP 47 tag, `und` when undetermined."),
    ("version", "Count", "Offset up to which the partition had been read."),
)
"""Columns without which there is no row: name, type of a value, meaning."""
_IDENTITY: Final = (
    ("mode", "Mode | None", "Null where an invalid event names none."),
    ("workflow", "str", "Empty where the gateway named none."),
    ("evaluator", "str", "`name@version` of the evaluator; empty but for evaluations."),
    (
        "requests_from",
        f"{_TIME} | None",
        "Start of the minute in which the pairs were requested; null but for evaluations.",
    ),
    ("closed", "bool", "Nothing will be added any more."),
)
"""Further columns that say what a row is about."""
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
    return {
        WINDOW_MEASURES: window_measures(),
        ROW_LISTS: row_lists(),
        MEASURE_ARRAYS: measure_arrays(),
    }


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


def row_lists() -> str:
    """Rows of windows as the lists that travel."""
    needed = (
        _list_of(*one, "Annotated[{}, max_length=MOST_ROWS)] = msgspec.field(default_factory=list)")
        for one in _NEEDED
    )
    fields = [*needed, *(_list_of(*one) for one in _IDENTITY)]
    for section, sums in SUMS.items():
        for one in sums:
            is_count = one.kind is SumKind.COUNT and one.type_name == "int"
            type_name = "Count" if is_count else one.type_name
            fields.append(_list_of(f"{section}_{one.name}", type_name, f"{one.description}."))
    head = _HEAD.format(purpose="Window rows as they travel: a list for each column.")
    return head + _ROW_LISTS.format(fields="\n".join(fields))


def _list_of(
    name: str, type_name: str, description: str, field: str = "Annotated[{})] | UnsetType = UNSET"
) -> str:
    text = json.dumps(description, ensure_ascii=False)
    return f"    {name}: {field.format(f'list[{type_name}], Meta(description={text}')}"


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
