"""Stored windows, judged by a policy, as the page of a worker does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.window_columns import window_columns
from tests.streams.http.views import BROKEN, policy
from understudy.schemas.rollouts import compile_manifest
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.errors import CommandError
from understudy.streams.replay import stored_trial
from understudy.streams.replay.stored_trial import page_judge

pytestmark = pytest.mark.embedded
POLICY = compile_manifest(policy())
EVER = (0, 10**13)


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> Iterator[str]:
    client = connect(clickhouse_url, database="test_stored_trial")
    migrate(client)
    rows = [row for message in BROKEN.messages(5, 45) for row in message.rows]
    insert(client, block(WINDOWS, window_columns(rows)))
    yield f"{clickhouse_url}?database=test_stored_trial"
    client.command("DROP DATABASE test_stored_trial")
    client.close()


def test_a_policy_is_judged_on_what_is_stored(url: str) -> None:
    found = page_judge(url)(POLICY, *EVER, threading.Event())
    assert found.outcome.verdict == "rollback"
    assert found.outcome.rollout_id == ROLLOUT
    assert found.decisions[-1].verdict == "rollback"
    assert 0 <= found.open_rows < found.rows


def test_one_that_is_stopped_says_what_to_do(url: str) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CommandError, match="choose a shorter span"):
        page_judge(url)(POLICY, *EVER, stop)


def test_more_rows_than_a_page_may_judge_are_refused(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_trial, "MAX_ROWS_OF_A_PAGE", 3)
    with pytest.raises(CommandError, match="at most 3 are judged here"):
        page_judge(url)(POLICY, *EVER, threading.Event())


def test_without_windows_it_says_which_there_are(url: str) -> None:
    other = msgspec.structs.replace(POLICY, rollout_id="another")
    with pytest.raises(CommandError, match=ROLLOUT):
        page_judge(url)(other, *EVER, threading.Event())
    with pytest.raises(CommandError, match="start in that range"):
        page_judge(url)(POLICY, 0, 1, threading.Event())
