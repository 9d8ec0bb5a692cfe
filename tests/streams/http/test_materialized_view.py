"""The view: what stands there after which messages, and who is woken."""

from __future__ import annotations

import asyncio

import pytest

from tests.streams.rollouts.records import killed, manifest
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.http import materialized_view as module
from understudy.streams.http.materialized_view import (
    MaterializedView,
    Of,
    Seen,
    TooManyWait,
    Unreadable,
)

RECORD = RolloutRecord(manifest=manifest())
NEWER = b'{"schema_version": 9}'


def record(some: RolloutRecord = RECORD) -> Seen:
    return Seen("rollout", some.manifest.rollout_id, encode_rollout_record(some))


def decision(why: str = "tone") -> Seen:
    return Seen("decision", "checkout", encode_decision(killed(why)))


def test_a_rollout_with_its_newest_decision() -> None:
    view = MaterializedView()
    assert view.find("checkout") is None
    view.take([decision("early"), record(), decision("late")])
    found = view.find("checkout")
    assert found is not None
    assert found.decision == killed("late")
    told = view.told("checkout")
    assert told is not None
    assert told.payload == told.body.payload == encode_decision(killed("late"))


def test_rollouts_stand_in_the_order_of_their_names() -> None:
    view = MaterializedView()
    for name in ("search", "checkout", "mail"):
        view.take([record(RolloutRecord(manifest=manifest(name)))])
    assert list(view.all()) == ["checkout", "mail", "search"]


@pytest.mark.parametrize("of", ["rollout", "decision"])
def test_a_deletion_deletes(of: Of) -> None:
    view = MaterializedView()
    view.take([record(), decision(), Seen(of, "checkout", None)])
    assert (view.find("checkout") is None) is (of == "rollout")
    assert (view.told("checkout") is None) is (of == "decision")


def test_what_cannot_be_read_hides_what_stood_before() -> None:
    view = MaterializedView()
    view.take([record(), decision(), Seen("decision", "checkout", NEWER)])
    with pytest.raises(Unreadable, match="the decision checkout cannot be read: schema version 9"):
        view.told("checkout")
    found = view.find("checkout")
    assert found is not None
    assert found.told is None
    view.take([decision(), Seen("rollout", "checkout", b"{")])
    assert view.told("checkout") is not None
    assert view.all() == {}
    with pytest.raises(Unreadable):
        view.find("checkout")
    view.take([record()])
    assert list(view.all()) == ["checkout"]


def test_of_two_commands_with_one_number_the_first_counts() -> None:
    at = killed().decided_at
    one = RECORD.with_command("kill", at, reason="tone", by="anna")
    other = RECORD.with_command("promote", at, reason="", by="ben")
    view = MaterializedView()
    view.take([record(one), record(other)])
    assert view.all()["checkout"].record.commands == one.commands


def test_a_new_beginning_forgets_everything() -> None:
    view = MaterializedView()
    view.take([record(), decision(), Seen("decision", "mail", NEWER)])
    view.complete()
    view.begin()
    assert not view.is_complete
    assert view.all() == {}
    assert view.told("checkout") is view.told("mail") is None


def test_those_who_wait_are_woken_by_what_they_wait_for() -> None:
    async def wait() -> tuple[bool, bool]:
        view = MaterializedView()
        late = asyncio.create_task(view.until(lambda: bool(view.told("checkout")), 60.0))
        never = asyncio.create_task(view.until(lambda: bool(view.told("mail")), 0.05))
        await asyncio.sleep(0)
        view.take([record()])
        await asyncio.sleep(0)
        assert not late.done()
        view.take([decision()])
        return await late, await never

    assert asyncio.run(wait()) == (True, False)


def test_nobody_waits_for_a_closed_board() -> None:
    async def wait() -> bool:
        view = MaterializedView()
        waiting = asyncio.create_task(view.until(lambda: False, 60.0))
        await asyncio.sleep(0)
        view.close()
        return await waiting

    assert asyncio.run(wait()) is False


def test_what_ready_raises_ends_the_waiting() -> None:
    async def wait() -> None:
        view = MaterializedView()
        view.take([decision()])
        waiting = asyncio.create_task(view.until(lambda: view.told("checkout") is None, 60.0))
        await asyncio.sleep(0)
        view.take([Seen("decision", "checkout", NEWER)])
        await waiting

    with pytest.raises(Unreadable):
        asyncio.run(wait())


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)

    async def wait() -> None:
        view = MaterializedView()
        one = asyncio.create_task(view.until(lambda: False, 0.05))
        await asyncio.sleep(0)
        with pytest.raises(TooManyWait):
            await view.until(lambda: False, 60.0)
        await one
        assert not await view.until(lambda: False, 0.0)

    asyncio.run(wait())


def test_decisions_of_another_rollout_are_not_taken() -> None:
    view = MaterializedView()
    view.take([Seen("decision", "mail", encode_decision(killed()))])
    with pytest.raises(Unreadable, match="it is about checkout"):
        view.told("mail")
