"""`replay --policy` and `rollout backtest`: screens, documents, exit codes."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from understudy.schemas.events import Error, encode_event
from understudy.streams.commands.main import main
from understudy.streams.demo.simulator import ROLLOUT_ID, simulate

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
HEAD = f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5}}\n"
STRICT = HEAD + "guardrails: [{metric: tool_call_match, min: 99%, slices: [all]}]\n"
LENIENT = (
    HEAD + "min_requests: 500\nmin_duration: 10s\nindependent_requests: true\n"
    "guardrails: [{metric: error_rate, max: 5%, slices: [all]}]\n"
)
UNDECIDED = HEAD + "guardrails: [{metric: error_rate, max: 5%, slices: [all]}]\n"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "events.ndjson"
    messages = simulate(seed=1, pairs=1_500, healthy=True, start=START)
    file.write_bytes(b"\n".join(message.payload for message in messages))
    return file


def run(tmp_path: Path, policy: str, *arguments: str) -> Result:
    file = tmp_path / "policy.yaml"
    file.write_text(policy, "utf-8")
    words = [str(file) if argument == "POLICY" else argument for argument in arguments]
    return CliRunner().invoke(main, words)


@pytest.mark.parametrize(
    ("policy", "fail_on", "verdict", "code"),
    [
        (STRICT, None, "rollback", 0),
        (STRICT, "rollback", "rollback", 4),
        (STRICT, "hold", "rollback", 4),
        (UNDECIDED, "rollback", "hold", 0),
        (UNDECIDED, "hold", "hold", 4),
        (LENIENT, "hold", "promote", 0),
    ],
)
def test_the_exit_code_follows_the_verdict(
    recording: Path, tmp_path: Path, policy: str, fail_on: str | None, verdict: str, code: int
) -> None:
    options = ["--fail-on", fail_on] if fail_on else []
    result = run(tmp_path, policy, "replay", str(recording), "--policy", "POLICY", *options)
    assert result.exit_code == code, result.output
    assert f"\n{verdict.upper()}  {ROLLOUT_ID}, stage shadow" in result.output
    assert "guardrail" in result.output


def test_json_keeps_the_report_and_adds_the_decision(recording: Path, tmp_path: Path) -> None:
    plain = json.loads(run(tmp_path, "", "replay", str(recording), "--json").stdout)
    judged = run(tmp_path, STRICT, "replay", str(recording), "--json", "--policy", "POLICY")
    document = json.loads(judged.stdout)
    decision = document.pop("decision")
    assert document == plain
    assert decision["verdict"] == "rollback"
    assert decision["evidence"][0]["guardrail"] == "tool_call_match"


def test_a_report_says_what_the_json_says(recording: Path, tmp_path: Path) -> None:
    policy, file = tmp_path / "policy.yaml", tmp_path / "report.html"
    policy.write_text(STRICT)
    done = CliRunner().invoke(
        main, ["replay", str(recording), "--policy", str(policy), "--html", str(file), "--json"]
    )
    decision = json.loads(done.stdout)["decision"]
    text = file.read_text()
    assert decision["reasons"][0] in text
    assert "tool_call_match, min: 99%" in text, "the policy as it was written"


def test_a_report_shows_the_worst_pairs_redacted_and_stores_none(
    recording: Path, tmp_path: Path, clickhouse_url: str, clickhouse_database: str
) -> None:
    lines = recording.read_bytes().split(b"\n")[:60]
    events = [json.loads(line) for line in lines]
    for event in events:
        answer = "write to anna@example.org" if event["side"] == "candidate" else "no"
        event |= {"response": {"output": answer * 4}}
    small, file = tmp_path / "small.ndjson", tmp_path / "report.html"
    small.write_text("\n".join(map(json.dumps, events)))
    stored = f"{clickhouse_url}?database={clickhouse_database}"
    runner = CliRunner()
    done = runner.invoke(main, ["replay", str(small), "--html", str(file), "--clickhouse", stored])
    assert done.exit_code == 0, done.output
    text = file.read_text()
    assert text.count('<article class="pair">') == 5
    assert "[email]" in text
    assert "anna@example.org" not in text
    count = ["query", "--clickhouse", stored, "--csv", "SELECT count() AS n FROM captured_pairs"]
    assert runner.invoke(main, count).stdout.split() == ["n", "0"]


def test_recorded_answers_are_replayed_as_events(tmp_path: Path) -> None:
    rows = "id,answer\n" + "".join(f'{n},"{{""a"": {n}}}"\n' for n in range(20))
    stable, candidate = tmp_path / "s.csv", tmp_path / "c.csv"
    stable.write_text(rows)
    candidate.write_text(rows.replace("}", "") + ",no id\n")
    runner = CliRunner()
    result = runner.invoke(
        main, ["replay", "--from", "auto", str(stable), str(candidate), "--json"]
    )
    document = json.loads(result.stdout)
    assert document["pairs"] == 20
    assert document["rollouts"][0]["rollout_id"] == "recorded"
    (whole, *_) = document["rollouts"][0]["slices"]
    assert (whole["stable"]["json_valid"], whole["candidate"]["json_valid"]) == (20, 0)
    assert "c.csv:22: has no id" in result.stderr
    judged = run(
        tmp_path,
        STRICT,
        "replay",
        "--from",
        "table",
        str(stable),
        str(candidate),
        "--policy",
        "POLICY",
    )
    assert f"HOLD  {ROLLOUT_ID}, stage shadow" in judged.output


def test_options_of_recorded_answers_need_them(recording: Path) -> None:
    result = CliRunner().invoke(main, ["replay", str(recording), "--id", "key"])
    assert result.exit_code == 2
    assert "need --from" in result.stderr


def test_backtest_shows_when_what_would_have_been_decided(recording: Path, tmp_path: Path) -> None:
    arguments = ["rollout", "backtest", "-f", "POLICY", str(recording)]
    screen = run(tmp_path, STRICT, *arguments)
    assert screen.exit_code == 0, screen.output
    assert "Decisions over event time" in screen.output
    assert "2026-03-02 12:00" in screen.output
    document = json.loads(run(tmp_path, STRICT, *arguments, "--json").stdout)
    verdicts = [decision["verdict"] for decision in document["timeline"]]
    assert verdicts[-1] == document["decision"]["verdict"] == "rollback"
    times = [decision["decided_at"] for decision in document["timeline"]]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("policy", "arguments", "code", "words"),
    [
        (HEAD + "mod: shadow", ["--policy", "POLICY"], 2, "policy.yaml:3:1: unknown key mod"),
        (LENIENT.replace(ROLLOUT_ID, ROLLOUT_ID + "x"), ["--policy", "POLICY"], 1,
         f"did you mean {ROLLOUT_ID}?"),
        (HEAD + "mode: canary", ["--policy", "POLICY"], 1, "the recording is in mode shadow"),
        (LENIENT, ["--fail-on", "hold"], 2, "needs a --policy"),
        (LENIENT, ["--policy", "missing.yaml"], 2, "does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_says_why(
    recording: Path, tmp_path: Path, policy: str, arguments: list[str], code: int, words: str
) -> None:
    result = run(tmp_path, policy, "replay", str(recording), *arguments)
    assert result.exit_code == code, result.output
    assert words in result.output


def test_a_stage_can_be_named(recording: Path, tmp_path: Path) -> None:
    arguments = ["rollout", "backtest", "-f", "POLICY", str(recording), "--stage"]
    assert "stage 5%" in run(tmp_path, LENIENT, *arguments, "5%").output
    wrong = run(tmp_path, LENIENT, *arguments, "6%")
    assert wrong.exit_code == 2
    assert "it has shadow, 1%" in wrong.output


@pytest.mark.slow
def test_calls_that_the_gateway_dropped_are_no_harm_of_the_candidate(tmp_path: Path) -> None:
    """Nine in ten: the rollout goes on, on the evidence and the requests of the tenth."""
    chance, payloads = random.Random(1), []
    dropped = Error(type="mirror_dropped", source="gateway")
    for message in simulate(seed=1, pairs=1_000, healthy=True, start=START):
        event = message.event
        if event is not None and event.side == "candidate" and chance.random() < 0.9:
            event = msgspec.structs.replace(
                event, response=None, usage=None, timing=None, fallback=None, error=dropped
            )
        payloads.append(message.payload if event is None else encode_event(event))
    file = tmp_path / "dropped.ndjson"
    file.write_bytes(b"\n".join(payloads))
    result = run(tmp_path, LENIENT, "replay", "--json", "--policy", "POLICY", str(file))
    decision = json.loads(result.stdout)["decision"]
    assert decision["verdict"] == "hold"
    assert 50 < decision["stage"]["requests"] < 150
    assert f"{decision['stage']['requests']} of 500 requests" in decision["reasons"][0]
    (errors,) = [one for one in decision["evidence"] if one["guardrail"] == "error_rate"]
    assert errors["units"] < 150
