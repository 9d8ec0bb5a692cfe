"""`understudy rebuild`: says which windows it overwrites, and asks first."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner, Result

from understudy.streams.commands import rebuild
from understudy.streams.commands.main import main
from understudy.streams.pairing.rebuild import GroupInUse, PartitionRebuild

PLAN = [PartitionRebuild(0, 0, 40, None), PartitionRebuild(1, 1000, 2500, 1_772_452_800_000)]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was started; the plan is always the same."""
    calls: list[dict[str, Any]] = []

    def start(kafka: object, source: str, plan: object, **options: Any) -> None:
        calls.append({"source": source, "plan": plan, **options})

    monkeypatch.setattr(rebuild, "plan_rebuild", lambda *_: PLAN)
    monkeypatch.setattr(rebuild, "start_rebuild", start)
    return calls


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(main, ["rebuild", *arguments], input=answer)


def test_it_says_what_is_overwritten_and_does_nothing_unless_confirmed(
    started: list[dict[str, Any]],
) -> None:
    result = run(answer="n\n")
    assert result.exit_code == 1
    assert started == []
    lines = result.stdout.splitlines()
    assert "partition 0: 40 records are read again; all windows are overwritten" in lines
    assert (
        "partition 1: 1,500 records are read again; windows from 2026-03-02T12:00:00+00:00 on are "
        "overwritten, earlier ones stay"
    ) in lines
    assert run(answer="y\n").exit_code == 0
    assert started == [{"source": "events", "plan": PLAN, "incomplete": False}]


def test_windows_that_lack_records_are_overwritten_when_that_is_wanted(
    started: list[dict[str, Any]],
) -> None:
    result = run("--incomplete", "--source", "feedback", "--yes")
    assert "those before 2026-03-02T12:00:00+00:00 may lack records" in result.stdout
    assert started == [{"source": "feedback", "plan": PLAN, "incomplete": True}]


def test_workers_that_run_are_in_the_way(
    started: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GroupInUse("understudy-pairing")

    monkeypatch.setattr(rebuild, "start_rebuild", refuse)
    result = run("--yes")
    assert result.exit_code == 1
    assert "workers read as the group understudy-pairing: stop them" in result.stderr
