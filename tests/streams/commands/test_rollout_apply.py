"""`understudy rollout apply` on a mock cluster."""

from __future__ import annotations

import pytest

from tests.streams.commands.rollout_runs import Run, ended, written
from tests.streams.rollouts.records import ROLLOUTS, Kafka, manifest, policy
from understudy.schemas.rollout_records import RolloutRecord, decode_rollout_record

pytestmark = pytest.mark.embedded
ESCAPE = "\x1b["


def test_a_dry_run_says_what_would_change_and_writes_nothing(kafka: Kafka, run: Run) -> None:
    file = written("policy.yaml", policy())
    result = run("apply", "-f", file, "--dry-run")
    ended(result, 0, "would be created  checkout\n")
    assert result.stderr == "dry run: nothing was written\n"
    assert kafka.messages(ROLLOUTS) == []
    ended(run("apply", "-f", file), 0, "created   checkout\n",
          "  error_rate: a rise of 4 points is found after about ",
          "if stable is bad in 1 % of the requests")  # fmt: skip
    changed = written("changed.yaml", policy().replace("1pp", "0.5pp"))
    result = run("apply", "-f", changed, "--dry-run")
    ended(result, 0, "would be changed  checkout\n", "-guardrails.error_rate.value: 0.01\n",
          "+guardrails.error_rate.value: 0.005\n", "evidence starts again")  # fmt: skip
    assert "unchanged         checkout" in run("apply", "-f", file, "--dry-run").output
    assert len(kafka.messages(ROLLOUTS)) == 1


def test_what_is_applied_stands_in_the_topic_as_written(kafka: Kafka, run: Run) -> None:
    ended(run("apply", "-f", written("policy.yaml", policy())), 0)
    (message,) = kafka.messages(ROLLOUTS)
    assert message.key() == b"checkout"
    value = message.value()
    assert value is not None
    assert decode_rollout_record(value) == RolloutRecord(manifest=manifest())


def test_applying_again_says_unchanged_and_writes_nothing(kafka: Kafka, run: Run) -> None:
    file = written("policy.yaml", policy())
    ended(run("apply", "-f", file), 0)
    assert ended(run("apply", "-f", file), 0) == "unchanged checkout\n"
    reworded = written("reworded.yaml", policy().replace("1pp", "1.0pp"))
    result = run("apply", "-f", reworded)
    ended(result, 0, "reworded  checkout\n", "the meaning is the same; evidence is kept")
    assert len(kafka.messages(ROLLOUTS)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (policy(more="mod: shadow"), "policy.yaml:6:1: unknown key mod"),
        (policy().replace("error_rate", "eror_rate"), "policy.yaml:5:23: unknown metric eror_rate; "
         "did you mean error_rate?"),
        (policy().replace("1pp", "lots"), "policy.yaml:5:49: "),
        ("rollout_id: [", "policy.yaml:1:14: "),
        ("", "policy.yaml:1:1: the policy is empty"),
        ("# nothing\n---\n", "policy.yaml:1:1: the policy is empty"),
        (policy() + "---\nrollout_id: x\nmodels: {stable: a}\n", "policy.yaml:9:"),
        (policy() + "---" + policy(), "policy.yaml: there is a policy for checkout twice here"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_used_is_pointed_at(
    kafka: Kafka, run: Run, text: str, words: str
) -> None:
    good = written("good.yaml", policy("search"))
    result = run("apply", "-f", good, "-f", written("policy.yaml", text))
    ended(result, 2)
    assert result.stderr.startswith(f"Error: {words}")
    assert result.stdout == ""
    assert kafka.messages(ROLLOUTS) == [], "all policies or none"


def test_wrong_files_are_wrong_usage(run: Run) -> None:
    ended(run("apply", "-f", "missing.yaml"), 2, "does not exist")
    ended(run("apply"), 2, "Missing option")
    one, other = written("one.yaml", policy()), written("other.yaml", policy())
    ended(run("apply", "-f", one, "-f", other), 2, "other.yaml: ", "in one.yaml, too")


def test_several_files_and_documents(kafka: Kafka, run: Run) -> None:
    both = written("both.yaml", f"# two\n---{policy('mail')}\n---{policy('search')}...\n---\n")
    printed = ended(run("apply", "-f", both, "-f", written("policy.yaml", policy())), 0)
    created = [line.split() for line in printed.splitlines() if line.startswith("created")]
    assert created == [["created", name] for name in ("mail", "search", "checkout")]
    assert list(kafka.store.rollouts()) == ["checkout", "mail", "search"]


def test_a_line_of_dashes_within_a_text_is_no_end(kafka: Kafka, run: Run) -> None:
    text = "# a line\n# --- of dashes\n" + policy().replace("stable: a", "stable: 'a\n  ---\n b'")
    ended(run("apply", "-f", "-", stdin=text), 0, "created")
    assert kafka.store.rollouts()["checkout"].manifest.models.stable == "a --- b"


def test_a_dash_is_stdin(kafka: Kafka, run: Run) -> None:
    ended(run("apply", "-f", "-", stdin=policy()), 0, "created")
    assert list(kafka.store.rollouts()) == ["checkout"]
    ended(run("apply", "-f", "-", stdin="rollout_id: 7"), 2, "Error: stdin:1:13: ")
    ended(run("apply", "-f", "-", stdin=""), 2, "Error: stdin:1:1: the policy is empty")


def test_differences_are_coloured_where_colours_are_wanted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(run("apply", "-f", "-", stdin=policy()), 0)
    arguments = ["apply", "-f", "-", "--dry-run"]
    other = policy().replace("1pp", "2pp")
    lines = run(*arguments, stdin=other, color=True).stdout.splitlines()
    coloured = [line for line in lines if ESCAPE in line]
    assert len(coloured) == 2, "the values, not the names of the two policies"
    assert all("guardrails.error_rate.value" in line for line in coloured)
    assert ESCAPE not in run(*arguments, stdin=other).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in run(*arguments, stdin=other, color=True).stdout
