"""Languages against guardrails."""

from __future__ import annotations

import msgspec

from tests.streams.demo.decisions import decision, evidence
from understudy.schemas.decisions import Evidence
from understudy.streams.dashboard.evidence_rows import evidence_rows
from understudy.streams.dashboard.heat_map import MAX_COLUMNS, HeatMap, heat_map


def cell(slice_name: str, metric: str, units: int) -> Evidence:
    return msgspec.structs.replace(evidence(slice_name, metric=metric), units=units)


def mapped(*found: Evidence) -> HeatMap:
    return heat_map(evidence_rows(decision("hold", *found), found))


def test_languages_come_by_size_after_all_requests_and_gaps_stay_empty() -> None:
    heat = mapped(
        cell("language:ja", "json_valid_rate", 10),
        cell("language:en", "json_valid_rate", 90),
        cell("all", "error_rate", 100),
        cell("language:en", "error_rate", 90),
        cell("language:en,workflow:chat", "error_rate", 80),
        cell("workflow:chat", "error_rate", 95),
        cell("language:und", "error_rate", 0),
    )
    assert heat.slices == ["all", "language:en", "language:ja"]
    assert heat.titles == ["all", "en", "ja"]
    shown = {name: [one and one.slice for one in cells] for name, _, cells in heat.rows}
    assert shown == {
        "json_valid_rate": [None, "language:en", "language:ja"],
        "error_rate": ["all", "language:en", None],
    }
    assert heat.is_worth_showing
    assert heat.left_out == 0


def test_a_row_says_what_it_measures() -> None:
    some = [cell("all", name, 5) for name in ("error_rate", "garbled_rate")]
    assert [(name, title) for name, title, _ in mapped(*some).rows] == [
        ("error_rate", "Error rate"), ("garbled_rate", "Answers with damaged characters"),
    ]  # fmt: skip


def test_more_languages_than_fit_are_counted() -> None:
    many = [cell(f"language:x{n:02}", "error_rate", 1_000 - n) for n in range(40)]
    heat = mapped(cell("all", "error_rate", 5_000), *many)
    assert (len(heat.slices), heat.left_out) == (MAX_COLUMNS, 41 - MAX_COLUMNS)
    assert heat.slices[-1] == "language:x29"


def test_all_requests_alone_are_no_map() -> None:
    assert not mapped(cell("all", "error_rate", 5)).is_worth_showing
