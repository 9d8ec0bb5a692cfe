"""The view: its contents after which messages, and which requests it wakes."""

from __future__ import annotations

import asyncio

import pytest

from tests.streams.rollouts.records import killed, manifest
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.http.bodies import Body
from understudy.streams.http.materialized_view import (
    MaterializedView,
    RecordKind,
    UnreadableRecord,
    ViewUpdate,
)
from understudy.streams.http.waiting_places import TooManyWaiting

RECORD = RolloutRecord(manifest=manifest())
NEWER = b'{"schema_version": 9}'


def record(some: RolloutRecord = RECORD) -> ViewUpdate:
    return ViewUpdate("rollout", some.manifest.rollout_id, encode_rollout_record(some))


def decision(why: str = "tone") -> ViewUpdate:
    return ViewUpdate("decision", "checkout", encode_decision(killed(why)))


def test_a_rollout_with_its_newest_decision() -> None:
    view = MaterializedView()
    assert view.find("checkout") is None
    view.apply([decision("early"), record(), decision("late")])
    found = view.find("checkout")
    assert found is not None
    assert found.decision == killed("late")
    newest = view.newest_decision("checkout")
    assert newest is not None
    assert newest.payload == newest.body.payload == encode_decision(killed("late"))


def test_rollouts_stand_in_the_order_of_their_names() -> None:
    view = MaterializedView()
    for name in ("search", "checkout", "mail"):
        view.apply([record(RolloutRecord(manifest=manifest(name)))])
    assert list(view.all()) == ["checkout", "mail", "search"]


@pytest.mark.parametrize("kind", ["rollout", "decision"])
def test_a_deletion_deletes(kind: RecordKind) -> None:
    view = MaterializedView()
    view.apply([record(), decision(), ViewUpdate(kind, "checkout", None)])
    assert (view.find("checkout") is None) is (kind == "rollout")
    assert (view.newest_decision("checkout") is None) is (kind == "decision")


def test_what_cannot_be_read_hides_what_stood_before() -> None:
    view = MaterializedView()
    view.apply([record(), decision(), ViewUpdate("decision", "checkout", NEWER)])
    with pytest.raises(
        UnreadableRecord, match="the decision checkout cannot be read: schema version 9"
    ):
        view.newest_decision("checkout")
    found = view.find("checkout")
    assert found is not None
    assert found.published is None
    view.apply([decision(), ViewUpdate("rollout", "checkout", b"{")])
    assert view.newest_decision("checkout") is not None
    assert view.all() == {}
    with pytest.raises(UnreadableRecord):
        view.find("checkout")
    view.apply([record()])
    assert list(view.all()) == ["checkout"]


def test_of_two_commands_with_one_number_the_first_counts() -> None:
    at = killed().decided_at
    one = RECORD.with_command("kill", at, reason="tone", by="anna")
    other = RECORD.with_command("promote", at, reason="", by="ben")
    view = MaterializedView()
    view.apply([record(one), record(other)])
    assert view.all()["checkout"].record.commands == one.commands


def test_a_new_beginning_forgets_everything() -> None:
    view = MaterializedView()
    view.apply([record(), decision(), ViewUpdate("decision", "mail", NEWER)])
    view.mark_complete()
    view.reset()
    assert not view.is_complete
    assert view.all() == {}
    assert view.newest_decision("checkout") is view.newest_decision("mail") is None


def test_those_who_wait_are_woken_by_what_they_wait_for() -> None:
    async def wait() -> tuple[bool, bool]:
        view = MaterializedView()
        late = asyncio.create_task(
            view.wait_until(lambda: bool(view.newest_decision("checkout")), 60.0)
        )
        never = asyncio.create_task(
            view.wait_until(lambda: bool(view.newest_decision("mail")), 0.05)
        )
        await asyncio.sleep(0)
        view.apply([record()])
        await asyncio.sleep(0)
        assert not late.done()
        view.apply([decision()])
        return await late, await never

    assert asyncio.run(wait()) == (True, False)


def test_nobody_waits_for_a_closed_board() -> None:
    async def wait() -> bool:
        view = MaterializedView()
        waiting = asyncio.create_task(view.wait_until(lambda: False, 60.0))
        await asyncio.sleep(0)
        view.close()
        return await waiting

    assert asyncio.run(wait()) is False


def test_what_ready_raises_ends_the_waiting() -> None:
    async def wait() -> None:
        view = MaterializedView()
        view.apply([decision()])
        waiting = asyncio.create_task(
            view.wait_until(lambda: view.newest_decision("checkout") is None, 60.0)
        )
        await asyncio.sleep(0)
        view.apply([ViewUpdate("decision", "checkout", NEWER)])
        await waiting

    with pytest.raises(UnreadableRecord):
        asyncio.run(wait())


def test_only_so_many_wait() -> None:
    async def wait() -> None:
        view = MaterializedView(max_waiting=1)
        one = asyncio.create_task(view.wait_until(lambda: False, 0.05))
        await asyncio.sleep(0)
        with pytest.raises(TooManyWaiting):
            await view.wait_until(lambda: False, 60.0)
        await one
        assert not await view.wait_until(lambda: False, 0.0)

    asyncio.run(wait())


def test_who_holds_most_places_is_answered_early() -> None:
    async def wait() -> None:
        view = MaterializedView(max_waiting=2)
        greedy = [asyncio.create_task(view.wait_until(lambda: False, 60.0, "a")) for _ in range(2)]
        await asyncio.sleep(0)
        other = asyncio.create_task(view.wait_until(lambda: view.is_complete, 60.0, "b"))
        assert await greedy[0] is False, "the one that waited longest"
        view.mark_complete()
        assert await other
        greedy[1].cancel()

    asyncio.run(wait())


def test_decisions_of_another_rollout_are_not_taken() -> None:
    view = MaterializedView()
    view.apply([ViewUpdate("decision", "mail", encode_decision(killed()))])
    with pytest.raises(UnreadableRecord, match="it is about checkout"):
        view.newest_decision("mail")


def test_a_body_is_made_once_between_two_changes() -> None:
    view, made = MaterializedView(), []

    def make() -> Body:
        made.append(len(made))
        return Body.of(b"%d" % len(made))

    assert view.body(("a",), make) == view.body(("a",), make) == Body.of(b"1")
    assert view.body(("b",), make) == Body.of(b"2")
    for number, change in enumerate((view.mark_complete, lambda: view.apply([]), view.reset), 3):
        change()
        assert view.body(("a",), make) == Body.of(b"%d" % number)


def test_a_body_that_cannot_be_made_is_tried_again() -> None:
    view = MaterializedView()
    with pytest.raises(KeyError):
        view.body(("a",), lambda: {}["missing"])
    assert view.body(("a",), lambda: Body.of(b"")) == Body.of(b"")
