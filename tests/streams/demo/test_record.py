"""The traffic of the demo as a recording, which ends in the demo's verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from understudy.streams.commands.main import main


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz", "events.ndjson.zst"])
def test_a_recording_can_be_replayed(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    said = run("demo", "--pairs", 200, "--record", file)
    document = json.loads(run("replay", "--json", file))
    assert said == f"{document['events']['read']:,} events of 200 requests written to {file}\n"
    assert document["pairs"] > 190


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("precious")
    run("demo", "--record", file, code=1)
    assert file.read_text() == "precious"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    run("demo", "--pairs", 100, "--record", tmp_path / "no" / "events.ndjson", code=1)


@pytest.mark.slow
def test_its_policy_rolls_it_back_for_the_language_that_breaks(tmp_path: Path) -> None:
    """As the README shows."""
    file, policy = tmp_path / "events.ndjson.zst", tmp_path / "policy.yaml"
    policy.write_text(run("demo", "--print-policy"))
    run("demo", "--record", file)
    judged = run("replay", "--json", "--policy", policy, "--fail-on", "rollback", file, code=4)
    (reason,) = json.loads(judged)["decision"]["reasons"]
    assert reason.startswith("JSON validity in `zh-Hans` fell")
