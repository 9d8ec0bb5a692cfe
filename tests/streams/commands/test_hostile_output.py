"""No output of any command holds a character from data that acts on a terminal."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.streams.commands.rollout_runs import Run
from tests.streams.rollouts.records import DECISIONS, Kafka, killed, manifest
from understudy.schemas.decisions import encode_decision
from understudy.streams.commands.main import main

HOSTILE = "".join(
    map(chr, [*range(1, 32), *range(0x7F, 0xA0), 0x61C, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029,
              *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF, 0xE0001, 0x10FFFD])
)  # fmt: skip
"""All controls, and what hides text or turns its direction; fits an identifier."""
FORMS = ((), ("--json",), ("--csv",))


def assert_nothing_acts(*texts: str) -> None:
    for text in texts:
        seen = [character for character in text if not character.isprintable()]
        assert set(seen) <= {"\n"}, text


def run(*arguments: str) -> str:
    """All that a command writes."""
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert_nothing_acts(result.stdout, result.stderr)
    return result.output


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """Pairs with hostile names, workflows, keys and answers, and records that cannot be used."""
    at = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    events = [
        {"schema_version": 1, "rollout_id": HOSTILE, "pair_id": f"{number}{HOSTILE}",
         "mode": "shadow", "side": side, "sides": ["stable", "candidate"],
         "request_time": (at + dt.timedelta(seconds=number)).isoformat(),
         "workflow": HOSTILE, "request": {"expects": "json"},
         "response": {"output": json.dumps({f"{side}{HOSTILE}": HOSTILE})}}
        for number in range(20) for side in ("stable", "candidate")
    ]  # fmt: skip
    bad = [{**events[0], "side": HOSTILE}, {HOSTILE: HOSTILE}, {**events[0], "rollout_id": ""}]
    file = tmp_path / "events.ndjson"
    file.write_text("".join(f"{json.dumps(one)}\n" for one in [*events, *bad]))
    return str(file)


@pytest.fixture
def policy(tmp_path: Path) -> str:
    file = tmp_path / "policy.yaml"
    name = json.dumps(HOSTILE)
    file.write_text(
        f"rollout_id: {name}\nmodels: {{stable: {name}, candidate: b}}\n"
        f"guardrails: [{{name: {name}, metric: error_rate, max: 1%, slices: [each workflow]}}]\n"
    )
    return str(file)


def test_recordings_results_and_policies(
    recording: str, policy: str, clickhouse_url: str, tmp_path: Path
) -> None:
    run("replay", recording, "--clickhouse", clickhouse_url)
    for form in FORMS:
        assert "\\x1b" in run("replay", *form, "--policy", policy, recording) or form == ("--json",)
        run("rollout", "backtest", *form, "-f", policy, recording)
        run("rollout", "backtest", *form, "-f", policy, "--clickhouse", clickhouse_url)
        for sql in (
            "SELECT char(27, 91, 50, 74), char(194, 155), '\u202e' AS `\x1b[2J`, 'a\nb\tc'",
            "SELECT rollout_id, workflow, pair_json_difference_paths FROM comparisons LIMIT 3",
            "SELECT map(rollout_id, 1), [workflow], tuple(pair_id) FROM comparisons LIMIT 1",
            "SELECT * FROM slices LIMIT 1",
            "SELECT throwIf(1, '\x1b[2J\x9b\u202e')",
        ):
            run("query", *form, "--clickhouse", clickhouse_url, sql)


def test_wrong_usage_settings_and_policies(
    recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    word = HOSTILE.replace("\n", "")
    for arguments in (
        (word,), (f"--{word}",), ("replay", word), ("replay", f"--{word}", recording),
        ("rollout", word), ("query", "SELECT 1", "--clickhouse", f"chdb:/{word}"),
        ("query", "SELECT 1", "--clickhouse", word), ("dead-letters", "show", word),
    ):  # fmt: skip
        run(*arguments)
    hostile = tmp_path / f"{word[:8]}.yaml"
    for text in (f"{json.dumps(HOSTILE)}: 1", f"mode: {json.dumps(HOSTILE)}", f"a: {HOSTILE}"):
        hostile.write_text(text)
        run("rollout", "backtest", "-f", str(hostile), recording)
        run("rollout", "apply", "-f", str(hostile))
    for text in (f"[{word}]", f'[pairing]\n"{word[:1]}" = 1', f"{json.dumps('x' + word)} = 1"):
        Path("understudy.toml").write_text(text)
        run("replay", recording)


@pytest.mark.embedded
def test_rollouts_and_their_decisions(kafka: Kafka, run: Run, policy: str) -> None:
    decision = killed(HOSTILE.strip() + "x", "checkout")
    evidence = [
        msgspec.structs.replace(one, guardrail=HOSTILE, slice=f"workflow:{HOSTILE}", note=HOSTILE)
        for one in decision.evidence
    ]
    decision = msgspec.structs.replace(
        decision, rollout_id=HOSTILE, evidence=evidence, alerts=[HOSTILE]
    )
    kafka.store.apply(msgspec.structs.replace(manifest(), rollout_id=HOSTILE))
    kafka.write(DECISIONS, (HOSTILE, encode_decision(decision)))
    for arguments in (
        *(("list", *form) for form in FORMS),
        *(("show", HOSTILE, *form) for form in FORMS),
        ("show", HOSTILE + "x"),
        ("apply", "-f", policy, "--dry-run"),
        ("apply", "-f", policy),
        ("kill", HOSTILE, "--reason", "x", "--dry-run"),
        ("kill", HOSTILE, "--reason", f"x{HOSTILE}", "--wait", "0"),
        ("delete", HOSTILE, "--dry-run"),
    ):
        result = run(*arguments)
        assert_nothing_acts(result.stdout, result.stderr)
        assert "\\x1b" in result.output or "\\u001b" in result.output, arguments
