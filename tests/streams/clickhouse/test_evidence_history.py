"""How evidence grew, out of the stored decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.streams.alerting.samples import CREATED_AT, decision
from tests.streams.demo.decisions import evidence
from understudy.schemas.decisions import Decision, encode_decision
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.evidence_history import DAY, read_evidence
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection

pytestmark = pytest.mark.embedded
NAME = "it's {a} %s 日本"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def at(minute: int, **changes: object) -> Decision:
    """A decision a minute, each with a little more evidence."""
    rows = [
        msgspec.structs.replace(evidence(slice_), harm=0.001 * minute)
        for slice_ in ("all", "language:ja")
    ]
    made = decision("hold", rollout_id=NAME, minute=minute, sequence=minute)
    return msgspec.structs.replace(made, **{"evidence": rows, **changes})


@pytest.fixture(scope="module")
def connection(clickhouse_url: str) -> Iterator[ReadConnection]:
    client = connect(clickhouse_url, database="test_evidence_history")
    migrate(client)
    anew = at(1, rollout_created_at=CREATED_AT + dt.timedelta(3))
    bare = at(59, evidence=[])
    other = at(58)
    some = [*(at(minute) for minute in range(1, 41)), at(40), anew, bare]
    foreign = encode_decision(other).replace(b'"harm_margin":', b'"margin_of_harm":')
    block = decision_block([*((one, encode_decision(one)) for one in some), (other, foreign)])
    client.raw_insert(block.table, block.columns, block.payload, fmt="Native")
    made = ReadConnection(f"{clickhouse_url}?database=test_evidence_history")
    yield made
    made.close()
    client.command("DROP DATABASE test_evidence_history")
    client.close()


def harms(connection: ReadConnection, most: int, since: dt.datetime = NOON - DAY) -> list[float]:
    found = read_evidence(
        connection, NAME, "json_valid_rate", "language:ja", created_at=CREATED_AT, since=since,
        most=most,
    )  # fmt: skip
    assert [point.at_ms for point in found] == sorted(point.at_ms for point in found)
    return [round(1_000 * (point.evidence.harm or 0.0)) for point in found]


def test_every_decision_about_this_rollout_once_and_in_order(connection: ReadConnection) -> None:
    assert harms(connection, 100) == list(range(1, 41)), "stored twice, it counts once"


@pytest.mark.parametrize("most", [1, 7, 10, 15, 25, 39, 41, 42])
def test_many_decisions_are_thinned_evenly_to_as_many_as_may_be(
    connection: ReadConnection, most: int
) -> None:
    """Of 42 decisions the last two, 58 and 59, cannot be drawn: one is another release's."""
    step = -(-42 // most)
    places = [place for place in range(1, 43) if (42 - place) % step == 0]
    assert len(places) <= most
    assert harms(connection, most) == [place for place in places if place <= 40]


def test_what_another_release_stored_is_left_out_and_told(
    connection: ReadConnection,
) -> None:
    with capture_logs() as logs:
        assert harms(connection, 100)[-1] == 40
    assert [(one["event"], one["count"]) for one in logs] == [
        ("clickhouse.decisions_unreadable", 1)
    ]


def test_only_those_since_a_time(connection: ReadConnection) -> None:
    assert harms(connection, 100, NOON + dt.timedelta(minutes=38)) == [39, 40]


def test_a_slice_that_no_decision_has_gives_nothing(connection: ReadConnection) -> None:
    assert not read_evidence(
        connection, NAME, "json_valid_rate", "language:xx", created_at=CREATED_AT, since=NOON - DAY
    )
