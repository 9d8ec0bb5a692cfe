"""`understudy rollout audit` on a mock cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.streams.commands.rollout_runs import Run, ended
from tests.streams.rollouts.records import Kafka, policy
from understudy.streams.commands.operator_command import user_at_host

pytestmark = pytest.mark.embedded


def test_who_changed_what_is_shown_after_the_rollout_is_gone(
    kafka: Kafka, run: Run, tmp_path: Path
) -> None:
    ended(run("audit"), 0, "nothing has been changed yet")
    file = tmp_path / "policy.yaml"
    file.write_text(policy())
    ended(run("apply", "-f", str(file)), 0)
    ended(run("kill", "checkout", "--reason", "tone", "--by", "anna", "--wait", "0"), 0)
    ended(run("delete", "checkout"), 0)
    found = json.loads(ended(run("audit", "checkout", "--json"), 0))
    assert [(one["action"], one["by"], one["reason"]) for one in found] == [
        ("delete", user_at_host(), ""), ("kill", "anna", "tone"), ("apply", user_at_host(), ""),
    ]  # fmt: skip
    assert {one["address"] for one in found} == {user_at_host()}, "whatever name --by gives"
    ended(run("audit"), 0, "checkout", "delete", "kill", "anna", "tone", "apply")
    assert len(json.loads(ended(run("audit", "--limit", "1", "--json"), 0))) == 1
    assert json.loads(ended(run("audit", "other", "--json"), 0)) == []
