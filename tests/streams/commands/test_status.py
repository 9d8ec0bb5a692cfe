"""`understudy status` on a mock cluster."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.streams.rollouts.records import DECISIONS, Kafka, killed, manifest
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.streams.commands.main import main

pytestmark = pytest.mark.embedded


def status(kafka: Kafka, *arguments: str) -> Result:
    environment = {"UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": kafka.settings.bootstrap_servers}
    return CliRunner().invoke(main, ["status", *arguments], env=environment)


def decided(kafka: Kafka, name: str, **changes: object) -> None:
    """A rollout with a decision of now, by the newest policy."""
    made = manifest(name)
    kafka.store.apply(made)
    now = {
        "policy_hash": policy_hash(compile_manifest(made)),
        "windows_until": dt.datetime.now(dt.UTC),
    }
    found: Decision = msgspec.structs.replace(killed(rollout_id=name), **{**now, **changes})
    kafka.write(DECISIONS, (name, encode_decision(found)))


HOLD = {"verdict": "hold", "is_latched": False, "reasons": ["too few requests"]}


def test_without_rollouts_it_says_what_to_do_and_is_no_pass(kafka: Kafka) -> None:
    assert "understudy rollout apply" in status(kafka).stdout
    assert status(kafka, "--json").stdout == "[]\n"
    assert status(kafka, "--fail-on", "rollback").exit_code == 4


def test_each_rollout_is_shown_and_documents_say_what_it_needs(kafka: Kafka) -> None:
    decided(kafka, "search")
    decided(kafka, "checkout", **HOLD)
    text = status(kafka).stdout
    assert text.startswith("2 rollouts · 1 needs you")
    assert text.index("search") < text.index("checkout")
    documents = json.loads(status(kafka, "--json").stdout)
    assert [(one["rollout_id"], one["needs_operator"], one["verdict"]) for one in documents] == [
        ("search", True, "rollback"), ("checkout", False, "hold"),
    ]  # fmt: skip
    assert documents[0]["need"].startswith("Find the cause")
    assert documents[1]["need"] == ""
    assert status(kafka, "--csv").stdout.count("\n") == 3


@pytest.mark.parametrize(
    ("changes", "on_rollback", "on_need"),
    [({}, 4, 4), (HOLD, 0, 0), ({**HOLD, "is_paused": True}, 0, 4),
     ({**HOLD, "policy_hash": "an earlier one"}, 4, 4),
     ({**HOLD, "windows_until": dt.datetime(2026, 3, 2, tzinfo=dt.UTC)}, 4, 4)],
    ids=["rolled back", "hold", "paused", "outdated", "silent"],
)  # fmt: skip
def test_exit_codes_fail_closed(
    kafka: Kafka, changes: dict[str, object], on_rollback: int, on_need: int
) -> None:
    decided(kafka, "search", **changes)
    assert status(kafka, "--fail-on", "rollback").exit_code == on_rollback
    assert status(kafka, "--fail-on", "need").exit_code == on_need
    assert status(kafka).exit_code == 0


def test_only_those_that_are_named_and_a_misspelt_one_is_wrong_usage(kafka: Kafka) -> None:
    decided(kafka, "search")
    decided(kafka, "checkout", **HOLD)
    assert status(kafka, "checkout", "--fail-on", "need").exit_code == 0
    wrong = status(kafka, "serach", "--fail-on", "rollback")
    assert wrong.exit_code == 2
    assert "did you mean search" in wrong.output
    assert status(kafka, "--watch", "--json").exit_code == 2


@pytest.fixture
def watching(kafka: Kafka) -> Iterator[subprocess.Popen[str]]:
    """`understudy status --watch` into a pipe."""
    kafka.store.apply(manifest("checkout"))
    decided(kafka, "search", **HOLD)
    program = "from understudy.streams.commands.entry_point import run; run()"
    servers = kafka.settings.bootstrap_servers
    process = subprocess.Popen(
        [sys.executable, "-c", program, "status", "--watch"], text=True, stdout=subprocess.PIPE,
        env={"UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": servers, "PYTHONUTF8": "1"},
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def test_watching_prints_each_change_until_it_is_terminated(
    kafka: Kafka, watching: subprocess.Popen[str]
) -> None:
    assert watching.stdout is not None
    first = {watching.stdout.readline().split("  ")[1] for _ in range(2)}
    assert first == {"checkout", "search"}
    decided(kafka, "search")
    assert "  search  rollback  " in watching.stdout.readline()
    watching.terminate()
    assert watching.wait(30) == 0
