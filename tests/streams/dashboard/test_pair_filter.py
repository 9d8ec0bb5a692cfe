"""Every kind has words, and a guardrail leads to the pairs that show what it found."""

from __future__ import annotations

import pytest

from understudy.analyzers.compare.severity import KINDS, NOTHING_WORSE
from understudy.schemas.rollout_metrics import METRICS
from understudy.streams.dashboard.pair_filter import KIND_OF_METRIC, KIND_WORDS, chosen_of


def test_every_kind_has_words_and_every_metric_named_exists() -> None:
    assert set(KIND_WORDS) == {*KINDS, NOTHING_WORSE}
    assert set(KIND_OF_METRIC) <= METRICS.keys()


@pytest.mark.parametrize(
    ("metric", "slice_", "query"),
    [
        ("json_valid_rate", "language:ja", "language=ja&kind=json&hours=24"),
        ("error_rate", "all", "kind=error&hours=24"),
        ("cost_usd", "mirrored,language:ja,workflow:a:b",
         "language=ja&workflow=a%3Ab&hours=24"),
        ("cost_usd", "mirrored", "hours=24"),
    ],
)  # fmt: skip
def test_evidence_leads_to_the_pairs_that_show_it(metric: str, slice_: str, query: str) -> None:
    assert chosen_of(metric, slice_).query(24) == query
