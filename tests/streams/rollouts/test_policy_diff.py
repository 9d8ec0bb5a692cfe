"""What applying a policy changes, and which files can be applied."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.streams.rollouts.records import manifest, policy
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.rollouts.policy_diff import (
    PolicyDiff,
    UnusablePolicy,
    diff_policy,
    documents,
    policy_changes,
    policy_file,
    read_policy_files,
)


def diff(before: str, after: str) -> PolicyDiff:
    in_force = RolloutRecord(manifest=manifest(more=before))
    return diff_policy(in_force, policy_file(policy(more=after).encode(), "new.yaml"))


def test_the_first_policy_is_created_and_the_same_changes_nothing() -> None:
    file = policy_file(policy().encode(), "new.yaml")
    created = diff_policy(None, file)
    assert created.effect == "created"
    assert created.note.startswith("a first decision follows at once")
    assert diff("", "").effect == "unchanged"


def test_another_way_to_write_the_same_keeps_the_evidence() -> None:
    found = diff("min_duration: 60s", "min_duration: 1m")
    assert (found.effect, found.lines) == ("reworded", ())
    assert "evidence is kept" in found.note


def test_what_is_judged_may_change_and_is_shown() -> None:
    more = "evaluate: [{evaluator: a@1, share: 5%}]"
    found = diff(more, more.replace("5%", "10%"))
    assert (found.effect, found.lines[2:]) == (
        "reworded", ("-evaluate.a@1.share: 0.05", "+evaluate.a@1.share: 0.1"),
    )  # fmt: skip
    added = diff("", more).lines[2:]
    assert [line.partition(":")[0] for line in added] == ["+evaluate.a@1"]


def test_a_policy_that_is_tried_is_compared_whatever_rollout_it_names() -> None:
    record = RolloutRecord(manifest=manifest(more="min_requests: 100"))
    tried = policy(more="min_requests: 200").replace("rollout_id: checkout", "rollout_id: other")
    lines = policy_changes(record, tried)
    assert any(line.startswith("+") and line.endswith("200") for line in lines)
    assert not any("rollout_id" in line for line in lines)
    assert policy_changes(record, policy(more="min_requests: 100")) == []
    assert policy_changes(record, "no policy") == []


def test_a_changed_value_is_a_line_before_and_after() -> None:
    found = diff("min_requests: 100", "min_requests: 200")
    assert found.effect == "changed"
    assert found.lines[:2] == ("--- in force", "+++ new.yaml")
    changes = [line for line in found.lines[2:] if "min_requests" in line]
    assert all(line[0] in "-+" for line in changes)
    assert any(line.startswith("-") and line.endswith("100") for line in changes)
    assert any(line.startswith("+") and line.endswith("200") for line in changes)
    assert "evidence starts again" in found.note


def test_a_guardrail_that_comes_is_one_line() -> None:
    more = "{metric: error_rate, max_increase: 1pp}"
    before = policy()
    after = before.replace(more, f"{more}, {{metric: duration_p95, max: 8s}}")
    in_force = RolloutRecord(manifest=manifest())
    found = diff_policy(in_force, policy_file(after.encode(), "new.yaml"))
    added = [line for line in found.lines[2:] if line.startswith("+")]
    assert len(added) == 1
    assert "duration_p95" in added[0]


def test_a_stage_that_goes_says_where_the_rollout_will_be() -> None:
    file = policy_file(policy().replace("5%, ", "").encode(), "new.yaml")
    found = diff_policy(RolloutRecord(manifest=manifest()), file)
    assert "(from 5%: at shadow)" in found.note


def test_a_policy_in_force_that_cannot_be_used_is_replaced() -> None:
    broken = RolloutRecord(manifest=msgspec.structs.replace(manifest(), stages=["canary"]))
    found = diff_policy(broken, policy_file(policy().encode(), "new.yaml"))
    assert found.effect == "changed"
    assert "cannot use the policy in force" in found.note


def test_documents_keep_their_lines() -> None:
    text = b"# first\na: 1\n---\nb: 2\n--- # nothing\n...\n---\nc: 3\n"
    found = list(documents(text))
    assert [one.count(b"\n", 0, one.index(b": ")) for one in found] == [1, 3, 7]
    assert list(documents(b"# nothing\n")) == [b""]


def test_two_policies_of_one_rollout_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(policy())
    second.write_text(policy("search") + "---" + policy())
    with pytest.raises(UnusablePolicy, match=f"a policy for checkout in {first}, too"):
        read_policy_files([first, second])
    assert [one.rollout.rollout_id for one in read_policy_files([first])] == ["checkout"]


def test_what_cannot_be_read_names_the_file_and_the_line(tmp_path: Path) -> None:
    with pytest.raises(UnusablePolicy, match="No such file"):
        read_policy_files([tmp_path / "absent.yaml"])
    file = tmp_path / "two.yaml"
    file.write_text(f"{policy()}---\nrollout_id: x\nmodel: y\n")
    line = file.read_text().splitlines().index("model: y") + 1
    with pytest.raises(UnusablePolicy, match=rf"two\.yaml:{line}:1: unknown key model"):
        read_policy_files([file])
