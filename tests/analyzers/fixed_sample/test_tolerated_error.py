from __future__ import annotations

import pytest

from tests.analyzers.fixed_sample.cases import policy
from understudy.analyzers.fixed_sample.tolerated_error import (
    Cell,
    Present,
    error_shares,
    slice_shares,
)
from understudy.analyzers.guardrails.checks import checks_of
from understudy.schemas.rollouts import SliceChoice, SliceManifest

EACH_LANGUAGE = SliceChoice(all=True, each_language=True, each_workflow=False)


def test_languages_share_half_evenly() -> None:
    shares = slice_shares(EACH_LANGUAGE, Present(["en", "de"], [], 600))
    assert shares == {"all": 0.5, "language:en": 0.25, "language:de": 0.25}


def test_languages_with_few_cases_leave_their_part_to_all_together() -> None:
    shares = slice_shares(EACH_LANGUAGE, Present(["en", "de"], [], 60))
    assert shares == {"all": 0.95, "language:en": 0.025, "language:de": 0.025}


def test_one_language_is_all_cases() -> None:
    assert slice_shares(EACH_LANGUAGE, Present(["en"], ["chat"], 600)) == {"all": 1.0}


def test_families_share_evenly() -> None:
    choice = SliceChoice(True, True, True, (SliceManifest(language="ja"),))
    shares = slice_shares(choice, Present(["en", "de"], ["a", "b"], 600))
    assert shares["language:ja"] == pytest.approx(1 / 6)
    assert shares["workflow:a"] == pytest.approx(1 / 12)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_without_all_requests_one_language_has_everything() -> None:
    choice = SliceChoice(all=False, each_language=True, each_workflow=False)
    assert slice_shares(choice, Present(["en"], [], 600)) == {"language:en": 1.0}


def test_what_cannot_be_tested_leaves_its_share_to_the_others() -> None:
    checks = checks_of(policy())
    numbers = {check.name: number for number, check in enumerate(checks)}
    error, json = numbers["error_rate"], numbers["json_valid_rate"]
    shares = {Cell(one, "all"): 0.5 for one in (error, json)}
    shares |= {Cell(one, "language:de"): 0.5 for one in (error, json)}
    both = error_shares(checks, shares, shares)
    assert both == {cell: pytest.approx(0.25) for cell in shares}
    alone = error_shares(checks, shares, [Cell(error, "all"), Cell(error, "language:de")])
    assert alone == {Cell(error, "all"): 0.5, Cell(error, "language:de"): 0.5}
    large = error_shares(
        checks, shares, [Cell(error, "all"), *[c for c in shares if c.check == json]]
    )
    assert large[Cell(error, "all")] == pytest.approx(0.5)
    assert sum(large.values()) == pytest.approx(1.0)


def test_alerts_have_an_error_of_their_own() -> None:
    checks = checks_of(policy())
    cells = {Cell(number, "all"): 1.0 for number in range(len(checks))}
    found = error_shares(checks, cells, cells)
    for action in ("rollback", "alert"):
        of_action = [share for cell, share in found.items() if checks[cell.check].action == action]
        assert sum(of_action) == pytest.approx(1.0)


def test_the_most_frequent_languages_count() -> None:
    present = Present.of(["de", "en", "en", ""], [""])
    assert present == (["en", "de"], [], 4)
    assert len(Present.of([str(number) for number in range(100)], []).languages) == 64
