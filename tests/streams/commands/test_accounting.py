"""`understudy accounting`: each partition's account, their sums, and a word about a difference."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from understudy.streams.commands import accounting
from understudy.streams.commands.main import main
from understudy.streams.diagnostics.accounts import OUTCOMES, Account


def account(partition: int, *, read: int = 12, waiting: int = 2) -> Account:
    outcomes = {**dict.fromkeys(OUTCOMES, 0), "paired": 8, "late": 2}
    return Account("events", partition, 20, read, outcomes, waiting)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def with_accounts(*accounts: Account, arguments: tuple[str, ...] = ()) -> Result:
        monkeypatch.setattr(accounting, "read_accounts", lambda *_: list(accounts))
        return CliRunner().invoke(main, ["accounting", *arguments])

    return with_accounts


def test_partitions_are_added_up(run: Any) -> None:
    result = run(account(0), account(1))
    lines = [line.split() for line in result.stdout.splitlines()]
    one = ["20", "12", "8", "0", "0", "0", "0", "2", "0", "10", "2", "0"]
    assert ["events", "1", *one] in lines
    assert ["events", "all", *(str(2 * int(number)) for number in one)] in lines
    assert result.stderr == ""


def test_a_difference_is_explained(run: Any) -> None:
    assert "above 0, read but not in ClickHouse" in run(account(0, read=13)).stderr
    assert run(account(0, read=13), account(1, read=11)).stderr == "", "they even out"


def test_json_has_each_partition(run: Any) -> None:
    document = json.loads(run(account(0, read=13), arguments=("--json",)).stdout)
    assert [(one["accounted"], one["difference"]) for one in document] == [(10, 1)]
