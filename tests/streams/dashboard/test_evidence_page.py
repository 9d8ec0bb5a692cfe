"""The page of one guardrail in one slice."""

from __future__ import annotations

import json
import math

import msgspec
import pytest

from tests.streams.demo.decisions import at_multiple, decision, evidence
from understudy.schemas.decisions import Evidence
from understudy.streams.clickhouse.evidence_history import EvidencePoint, PastEvidence
from understudy.streams.dashboard.evidence_page import evidence_page

NEWEST = msgspec.structs.replace(evidence("language:ja", at_multiple(2.0)), interval=(0.02, 0.1))
THRESHOLDS = decision().thresholds


def points(*found: Evidence) -> list[EvidencePoint]:
    past = [msgspec.convert(one, PastEvidence, from_attributes=True) for one in found]
    return [EvidencePoint(n, 60_000 * n, one, THRESHOLDS) for n, one in enumerate(past)]


def test_evidence_is_drawn_as_multiples_of_what_is_enough_and_within_bounds() -> None:
    nothing = msgspec.structs.replace(NEWEST, log_rollback=None, log_promotion=math.log(20))
    page = evidence_page(decision("hold", NEWEST), NEWEST, points(nothing, NEWEST))
    spec = json.loads(page.charts[0].spec)
    assert spec["x"] == [0.0, 60.0]
    values = {line["label"]: line["values"] for line in spec["series"]}
    assert values["for rollback"] == pytest.approx([0.001, 2.0])
    assert values["for promotion"][0] == pytest.approx(1.0)
    assert values["enough"] == [1.0, 1.0]
    assert "2 times what one needs" in page.charts[0].spoken


def test_harm_is_drawn_in_points_and_its_first_wide_interval_does_not_set_the_range() -> None:
    wide = msgspec.structs.replace(NEWEST, harm=0.0, interval=(-1.0, 1.0))
    page = evidence_page(decision("hold", NEWEST), NEWEST, points(wide, wide, NEWEST, NEWEST))
    spec = json.loads(page.charts[1].spec)
    assert spec["unit"] == "pp"
    assert spec["series"][0]["values"] == pytest.approx([0.0, 0.0, 6.1, 6.1])
    low, high = spec["y_range"]
    assert -2.0 < low < 0.0
    assert 10.0 < high < 12.0


def test_a_single_decision_makes_no_chart() -> None:
    assert evidence_page(decision("hold", NEWEST), NEWEST, points(NEWEST)).charts == []


def test_other_slices_of_the_guardrail_follow_by_size() -> None:
    small = msgspec.structs.replace(evidence("language:de"), units=3)
    other = evidence("all", metric="error_rate")
    page = evidence_page(decision("hold", NEWEST, small, evidence("all"), other), NEWEST, [])
    assert [row.slice for row in page.others] == ["all", "language:de"]
    assert ("pairs", "1,700") in page.statistics
