"""Earlier decisions out of ClickHouse, page by page."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest

from tests.streams.alerting.samples import CREATED_AT, decision
from tests.streams.http.server import Api, api
from understudy.schemas.decisions import encode_decision
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_history import END, Cursor, DecisionHistory
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.http import read_routes as reading

pytestmark = pytest.mark.embedded

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NAME = "it's {a} %s 日本"
PATH = f"/api/v1/rollouts/{quote(NAME)}/history"
DECISIONS = [
    decision("hold", rollout_id=NAME, minute=9, sequence=1),
    decision("promote", rollout_id=NAME, minute=1, stage=1, sequence=2),
    decision("rollback", rollout_id=NAME, minute=1, stage=1, sequence=3),
    decision("hold", rollout_id=NAME, minute=1, stage=1, sequence=4),
    decision("rollback", rollout_id=NAME, minute=1, stage=1, sequence=5),
    decision("hold", rollout_id=NAME, minute=2, sequence=6),
]
"""The first is dated by the wall clock, before any window; the others by event time, behind it."""
ANEW = msgspec.structs.replace(
    decision("promote", rollout_id=NAME, sequence=1),
    rollout_created_at=CREATED_AT + dt.timedelta(3),
)
"""Of the rollout that was deleted and made anew."""


@pytest.fixture(scope="module")
def url(clickhouse_url: str) -> Iterator[str]:
    """A database with these decisions, the last stored twice, and one of another rollout."""
    database = "test_api_history"
    client = connect(clickhouse_url, database=database)
    migrate(client)
    for told in (DECISIONS, [ANEW, DECISIONS[-1], decision("hold", rollout_id="other")]):
        block = decision_block([(one, encode_decision(one)) for one in told])
        client.raw_insert(block.table, block.columns, block.payload, fmt="Native")
    yield f"{clickhouse_url}?database={database}"
    client.command(f"DROP DATABASE {database}")
    client.close()


@pytest.fixture
def server(url: str) -> Iterator[Api]:
    with api(clickhouse=url) as made:
        yield made


def facts(decisions: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [(one["rollout_created_at"], one["sequence"], one["verdict"]) for one in decisions]


def test_decisions_in_the_order_in_which_they_were_made_the_newest_first(server: Api) -> None:
    page = server.get(PATH).json
    assert page["next_before"] is None
    newest, *older = page["decisions"]
    assert (newest["rollout_created_at"], newest["sequence"]) == ("2026-03-04T09:00:00Z", 1)
    assert [one["sequence"] for one in older] == [6, 5, 4, 3, 2, 1], "stored twice, it counts once"
    assert [one["verdict"] for one in older] == [one.verdict for one in reversed(DECISIONS)]
    assert older[0] == {
        "rollout_created_at": "2026-03-01T09:00:00Z", "sequence": 6,
        "decided_at": "2026-03-02T12:02:00Z", "command": "", "command_by": "",
        "command_reason": "", "command_rejection": "", "verdict": "hold",
        "since": "2026-03-02T12:00:00Z",
        "stage": "canary", "candidate_share": 0.05, "is_latched": False, "is_paused": False,
        "reasons": DECISIONS[0].reasons, "alerts": [], "policy_hash": "abc",
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_lose_nothing_where_times_are_the_same(server: Api, limit: int) -> None:
    whole = facts(server.get(PATH).json["decisions"])
    found: list[tuple[object, ...]] = []
    before = ""
    while True:
        page = server.get(f"{PATH}?limit={limit}{before}").json
        found += facts(page["decisions"])
        assert len(page["decisions"]) <= limit
        if page["next_before"] is None:
            break
        before = f"&before={quote(page['next_before'])}"
    assert found == whole


def test_before_a_time(server: Api) -> None:
    for text in ("2026-03-02T12:02:00Z", "2026-03-02T13:02:00%2B01:00"):
        page = server.get(f"{PATH}?before={text}").json
        assert [one["sequence"] for one in page["decisions"]] == [1, 5, 4, 3, 2]


def test_later_pages_are_before_the_same_time(server: Api) -> None:
    before, found = "2026-03-02T12:02:00Z", []
    while before:
        page = server.get(f"{PATH}?limit=1&before={quote(before)}").json
        found += [one["sequence"] for one in page["decisions"]]
        before = page["next_before"]
    assert found == [1, 5, 4, 3, 2]


@pytest.mark.parametrize(
    "before", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z,99999999999999999999"]
)
def test_times_beyond_all_others(server: Api, before: str) -> None:
    page = server.get(f"{PATH}?before={before}").json
    assert len(page["decisions"]) == (0 if before < "2" else len(DECISIONS) + 1)


def test_a_rollout_that_never_was_has_no_history(server: Api) -> None:
    assert server.get("/api/v1/rollouts/nobody/history").json == {
        "decisions": [], "next_before": None,
    }  # fmt: skip


def test_cursors_are_read_as_they_are_written() -> None:
    cursor = Cursor.at(NOON + dt.timedelta(milliseconds=7), 12)
    assert str(cursor) == "2026-03-02T12:00:00.007Z,12"
    assert str(END).startswith("2299-12-31")
    later = Cursor.at(NOON, 12, NOON + dt.timedelta(days=1))
    assert str(later) == "2026-03-02T12:00:00.000Z,12,2026-03-03T12:00:00.000Z"


def test_a_slow_clickhouse_is_given_up(server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(self: DecisionHistory, *_: object) -> None:
        threading.Event().wait(0.5)

    monkeypatch.setattr(DecisionHistory, "page", slow)
    monkeypatch.setattr(reading, "TIMEOUT_S", 0.0)
    monkeypatch.setattr(reading, "QUEUE_TIMEOUT_S", 0.1)
    answer = server.get(PATH)
    assert (answer.status, answer.detail) == (503, "ClickHouse did not answer in time; retry")
