"""Findings: how far evidence tells, in words, signs and figures."""

from __future__ import annotations

import msgspec
import pytest

from tests.streams.demo.decisions import at_multiple, decision, evidence
from understudy.streams.dashboard.evidence_rows import (
    SIGNS,
    WORDS,
    Finding,
    evidence_rows,
    finding_of,
    worst_evidence,
)


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"status": "breach"}, Finding.BREACH),
        ({"harm": None, "interval": (None, None)}, Finding.UNMEASURED),
        ({"interval": (0.006, 0.1)}, Finding.BEYOND),
        ({"interval": (0.001, 0.1)}, Finding.WORSE),
        ({"interval": (0.001, 0.004)}, Finding.WORSE),
        ({"interval": (-0.1, -0.001)}, Finding.BETTER),
        ({"interval": (-0.1, 0.004)}, Finding.WITHIN),
        ({"interval": (-0.1, 0.1)}, Finding.UNCLEAR),
        ({"interval": (None, None)}, Finding.UNCLEAR),
        ({"interval": (-0.1, 0.1), "status": "pass"}, Finding.WITHIN),
        ({"limit": "max", "interval": (0.001, 0.004)}, Finding.WITHIN),
        ({"relative": True, "interval": (-0.1, -0.001)}, Finding.WITHIN),
        ({"relative": True, "unit": "usd", "interval": (-0.1, -0.001)}, Finding.BETTER),
        ({"metric": "duration_p95", "unit": "ms", "interval": (-0.1, -0.001)}, Finding.WITHIN),
        ({"limit": "max", "interval": (0.001, 0.1)}, Finding.UNCLEAR),
    ],
)
def test_what_the_interval_excludes_is_a_finding(
    changes: dict[str, object], finding: Finding
) -> None:
    """The margin is half a point. A limit on one side knows no better or worse than stable,
    and neither does a multiple of a rate, or a quantile."""
    assert finding_of(msgspec.structs.replace(evidence(), **changes)) is finding


def test_every_finding_has_words_and_a_sign_of_its_own() -> None:
    assert set(WORDS) == set(SIGNS) == set(Finding)
    assert len(set(SIGNS.values())) == len(set(WORDS.values())) == len(Finding)


def test_a_row_has_all_figures_as_text() -> None:
    one = msgspec.structs.replace(
        evidence("language:ja,workflow:extract", at_multiple(0.31)), stable=0.99, candidate=0.93
    )
    (row,) = evidence_rows(decision("hold", one), [one])
    assert (row.title, row.slice_title) == ("JSON validity", "ja, workflow extract")
    assert (row.sides, row.harm, row.limit) == ("99 % → 93 %", "+6.10 pp", "≤ +0.5 pp")
    assert (row.units, row.rollback, row.sign) == ("1,840", "0.31", "▲")
    assert row.rollback_multiple == pytest.approx(0.31)
    assert row.words == "beyond the limit, by its 95 % interval"


def test_a_breach_is_worse_than_any_suspicion() -> None:
    breach = msgspec.structs.replace(evidence("language:ja"), status="breach")
    suspect = evidence("all", at_multiple(0.9))
    unknown = msgspec.structs.replace(evidence("all", at_multiple(9.0)), harm=None)
    assert worst_evidence(decision("hold", suspect, breach, unknown)) is breach
    assert worst_evidence(decision("hold", suspect, unknown)) is suspect
