"""`understudy doctor`: what findings print and which exit code they give."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from understudy.streams.commands import doctor
from understudy.streams.commands.main import main
from understudy.streams.diagnostics.findings import Finding, Level, ok

GOOD = ok("broker", "localhost:9092 answers")
WARNING = Finding("keys", Level.WARN, "3 events without a key", "set it to rollout and pair")
FAILURE = Finding("topics", Level.FAIL, "one is missing", "`understudy topics` creates it")
AWAY = Finding("broker", Level.FAIL, "it does not answer", "start it", unreachable=True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def with_findings(*findings: Finding, arguments: tuple[str, ...] = ()) -> Result:
        monkeypatch.setattr(doctor, "examine", lambda *_, **__: list(findings))
        return CliRunner().invoke(main, ["doctor", *arguments])

    return with_findings


@pytest.mark.parametrize(
    ("findings", "status", "exit_code"),
    [
        ([], "ok", 0),
        ([GOOD], "ok", 0),
        ([GOOD, WARNING], "warn", 0),
        ([FAILURE, WARNING], "fail", 1),
        ([GOOD, AWAY, FAILURE], "fail", 3),
    ],
)
def test_the_worst_finding_gives_status_and_exit_code(
    run: Any, findings: list[Finding], status: str, exit_code: int
) -> None:
    result = run(*findings, arguments=("--json",))
    document = json.loads(result.stdout)
    assert (document["status"], result.exit_code) == (status, exit_code)
    assert [one["seen"] for one in document["findings"]] == [one.seen for one in findings]


def test_each_finding_says_what_to_do(run: Any) -> None:
    shown = run(GOOD, WARNING).stdout
    assert "3 events without a key" in shown
    assert "set it to rollout and pair" in shown
