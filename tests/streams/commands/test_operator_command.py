"""`understudy rollout kill`, `resume` and `promote` on a mock cluster."""

from __future__ import annotations

import pytest

from tests.streams.commands.rollout_runs import Run, ended
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import DECISIONS, Kafka, killed, manifest
from understudy.schemas.decisions import encode_decision

pytestmark = pytest.mark.embedded


def test_commands_wait_until_a_decision_confirms_them(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    with DecisionProcessor(kafka).at_work():
        printed = ended(run("kill", "checkout", "--reason", "tone", "--by", "anna"), 0)
        assert printed.splitlines() == [
            "issued command 1: kill checkout",
            "rolled back  checkout: rollback, stage shadow, candidate 0 %: killed by anna: tone",
        ]
        ended(run("show", "checkout"), 0, "ROLLBACK", "killed by anna: tone")
        ended(run("resume", "checkout"), 0, "issued command 2: resume checkout\n",
              "resumed  checkout: hold, stage shadow")  # fmt: skip
        ended(run("promote", "checkout"), 0, "issued command 3: promote checkout\n",
              "promoted  checkout: hold, stage 5%, candidate 5 %")  # fmt: skip
        ended(run("promote", "checkout"), 0, "stage 25%")
    ended(run("promote", "checkout"), 1, "Error: checkout is at its last stage, 25%")
    assert kafka.store.rollouts()["checkout"].last_number == 4
    shown = [line.split() for line in ended(run("show", "checkout"), 0).splitlines()]
    asked = [line[0] for line in shown if line and line[0] in ("kill", "resume", "promote")]
    assert asked == ["promote", "promote", "resume", "kill"]


@pytest.mark.parametrize("arguments", [["kill", "--reason", "tone"], ["resume"], ["promote"]])
def test_no_decision_in_time(kafka: Kafka, run: Run, arguments: list[str]) -> None:
    kafka.store.apply(manifest())
    if arguments[0] == "resume":
        kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    result = run(*arguments, "checkout", "--wait", "0.5")
    ended(result, 1, f"issued command 1: {arguments[0]} checkout\n")
    assert "Error: no decision answered the command within 0.5 s; it is stored" in result.stderr
    assert kafka.store.rollouts()["checkout"].last_number == 1
    ended(run(*arguments, "checkout", "--wait", "0"), 0, "issued command 2")


def test_a_rolled_back_rollout_is_not_promoted(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    for more in ([], ["--dry-run"]):
        result = run("promote", "checkout", *more)
        ended(result, 1)
        assert result.stderr == "Error: checkout is rolled back; resume it first\n"
    assert kafka.store.rollouts()["checkout"].commands == ()


def test_a_command_in_view_of_an_older_decision_is_rejected(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    with DecisionProcessor(kafka).at_work():
        ended(run("promote", "checkout", "--expects", "1"), 0, "promoted  checkout: hold, stage 5%")
        result = run("promote", "checkout", "--expects", "1")
        ended(result, 1)
        assert "Error: command 2 was rejected: it was issued in view of decision 1" in result.stderr
        ended(run("show", "checkout"), 0, "stage 5%", "decision 3")


@pytest.mark.parametrize("arguments", [["kill", "--reason", "tone"], ["resume"], ["promote"]])
def test_a_dry_run_issues_nothing(kafka: Kafka, run: Run, arguments: list[str]) -> None:
    kafka.store.apply(manifest())
    result = run(*arguments, "checkout", "--dry-run")
    ended(result, 0, f"would issue: {arguments[0]} checkout\n", "dry run: nothing was written")
    assert kafka.store.rollouts()["checkout"].commands == ()


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["kill", "--reason", "tone"], ["kill", "--reason", "tone", "--dry-run"], ["resume"],
     ["promote"], ["delete"], ["delete", "--dry-run"]],
)  # fmt: skip
def test_an_unknown_rollout_has_a_likely_name(kafka: Kafka, run: Run, arguments: list[str]) -> None:
    kafka.store.apply(manifest())
    result = run(*arguments, "chekout")
    ended(result, 2)
    assert result.stderr == "Error: there is no rollout chekout; did you mean checkout?\n"


def test_a_reason_is_needed_to_kill_and_has_an_end(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    ended(run("kill", "checkout"), 2, "Missing option '--reason'")
    ended(run("kill", "checkout", "--reason", " "), 2, "say why")
    result = run("kill", "checkout", "--reason", "x" * 1025)
    ended(result, 2)
    assert result.stderr == "Error: --reason is longer than 1,024 characters\n"
    result = run("kill", "checkout", "--reason", "tone", "--by", "x" * 257)
    assert result.stderr == "Error: --by is longer than 256 characters\n"
    assert kafka.store.rollouts()["checkout"].commands == ()
