"""The summary names what broke and where, dates it, and accuses nobody without cause."""

from __future__ import annotations

import datetime as dt
import io
import math
import re
import shlex
from collections.abc import Sequence
from random import Random

import pytest
from rich.console import Console

from understudy.schemas.windows import SECTIONS, PairSums, SideSums, WindowRow
from understudy.streams.embedded.discrepancies import log_p_value, search
from understudy.streams.embedded.simulator import Regression
from understudy.streams.embedded.slices import ERROR, JSON_VALID, Contrast, SliceKey
from understudy.streams.embedded.summary import Summary, is_truth, summarise
from understudy.streams.embedded.view import Snapshot

START = dt.datetime(2026, 11, 3, 12, 0, tzinfo=dt.UTC)
SNAPSHOT = Snapshot(40.0, 1_000.0, 41_000, 20_000, 53, 39, 16, 12, 0, 1.0)
LANGUAGES = ("en", "zh-Hans", "ja", "ar")
WORKFLOWS = ("chat", "extract", "classify")
INJECTED = Regression("json_valid", "zh-Hans", "extract", 0.12, START + dt.timedelta(seconds=200))


def row(
    language: str, workflow: str, window: int, rng: Random, *, pairs: int, broken: float
) -> WindowRow:
    """One window in which both sides fail now and then, and the candidate `broken` more."""
    expects_json = workflow != "chat"
    stable_bad = [rng.random() < 0.01 for _ in range(pairs)]
    candidate_bad = [rng.random() < 0.01 + broken for _ in range(pairs)]
    only_candidate = sum(c and not s for s, c in zip(stable_bad, candidate_bad, strict=True))
    only_stable = sum(s and not c for s, c in zip(stable_bad, candidate_bad, strict=True))
    bad = {"stable": sum(stable_bad), "candidate": sum(candidate_bad)}
    pair = PairSums(pairs=pairs, answered=pairs)
    sides = {side: SideSums(requests=pairs) for side in bad}
    if expects_json:
        pair.json_expected_both = pairs
        pair.json_valid_only_stable, pair.json_valid_only_candidate = only_candidate, only_stable
        for side, sums in sides.items():
            sums.json_expected, sums.json_valid = pairs, pairs - bad[side]
            sums.json_fenced = bad[side]
    else:
        pair.error_only_candidate, pair.error_only_stable = only_candidate, only_stable
        for side, sums in sides.items():
            sums.errors = bad[side]
    return WindowRow(
        rollout_id="r",
        mode="shadow",
        language=language,
        workflow=workflow,
        window_start=START + dt.timedelta(seconds=10 * window),
        window_s=10,
        partition=0,
        version=1,
        pair=pair,
        **sides,
    )


def run(
    broken: dict[tuple[str, str], float], *, seed: int = 1, since: int = 20, pairs: int = 20
) -> list[WindowRow]:
    rng = Random(seed)
    return [
        row(
            language,
            workflow,
            window,
            rng,
            pairs=pairs,
            broken=broken.get((language, workflow), 0.0) if window >= since else 0.0,
        )
        for language in LANGUAGES
        for workflow in WORKFLOWS
        for window in range(60)
    ]


REGRESSED = {("zh-Hans", "extract"): 0.12}


def summary(rows: Sequence[WindowRow], injected: Regression | None = None) -> Summary:
    return summarise(SNAPSHOT, rows, clickhouse_url="chdb://./demo data", injected=injected)


def test_names_what_broke_where_and_since_when() -> None:
    result = summary(run(REGRESSED), INJECTED)
    assert re.fullmatch(
        r"JSON validity in zh-Hans/extract: stable 9\d\.\d % → candidate 8\d\.\d % "
        r"\(−1\d\.\d points\) since 12:03:\d0",
        result.headline,
    )
    assert result.found is not None
    assert result.found.since is not None
    assert abs(result.found.since - INJECTED.since) <= dt.timedelta(seconds=30)
    assert is_truth(INJECTED, result.found)
    assert "Found." in result.text
    assert "fenced in markdown" in result.text
    assert "not the verdict" in result.text


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_run_is_not_accused(seed: int) -> None:
    result = summary(run({}, seed=seed))
    assert result.found is None
    assert result.headline.startswith("Nothing stands out")
    assert "can still be there" in result.text
    assert "What the simulator broke" not in result.text


def test_says_when_it_did_not_find_what_was_broken() -> None:
    assert "Not found" in summary(run({}), INJECTED).text


def test_no_pairs_are_no_finding() -> None:
    assert summary([]).headline.startswith("No pair was compared")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (REGRESSED, SliceKey("zh-Hans", "extract")),
        ({("ja", w): 0.1 for w in ("extract", "classify")}, SliceKey("ja")),
        ({(lang, "extract"): 0.1 for lang in LANGUAGES}, SliceKey()),
    ],
    ids=["one workflow", "one language", "every language"],
)
def test_names_the_smallest_slice_that_explains_it(
    broken: dict[tuple[str, str], float], expected: SliceKey
) -> None:
    found = search(run(broken)).found
    assert found is not None
    assert found.key == expected


def test_broken_all_along_has_no_date() -> None:
    result = summary(run(REGRESSED, since=0))
    assert result.headline.endswith("over the whole run")


def test_errors_count_the_other_way_round() -> None:
    result = summary(run({("en", "chat"): 0.08}))
    assert result.found is not None
    assert result.found.metric == ERROR
    assert re.match(r"Error rate in en/chat: stable .* \(\+\d\.\d points\)", result.headline)


def test_an_improvement_is_not_called_a_break() -> None:
    rows = run(REGRESSED, since=0)
    for better in rows:
        pair = better.pair
        better.stable, better.candidate = better.candidate, better.stable
        pair.json_valid_only_stable, pair.json_valid_only_candidate = (
            pair.json_valid_only_candidate,
            pair.json_valid_only_stable,
        )
    result = summary(rows, INJECTED)
    assert "points, better)" in result.headline
    assert "Not found" in result.text


def test_harm_is_named_before_help() -> None:
    rows = run({("ja", "extract"): 0.06})
    for window in rows:
        if window.language == "en":
            window.pair.json_valid_only_candidate += 9
            window.stable.json_valid -= 9
    found = search(rows).found
    assert found is not None
    assert found.is_worse


def test_the_cause_is_named_and_not_its_consequence() -> None:
    rows = run(REGRESSED)
    for window in rows:
        pair = window.pair
        pair.json_schema_checked_both = pair.json_expected_both
        pair.json_schema_valid_only_stable = 2 * pair.json_valid_only_stable
    found = search(rows).found
    assert found is not None
    assert found.metric == JSON_VALID


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (1, 0), (5, 5), (9, 1), (40, 12), (0, 30)])
def test_p_value_is_the_binomial_one(worse: int, better: int) -> None:
    n, extreme = worse + better, max(worse, better)
    exact = min(1.0, 2 * sum(math.comb(n, k) for k in range(extreme, n + 1)) / 2**n)
    assert math.exp(log_p_value(Contrast(100, worse, better))) == pytest.approx(exact)


def test_p_value_of_much_evidence_is_finite() -> None:
    assert -math.inf < log_p_value(Contrast(10**6, 50_000, 100)) < -10_000


def test_commands_can_be_pasted_and_name_columns_that_exist() -> None:
    known = {f"{s}_{name}" for s, kind in SECTIONS.items() for name in kind.__struct_fields__}
    for command in summary(run(REGRESSED)).commands:
        words = shlex.split(command)
        assert words[:4] == ["understudy", "query", "--clickhouse", "chdb://./demo data"]
        (sql,) = words[4:]
        named = re.findall(r"\b(?:stable|candidate|pair|control|events)_\w+", sql)
        assert named
        assert set(named) <= known


def test_hostile_labels_reach_neither_sql_nor_the_terminal() -> None:
    rows = run({("zh-Hans", "extract"): 0.3})
    for window in rows:
        if window.workflow == "extract":
            window.workflow = "x' OR \"$(reboot)`\x1b[2J"
    result = summary(rows)
    assert all("reboot" not in command for command in result.commands)
    assert "\x1b" not in result.text
    assert "reboot" in result.headline


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_prints_paragraphs_wrapped_and_commands_whole(encoding: str) -> None:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding)
    result = summary(run(REGRESSED), INJECTED)
    result.print(Console(file=file, width=80))
    file.flush()
    lines = buffer.getvalue().decode(encoding).splitlines()
    commands = [line for line in lines if line.startswith("understudy query")]
    assert commands == list(result.commands)
    assert all(len(line) <= 80 for line in lines if line not in commands)
