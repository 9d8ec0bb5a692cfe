"""The board: what stands there after which messages, and who is woken."""

from __future__ import annotations

import asyncio

import pytest

from tests.streams.rollouts.records import killed, manifest
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.http import materialized_view as module
from understudy.streams.http.materialized_view import Board, Of, Seen, TooManyWait, Unreadable

RECORD = RolloutRecord(manifest=manifest())
NEWER = b'{"schema_version": 9}'


def record(some: RolloutRecord = RECORD) -> Seen:
    return Seen("rollout", some.manifest.rollout_id, encode_rollout_record(some))


def decision(why: str = "tone") -> Seen:
    return Seen("decision", "checkout", encode_decision(killed(why)))


def test_a_rollout_with_its_newest_decision() -> None:
    board = Board()
    assert board.find("checkout") is None
    board.take([decision("early"), record(), decision("late")])
    found = board.find("checkout")
    assert found is not None
    assert found.decision == killed("late")
    told = board.told("checkout")
    assert told is not None
    assert told.payload == told.body.payload == encode_decision(killed("late"))


def test_rollouts_stand_in_the_order_of_their_names() -> None:
    board = Board()
    for name in ("search", "checkout", "mail"):
        board.take([record(RolloutRecord(manifest=manifest(name)))])
    assert list(board.all()) == ["checkout", "mail", "search"]


@pytest.mark.parametrize("of", ["rollout", "decision"])
def test_a_deletion_deletes(of: Of) -> None:
    board = Board()
    board.take([record(), decision(), Seen(of, "checkout", None)])
    assert (board.find("checkout") is None) is (of == "rollout")
    assert (board.told("checkout") is None) is (of == "decision")


def test_what_cannot_be_read_hides_what_stood_before() -> None:
    board = Board()
    board.take([record(), decision(), Seen("decision", "checkout", NEWER)])
    with pytest.raises(Unreadable, match="the decision checkout cannot be read: schema version 9"):
        board.told("checkout")
    found = board.find("checkout")
    assert found is not None
    assert found.told is None
    board.take([decision(), Seen("rollout", "checkout", b"{")])
    assert board.told("checkout") is not None
    assert board.all() == {}
    with pytest.raises(Unreadable):
        board.find("checkout")
    board.take([record()])
    assert list(board.all()) == ["checkout"]


def test_of_two_commands_with_one_number_the_first_counts() -> None:
    at = killed().decided_at
    one = RECORD.told("kill", at, reason="tone", by="anna")
    other = RECORD.told("promote", at, reason="", by="ben")
    board = Board()
    board.take([record(one), record(other)])
    assert board.all()["checkout"].record.commands == one.commands


def test_a_new_beginning_forgets_everything() -> None:
    board = Board()
    board.take([record(), decision(), Seen("decision", "mail", NEWER)])
    board.complete()
    board.begin()
    assert not board.is_complete
    assert board.all() == {}
    assert board.told("checkout") is board.told("mail") is None


def test_those_who_wait_are_woken_by_what_they_wait_for() -> None:
    async def wait() -> tuple[bool, bool]:
        board = Board()
        late = asyncio.create_task(board.until(lambda: bool(board.told("checkout")), 60.0))
        never = asyncio.create_task(board.until(lambda: bool(board.told("mail")), 0.05))
        await asyncio.sleep(0)
        board.take([record()])
        await asyncio.sleep(0)
        assert not late.done()
        board.take([decision()])
        return await late, await never

    assert asyncio.run(wait()) == (True, False)


def test_nobody_waits_for_a_closed_board() -> None:
    async def wait() -> bool:
        board = Board()
        waiting = asyncio.create_task(board.until(lambda: False, 60.0))
        await asyncio.sleep(0)
        board.close()
        return await waiting

    assert asyncio.run(wait()) is False


def test_what_ready_raises_ends_the_waiting() -> None:
    async def wait() -> None:
        board = Board()
        board.take([decision()])
        waiting = asyncio.create_task(board.until(lambda: board.told("checkout") is None, 60.0))
        await asyncio.sleep(0)
        board.take([Seen("decision", "checkout", NEWER)])
        await waiting

    with pytest.raises(Unreadable):
        asyncio.run(wait())


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)

    async def wait() -> None:
        board = Board()
        one = asyncio.create_task(board.until(lambda: False, 0.05))
        await asyncio.sleep(0)
        with pytest.raises(TooManyWait):
            await board.until(lambda: False, 60.0)
        await one
        assert not await board.until(lambda: False, 0.0)

    asyncio.run(wait())


def test_decisions_of_another_rollout_are_not_taken() -> None:
    board = Board()
    board.take([Seen("decision", "mail", encode_decision(killed()))])
    with pytest.raises(Unreadable, match="it is about checkout"):
        board.told("mail")
