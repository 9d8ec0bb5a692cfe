"""Differences name columns that windows have; ClickHouse runs them in the tests of the views."""

from __future__ import annotations

import re

import pytest

from understudy.schemas.clickhouse.measured_differences import (
    ESTIMATE,
    ROW,
    Difference,
    columns_of,
    cost_difference,
    feedback_differences,
    json_failure_differences,
    language_differences,
    tool_call_differences,
)
from understudy.schemas.clickhouse.schema import WINDOWS
from understudy.schemas.rollout_metrics import METRICS

ALL = [
    *language_differences(), *json_failure_differences(), *tool_call_differences(),
    *feedback_differences(), cost_difference(),
]  # fmt: skip


@pytest.mark.parametrize("difference", ALL, ids=lambda one: one.label)
def test_sums_are_columns_of_windows(difference: Difference) -> None:
    names = set(re.findall(r"[a-z_]+[a-z]", difference.row()))
    texts = {difference.label, difference.better, difference.kind}
    words = {"mode", "shadow", "interleave", "to", "loat", "toFloat", "false"}
    unknown = {
        name for name in names if name not in WINDOWS.types and "_" in name and name not in texts
    }
    assert unknown - words == set()
    assert columns_of([difference], WINDOWS.types)


def test_labels_of_languages_are_metrics_that_guardrails_know() -> None:
    labels = [one.label for one in language_differences()]
    assert len(labels) == len(set(labels))
    assert {label for label in labels if label not in METRICS} == {"duration"}


def test_steps_use_parts_of_a_row_and_steps_before_them() -> None:
    known = set(ROW)
    for name, value in ESTIMATE.items():
        used = set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", value.replace("'", " ")))
        later = used & ESTIMATE.keys() - known
        assert later == set(), (name, later)
        known.add(name)
