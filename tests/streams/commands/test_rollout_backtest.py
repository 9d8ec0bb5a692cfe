"""`rollout backtest` from ClickHouse: the same verdict as from the recording behind its windows."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from understudy.streams.clickhouse.connect import connect
from understudy.streams.commands.main import main
from understudy.streams.demo.simulator import ROLLOUT_ID, simulate

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
WINDOW_S = 10
LATENESS_S = 130
"""A recording's windows close so much later than they end; stored ones are complete at once."""
REQUESTS_PER_WINDOW = 450
HEAD = (
    f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5}}\n"
    "min_requests: 2000\nmin_duration: 1m\n"
)
BROKEN_JSON = HEAD + (
    "independent_requests: true\nguardrails: [{metric: json_valid_rate, max_drop: 1pp, "
    "slices: [all, {language: en, workflow: extract}]}]\n"
)
LENIENT = HEAD + (
    "guardrails: [{metric: error_rate, max: 5%}, {metric: duration_p95, max: 30s}, "
    "{metric: cost_usd, max_increase: 20%}]\n"
)
SLOW = HEAD + "guardrails: [{metric: duration_p95, max_increase: 100%, slices: [all]}]\n"
UNDECIDED = HEAD + "guardrails: [{metric: json_schema_valid_rate, max_drop: 1pp}]\n"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "events.ndjson"
    messages = simulate(seed=3, pairs=8_000, healthy=False, start=START, language="en")
    file.write_bytes(b"\n".join(message.payload for message in messages))
    return file


@pytest.fixture(scope="module")
def url(clickhouse_url: str, recording: Path) -> Iterator[str]:
    """A database with the windows of the recording."""
    name = "test_backtest_windows"
    url = f"{clickhouse_url}{'&' if '?' in clickhouse_url else '?'}database={name}"
    done = CliRunner().invoke(main, ["replay", str(recording), "--clickhouse", url, "--json"])
    assert done.exit_code == 0, done.output
    yield url
    client = connect(url)
    client.command(f"DROP DATABASE {name}")
    client.close()


def backtest(tmp_path: Path, policy: str, *arguments: str) -> Result:
    file = tmp_path / "policy.yaml"
    file.write_text(policy, "utf-8")
    return CliRunner().invoke(main, ["rollout", "backtest", "-f", str(file), *arguments])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def time_of_verdict(outcome: Any) -> dt.datetime:
    return dt.datetime.fromisoformat(outcome["decision"]["since"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "verdict"),
    [(BROKEN_JSON, "rollback"), (LENIENT, "promote"), (UNDECIDED, "hold")],
)
def test_clickhouse_and_the_recording_agree(
    recording: Path, url: str, tmp_path: Path, policy: str, verdict: str
) -> None:
    by_file = document(backtest(tmp_path, policy, str(recording), "--json"))
    by_rows = document(backtest(tmp_path, policy, "--clickhouse", url, "--json"))
    expected, decision = by_file["decision"], by_rows["decision"]
    assert decision["verdict"] == expected["verdict"] == verdict
    for name in ("index", "stage", "requests", "duration_s"):
        assert decision["stage"][name] == expected["stage"][name]
    assert decision["quality"] == expected["quality"]
    assert counts(decision) == counts(expected)
    assert [one["verdict"] for one in by_rows["timeline"]] == [
        one["verdict"] for one in by_file["timeline"]
    ]
    later = time_of_verdict(by_rows) - time_of_verdict(by_file)
    assert later <= dt.timedelta(seconds=2 * WINDOW_S)
    assert later >= -dt.timedelta(
        seconds=2 * WINDOW_S + (LATENESS_S if verdict == "promote" else 0)
    )


def counts(decision: Any) -> list[Any]:
    """What was measured in each guardrail's slice; evidence depends on batches, counts do not."""
    names = ("guardrail", "slice", "weight", "units", "statistics", "stable", "candidate")
    return [[one[name] for name in names] for one in decision["evidence"]]


@pytest.mark.slow
def test_a_relative_quantile_begins_by_the_lateness_earlier(
    recording: Path, url: str, tmp_path: Path
) -> None:
    """It is learnt from closed windows; a worker has seen a bit of the next one, too."""
    data = (["--clickhouse", url], [str(recording)])
    rows, file = (document(backtest(tmp_path, SLOW, *some, "--json")) for some in data)
    units, expected = (one["decision"]["evidence"][0]["units"] for one in (rows, file))
    assert expected > 0
    assert 0 <= units - expected <= (LATENESS_S / WINDOW_S + 2) * REQUESTS_PER_WINDOW


def test_the_same_rows_give_the_same_bytes(url: str, tmp_path: Path) -> None:
    first, second = (
        backtest(tmp_path, BROKEN_JSON, "--clickhouse", url, "--json") for _ in range(2)
    )
    assert first.stdout == second.stdout


def test_the_screen_and_what_goes_to_stderr(url: str, tmp_path: Path) -> None:
    result = backtest(tmp_path, BROKEN_JSON, "--clickhouse", url)
    assert "Decisions over event time" in result.stdout
    assert f"\nROLLBACK  {ROLLOUT_ID}, stage shadow" in result.stdout
    assert "window rows read" in result.stderr
    assert "so a worker may have decided later" in result.stderr
    assert "had not closed in ClickHouse" in result.stderr, "the recording ended with open windows"


def test_a_range_leaves_out_what_lies_beyond_it(url: str, tmp_path: Path) -> None:
    arguments = ["--clickhouse", url, "--json", "--since", "2026-03-02T12:00:30"]
    part = backtest(tmp_path, BROKEN_JSON, *arguments, "--until", "2026-03-02T12:01:30Z")
    decision = document(part)["decision"]
    assert decision["verdict"] == "hold", "the candidate breaks at 12:01:24"
    assert decision["stage"]["duration_s"] == 60
    assert "had not closed" not in part.stderr
    whole = document(backtest(tmp_path, BROKEN_JSON, *arguments))["decision"]
    assert whole["verdict"] == "rollback"
    assert whole["stage"]["requests"] > decision["stage"]["requests"] > 1_000


@pytest.mark.slow
def test_a_policy_can_be_tried_on_another_rollout(
    recording: Path, url: str, tmp_path: Path
) -> None:
    other = BROKEN_JSON.replace(ROLLOUT_ID, "planned")
    for data in (["--clickhouse", url], [str(recording)]):
        refused = backtest(tmp_path, other, *data)
        assert refused.exit_code == 1
        assert ROLLOUT_ID in refused.output
        tried = document(backtest(tmp_path, other, *data, "--rollout-id", ROLLOUT_ID, "--json"))
        assert tried["decision"]["verdict"] == "rollback"
        assert tried["decision"]["rollout_id"] == ROLLOUT_ID


def test_the_settings_name_the_clickhouse(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CLICKHOUSE_URL", url)
    assert backtest(tmp_path, LENIENT).exit_code == 0


@pytest.mark.parametrize(
    ("policy", "arguments", "code", "words"),
    [
        (LENIENT.replace("2026-11", "2026-10"), [], 1,
         f"no windows of rollout checkout-assistant-2026-10; did you mean {ROLLOUT_ID}?"),
        (LENIENT.replace("2026-11", "2026-10"), [], 1, f"{ROLLOUT_ID}  2026-03-02T12:00:00 to "),
        (LENIENT, ["--since", "2026-03-03"], 1, "start in that range; it has 2026-03-02T12:00:00"),
        (LENIENT, ["--until", "2026-03-02T12:00"], 1, "start in that range"),
        (LENIENT, ["--since", "2d", "--until", "3d"], 2, "--until must be later than --since"),
        (LENIENT, ["--since", "yesterday"], 2, "neither an age (30m, 2d) nor a time"),
        (LENIENT, ["--stage", "6%"], 2, "the policy has no stage 6%"),
        (HEAD + "mode: canary", [], 1, "the recording is in mode shadow"),
        (HEAD + "mod: shadow", [], 2, "policy.yaml:5:1: unknown key mod"),
        (LENIENT, ["--json-schemas", "."], 2, "windows hold no outputs"),
        (LENIENT, ["--clickhouse", "clickhouse://127.0.0.1:1/x"], 3, "cannot be reached"),
        (LENIENT, ["--clickhouse", "chdb://nowhere/at/all"], 1, "is no folder yet"),
        (LENIENT, ["--clickhouse", "postgres://x"], 1, "is no ClickHouse URL"),
    ],
)  # fmt: skip
@pytest.mark.embedded
def test_what_cannot_be_judged_says_why(
    url: str, tmp_path: Path, policy: str, arguments: list[str], code: int, words: str
) -> None:
    result = backtest(tmp_path, policy, "--clickhouse", url, *arguments)
    assert result.exit_code == code, result.output
    assert words in result.output
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--since", "--until", "--clickhouse"])
def test_files_and_clickhouse_are_one_or_the_other(
    recording: Path, tmp_path: Path, option: str
) -> None:
    result = backtest(tmp_path, LENIENT, str(recording), option, "2d")
    assert result.exit_code == 2
    assert f"{option} is about ClickHouse: give it or files, not both" in result.output


def test_no_windows_at_all_and_no_tables(
    clickhouse_url: str, clickhouse_database: str, tmp_path: Path
) -> None:
    url = f"{clickhouse_url}{'&' if '?' in clickhouse_url else '?'}database={clickhouse_database}"
    missing = backtest(tmp_path, LENIENT, "--clickhouse", url)
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "`understudy migrate` creates them" in missing.output
    assert CliRunner().invoke(main, ["migrate", "--clickhouse", url]).exit_code == 0
    empty = backtest(tmp_path, LENIENT, "--clickhouse", url)
    assert empty.exit_code == 1
    assert "ClickHouse holds no windows yet" in empty.output
