"""The demo as its user runs it: its policy, its endings, and what an interrupted one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.analyzers.guardrails.test_simulated import trial_of
from understudy.schemas.manifests import read_policy
from understudy.streams.demo.phrases import phrasebooks
from understudy.streams.demo.run import policy_text
from understudy.streams.demo.simulator import (
    CANDIDATE_MODEL,
    LANGUAGE_SHARES,
    ROLLOUT_ID,
    STABLE_MODEL,
)
from understudy.streams.demo.summary import QUALITY_QUERIES
from understudy.streams.errors import INTERRUPTED

TIMEOUT_S = 90.0
COMMAND = (sys.executable, "-m", "understudy.streams.commands.main")
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from understudy.streams.commands.main import main"
)
"""A shell's background jobs ignore SIGINT, and so do the processes that they start."""
HEAD = f"""
rollout_id: {ROLLOUT_ID}
models: {{stable: a, candidate: b}}
independent_requests: true
min_requests: 1000
min_duration: 20s
"""
QUICK_TO_ROLL_BACK = f"""{HEAD}
false_rollback: 0.2
guardrails:
  - metric: json_valid_rate
    max_drop: 0.5pp
    slices: [{{language: zh-Hans, workflow: extract}}]
    required: every
"""
QUICK_TO_PROMOTE = f"{HEAD}guardrails: [{{metric: error_rate, max: 5%, slices: [all]}}]"
QUICK_TO_JUDGE = f"""{HEAD.replace("min_requests: 1000", "min_requests: 100000")}
false_rollback: 0.2
evaluate:
  - evaluator: helpfulness@1
    share: 100%
    floor_per_hour: 0
    both_orders: 0%
    control_share: 0%
    budget: {{usd_per_day: 1000, calls_per_minute: 1000000}}
guardrails:
  - metric: quality_preference
    evaluator: helpfulness@1
    max_drop: 2pp
    slices: [{{language: zh-Hans, workflow: chat}}]
    required: every
"""
POLICY = read_policy(policy_text())
QUALITY_POLICY = read_policy(policy_text("quality"))


def test_the_policy_is_about_what_is_simulated() -> None:
    assert POLICY.rollout_id == ROLLOUT_ID
    assert (POLICY.models.stable, POLICY.models.candidate) == (STABLE_MODEL, CANDIDATE_MODEL)
    for policy in (POLICY, QUALITY_POLICY):
        named = {one.language for guardrail in policy.guardrails for one in guardrail.slices.named}
        assert named == set(LANGUAGE_SHARES) == set(phrasebooks())
    assert QUALITY_POLICY.models == POLICY.models


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 3])
def test_its_policy_promotes_the_healthy(seed: int) -> None:
    trial = trial_of(seed, 20_000, healthy=True, policy=POLICY)
    assert trial.outcome().verdict == "promote"
    assert "rollback" not in {decision.verdict for decision in trial.decisions}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 3])
def test_its_policy_rolls_the_broken_back_and_says_where(seed: int) -> None:
    trial = trial_of(seed, 20_000, healthy=False, policy=POLICY)
    verdicts = dict.fromkeys(decision.verdict for decision in trial.decisions)
    assert list(verdicts) == ["hold", "rollback"]
    assert trial.outcome().reasons[0].startswith("JSON validity in `zh-Hans` fell")


def run_quickly(
    tmp_path: Path, policy: str, *, healthy: bool, kind: str = "json", pairs: int = 12_000
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The demo in a process of its own, since chDB opens one folder a process."""
    keep = tmp_path / "kept"
    code = (
        "from pathlib import Path; from understudy.streams.demo.run import run_demo; "
        f"run_demo(seed=7, pairs={pairs}, healthy={healthy}, keep=Path({str(keep)!r}), "
        f"policy={policy!r}, run_s=8.0, kind={kind!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return done, keep


def rows_of(folder: Path, sql: str) -> list[dict[str, Any]]:
    """What ClickHouse answers, asked as the summary says."""
    command = [*COMMAND, "query", "--json", "--clickhouse", f"chdb://{folder}", sql]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def stored_verdicts(folder: Path) -> list[str]:
    """The verdicts in ClickHouse in their order."""
    sql = "SELECT verdict, reasons[1] AS reason FROM decisions FINAL ORDER BY sequence"
    return list(dict.fromkeys(row["verdict"] for row in rows_of(folder, sql)))


@pytest.mark.embedded
@pytest.mark.slow
def test_a_broken_candidate_is_rolled_back_and_the_gateway_stops(tmp_path: Path) -> None:
    done, folder = run_quickly(tmp_path, QUICK_TO_ROLL_BACK, healthy=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "ROLLBACK: JSON validity in `zh-Hans, workflow extract` fell" in done.stdout
    assert "The verdict names it." in done.stdout
    assert "mirrors nothing more to heron-5-preview" in " ".join(done.stdout.split())
    assert stored_verdicts(folder) == ["hold", "rollback"]


@pytest.mark.embedded
@pytest.mark.slow
def test_a_healthy_candidate_is_promoted(tmp_path: Path) -> None:
    done, folder = run_quickly(tmp_path, QUICK_TO_PROMOTE, healthy=True, pairs=4_000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "PROMOTE: every required guardrail" in done.stdout
    assert "What the simulator broke: nothing. Right." in done.stdout
    assert stored_verdicts(folder) == ["hold", "promote"]


@pytest.mark.embedded
@pytest.mark.slow
def test_answers_that_only_say_the_wrong_thing_are_found_by_the_judge(tmp_path: Path) -> None:
    done, folder = run_quickly(tmp_path, QUICK_TO_JUDGE, healthy=False, kind="quality")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "ROLLBACK: answers preferred to stable's in `zh-Hans, workflow chat` fell" in " ".join(
        done.stdout.split()
    )
    assert "The verdict names it." in done.stdout
    assert "--regression quality --print-policy" in " ".join(done.stdout.split())
    assert stored_verdicts(folder) == ["hold", "rollback"]
    (worst, *_), lost = (rows_of(folder, sql) for sql in QUALITY_QUERIES[1:3])
    assert (worst["language"], worst["workflow"]) == ("zh-Hans", "chat")
    assert worst["preferred"] < 45
    assert {tuple(row["preferred"]) for row in lost} == {("stable",)}


@pytest.mark.embedded
@pytest.mark.slow
def test_the_wrong_verdict_ends_with_1(tmp_path: Path) -> None:
    done, _ = run_quickly(tmp_path, QUICK_TO_PROMOTE, healthy=False, pairs=4_000)
    assert done.returncode == 1
    assert "PROMOTE" in done.stdout
    assert "Not found in this run." in done.stdout


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.parametrize("progress", ["the consumer groups are forming", "hold, "])
def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, progress: str) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", f"{INTERRUPTIBLE}; main(['demo'])"]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        killer = threading.Timer(TIMEOUT_S, process.kill)
        killer.start()
        assert process.stdout is not None
        assert any(progress in line for line in process.stdout), "it ended before that"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        killer.cancel()
    assert process.returncode == INTERRUPTED
    assert "Interrupted" in rest
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.embedded
@pytest.mark.slow
def test_what_breaks_inside_is_explained(tmp_path: Path) -> None:
    code = (
        "from understudy.streams.deciding.state_store import RolloutStateStore\n"
        "def broken(*_): raise MemoryError('no room')\n"
        "RolloutStateStore.apply_windows = broken\n"
        "from understudy.streams.commands.main import main\n"
        "main(['demo', '--pairs', '500'])"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Error: the demo stopped: MemoryError('no room')" in done.stderr
    assert list(tmp_path.iterdir()) == []
