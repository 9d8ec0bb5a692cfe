"""The table of evaluations as declared; `test_evaluation_rows.py` of streams fills it."""

from __future__ import annotations

import re

from understudy.schemas.clickhouse.evaluation_tables import ANSWER_QUALITY, EVALUATIONS
from understudy.schemas.evaluations import Evaluation


def test_every_field_but_texts_is_stored() -> None:
    """Ranges and usage have columns of their own names."""
    without = {"schema_version", "evaluator_version", "explanation", "preferences", "scores"}
    renamed = {"score_range", "usage"}
    assert set(Evaluation.__struct_fields__) - without - renamed <= EVALUATIONS.types.keys()


def test_rows_of_a_record_are_told_apart_by_its_place() -> None:
    (key,) = re.findall(r"ORDER BY \((.*?)\)", EVALUATIONS.clauses, re.DOTALL)
    columns = [name.strip() for name in key.split(",")]
    assert columns[-2:] == ["partition", "offset"]
    assert set(columns) <= EVALUATIONS.types.keys()


def test_the_view_is_grouped_by_what_it_names_first() -> None:
    names = list(ANSWER_QUALITY.types)
    assert tuple(names[: len(ANSWER_QUALITY.group_by)]) == ANSWER_QUALITY.group_by
