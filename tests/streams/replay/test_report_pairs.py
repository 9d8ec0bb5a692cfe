"""Which pairs of a file a report shows, and that a long file keeps few."""

from __future__ import annotations

import dataclasses

from tests.streams.clickhouse.test_captured_pairs import pair
from tests.streams.pairing.log import POLICY
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.dashboard.pair_filter import Chosen
from understudy.streams.replay.report_pairs import MOST_KEPT, ReportPairs, capturing


def found(pair_id: str, severity: float, **changes: object) -> CapturedPair:
    return dataclasses.replace(pair(pair_id), severity=severity, **changes)  # type: ignore[arg-type]


def test_the_worst_come_first_of_what_is_asked_for() -> None:
    pairs = ReportPairs()
    pairs.take([
        found("mild", 0.2, kinds=["text"]), found("ja", 0.9, language="ja", kinds=["json", "text"]),
        found("worst", 1.0, kinds=["error"]),
    ])  # fmt: skip

    def ids(*wanted: Chosen, most: int = 9) -> list[str]:
        return [one.pair_id for one in pairs.worst(wanted, most)]

    assert ids(Chosen()) == ["worst", "ja", "mild"]
    assert ids(Chosen(kind="text")) == ["ja", "mild"]
    assert ids(Chosen(language="ja", kind="json"), Chosen()) == ["ja"]
    assert ids(Chosen(language="fr"), Chosen(), most=1) == ["worst"], "any, where there is none"
    assert ids(Chosen(workflow="other")) == []


def test_a_long_file_keeps_few_pairs_of_every_language() -> None:
    pairs = ReportPairs()
    for n in range(5_000):
        pairs.take([found(f"p{n}", 1.0, language="en" if n else "ja")])
    for n in range(30):
        pairs.take([found(f"q{n}", 0.5, language=f"x{n}") for _ in range(30)])
    assert pairs._ranked.count <= MOST_KEPT * 5 // 4
    assert [one.pair_id for one in pairs.worst([Chosen(language="ja")], 5)] == ["p0"]


def test_any_rollout_of_a_file_is_captured_by_the_limits_of_the_settings() -> None:
    policy = capturing(POLICY)
    assert policy.captures.of("any", 0) == "worst"
    assert policy.captures.is_anything
    assert policy.captures.limits == POLICY.captures.limits
    assert not POLICY.captures.is_anything
