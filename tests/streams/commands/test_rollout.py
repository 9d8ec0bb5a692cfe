"""`understudy rollout …` as operators type it, on a mock cluster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed, manifest, policy
from understudy.schemas.decisions import decode_decision, encode_decision
from understudy.schemas.rollout_records import RolloutRecord, decode_rollout_record
from understudy.streams.commands.main import main
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded

Run = Callable[..., Result]
ESCAPE = "\x1b["
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


@pytest.fixture
def run(kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`understudy rollout` in a folder of its own; a broker of its own too, unless told."""
    monkeypatch.chdir(tmp_path)
    servers = kafka.settings.bootstrap_servers

    def invoke(*arguments: str, stdin: str | None = None, color: bool = False) -> Result:
        environment = {"UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS": servers}
        words = ["rollout", *arguments]
        return CliRunner().invoke(main, words, input=stdin, env=environment, color=color)

    return invoke


def written(name: str, text: str) -> str:
    Path(name).write_text(text, "utf-8")
    return name


def ended(result: Result, code: int, *words: str) -> str:
    """What was printed, held against what is wanted of it."""
    assert result.exit_code == code, result.output + repr(result.exception)
    for word in words:
        assert word in result.output
    return result.output


# apply


def test_a_dry_run_says_what_would_change_and_writes_nothing(kafka: Kafka, run: Run) -> None:
    file = written("policy.yaml", policy())
    result = run("apply", "-f", file, "--dry-run")
    ended(result, 0, "would be created checkout\n")
    assert result.stderr == "dry run: nothing was written\n"
    assert kafka.messages(ROLLOUTS) == []
    ended(run("apply", "-f", file), 0, "created   checkout\n")
    changed = written("changed.yaml", policy().replace("1pp", "0.5pp"))
    result = run("apply", "-f", changed, "--dry-run")
    ended(result, 0, "would be changed checkout\n", "-guardrails.error_rate.value: 0.01\n",
          "+guardrails.error_rate.value: 0.005\n", "evidence starts again")  # fmt: skip
    assert "unchanged checkout" in run("apply", "-f", file, "--dry-run").output
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
    ended(run("apply", "-f", reworded), 0, "reworded  checkout\n", "the evidence is kept")
    assert len(kafka.messages(ROLLOUTS)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (policy(more="mod: shadow"), "policy.yaml:6:1: unknown key mod"),
        (policy().replace("error_rate", "eror_rate"), "policy.yaml:5:23: unknown metric eror_rate; "
         "did you mean error_rate?"),
        (policy().replace("1pp", "lots"), "policy.yaml:5:49: "),
        ("rollout_id: [", "policy.yaml:1:14: "),
        ("", "policy.yaml: the policy is empty"),
        ("# nothing\n---\n", "policy.yaml: the policy is empty"),
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
    ended(run("apply", "-f", one, "-f", other), 2, "other.yaml: ", "here and one.yaml")


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
    ended(run("apply", "-f", "-", stdin=""), 2, "Error: stdin: the policy is empty")


def test_differences_are_coloured_where_colours_are_wanted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(run("apply", "-f", "-", stdin=policy()), 0)
    arguments = ["apply", "-f", "-", "--dry-run"]
    other = policy().replace("1pp", "2pp")
    assert ESCAPE in run(*arguments, stdin=other, color=True).stdout
    assert ESCAPE not in run(*arguments, stdin=other).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in run(*arguments, stdin=other, color=True).stdout


# list, show


def test_without_rollouts_the_list_says_what_to_do(run: Run) -> None:
    ended(run("list"), 0, "no rollouts; `understudy rollout apply -f POLICY` starts one")
    assert json.loads(run("list", "--json").stdout) == []


def test_the_list_has_a_line_for_each(kafka: Kafka, run: Run) -> None:
    for name in ("checkout", "search"):
        kafka.store.apply(manifest(name))
    kafka.write(DECISIONS, ("search", encode_decision(killed(rollout_id="search"))))
    lines = [line.split() for line in ended(run("list"), 0).splitlines()]
    assert ["checkout", "shadow", "waiting", "–", "–"] in lines
    assert any(line[:3] == ["search", "shadow", "rollback"] and "tone" in line for line in lines)
    documents = json.loads(run("list", "--json").stdout)
    assert [one["verdict"] for one in documents] == ["waiting", "rollback"]
    assert documents[1]["is_latched"] is True
    assert documents[0]["candidate_share"] is None
    assert set(documents[0]) == set(documents[1])


def test_show_before_anything_was_decided(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    ended(run("show", "checkout"), 0, "rollout_id: checkout", "max_increase: 1pp",
          "WAITING  nothing was decided yet")  # fmt: skip
    document = json.loads(run("show", "checkout", "--json").stdout)
    assert document["decision"] is None
    assert document["record"]["manifest"]["rollout_id"] == "checkout"


def test_show_after_a_rollback(kafka: Kafka, run: Run) -> None:
    processor = DecisionProcessor(kafka)
    kafka.store.apply(manifest(ROLLOUT))
    processor.obey()
    for message in BROKEN.messages(5, 40):
        processor.judge(message)
    ended(run("show", ROLLOUT), 0, f"ROLLBACK  {ROLLOUT}, stage shadow", "error_rate", "breach")
    document = json.loads(run("show", ROLLOUT, "--json").stdout)
    told = kafka.messages(DECISIONS)[-1].value()
    assert told is not None
    assert document["decision"] == json.loads(told)
    assert decode_decision(told).verdict == "rollback"


def test_what_operators_wrote_acts_on_no_terminal(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    ended(run("kill", "checkout", "--reason", "\x1b[2J\x1b]0;owned\x07", "--by", "\x9b1m",
              "--wait", "0"), 0)  # fmt: skip
    DecisionProcessor(kafka).obey()
    for arguments in (["show", "checkout"], ["list"], ["show", "checkout", "--json"]):
        printed = ended(run(*arguments), 0)
        assert not any(character in printed for character in "\x1b\x07\x9b"), arguments
    assert "\\x1b[2J" in run("show", "checkout").output


# kill, resume, promote


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
    kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    if arguments[0] == "kill":
        kafka.write(DECISIONS, ("checkout", None))
    result = run(*arguments, "checkout", "--wait", "0.5")
    ended(result, 1, f"issued command 1: {arguments[0]} checkout\n")
    assert "Error: no decision confirmed the command within 0.5 s; it is stored" in result.stderr
    assert kafka.store.rollouts()["checkout"].last_number == 1
    ended(run(*arguments, "checkout", "--wait", "0"), 0, "issued command 2")


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


# delete


def test_a_rollout_is_deleted_with_its_decision(kafka: Kafka, run: Run) -> None:
    kafka.store.apply(manifest())
    processor = DecisionProcessor(kafka)
    processor.obey()
    ended(run("delete", "checkout", "--dry-run"), 0, "would delete checkout\n", "dry run")
    assert list(kafka.store.rollouts()) == ["checkout"]
    assert ended(run("delete", "checkout"), 0) == "deleted checkout\n"
    processor.obey()
    assert kafka.store.rollouts() == {}
    assert kafka.store.decisions() == {}
    ended(run("delete", "checkout"), 2, "there is no rollout checkout")


def test_a_record_that_cannot_be_read_stops_changes_but_not_deleting(
    kafka: Kafka, run: Run
) -> None:
    kafka.write(ROLLOUTS, ("checkout", b'{"schema_version": 9}'))
    for arguments in (["kill", "checkout", "--reason", "tone"], ["show", "checkout"]):
        ended(run(*arguments), 1, "cannot be read", "`understudy rollout delete` forgets it")
    ended(run("apply", "-f", "-", stdin=policy()), 1, "cannot be read")
    ended(run("delete", "checkout"), 0, "deleted checkout")


# Kafka away


def test_without_topics(embedded_broker: EmbeddedBroker, tmp_path: Path,
                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS", embedded_broker.bootstrap_servers)
    for arguments in (["list"], ["show", "checkout"], ["delete", "checkout"]):
        result = CliRunner().invoke(main, ["rollout", *arguments])
        ended(result, 1, "Error: there is no topic understudy.rollouts; `understudy topics`")


def test_decisions_may_be_encoded_by_any_release(kafka: Kafka, run: Run) -> None:
    """What cannot be read is left out with a warning, not the end of the list."""
    kafka.store.apply(manifest())
    kafka.write(DECISIONS, ("checkout", msgspec.json.encode({"schema_version": 9})))
    ended(run("list"), 0, "waiting")
