"""All tables and views by name, and the files that make them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from understudy.schemas.clickhouse.analyst_views import ANALYST_VIEWS
from understudy.schemas.clickhouse.captures import CAPTURED_PAIRS, WORST_PAIRS
from understudy.schemas.clickhouse.evaluation_tables import (
    ANSWER_QUALITY,
    EVALUATIONS,
    EXPLANATIONS,
    JUDGED_PAIRS,
)
from understudy.schemas.clickhouse.rollups import PROGRESS, ROLLUPS, SLICES_OF_ROLLUPS
from understudy.schemas.clickhouse.schema import (
    ACCOUNTING,
    COMPARISONS,
    DECISIONS,
    SLICES,
    UNMATCHED,
    WINDOWS,
    Table,
    View,
)

Relation = Table | View

FILES: Final[Mapping[str, tuple[Relation, ...]]] = {
    "0001_comparisons": (COMPARISONS,),
    "0002_unmatched": (UNMATCHED,),
    "0003_windows": (WINDOWS,),
    "0005_slices": (SLICES,),
    "0006_accounting": (ACCOUNTING,),
    "0007_decisions": (DECISIONS,),
    "0008_rollups": (*(one.table for one in ROLLUPS), PROGRESS, *SLICES_OF_ROLLUPS),
    "0008_views": ANALYST_VIEWS,
    "0009_captures": (CAPTURED_PAIRS, WORST_PAIRS),
    "0010_evaluations": (EVALUATIONS, ANSWER_QUALITY),
    "0011_explanations": (EXPLANATIONS, JUDGED_PAIRS),
}
"""Name of a file to what it makes; 0004, the functions, is written by hand."""
RELATIONS: Final[Mapping[str, Relation]] = {
    made.name: made for made in chain.from_iterable(FILES.values())
}
"""All of them by name."""
TABLES: Final = tuple(made for made in RELATIONS.values() if isinstance(made, Table))
VIEWS: Final = tuple(made for made in RELATIONS.values() if isinstance(made, View))
