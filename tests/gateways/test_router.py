"""The four strategies on models that hang, fail and stream, in virtual time."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from tests.gateways.rig import AT, Model, Published, Rig, allocation
from tests.gateways.virtual_time import run
from understudy.gateways.background_calls import CallLimits
from understudy.gateways.budget import Budget
from understudy.gateways.call_errors import TIMEOUT, TOO_LARGE
from understudy.gateways.call_notes import note
from understudy.gateways.receipt import Receipt
from understudy.gateways.relayed_stream import MAX_HELD_CHUNKS
from understudy.gateways.request_context import RequestContext
from understudy.gateways.request_journal import RequestOutline, outline_of
from understudy.gateways.route_plan import Sampling
from understudy.schemas.events import Error, Fallback, Request, Response, Timing
from understudy.streams.demo.simulated_clock import SimulatedClockLoop

DROPPED = Error(type="mirror_dropped", source="gateway")


def times(rig: Rig, requests: int, **context: Any) -> list[Any]:
    """Answers to so many requests, one after the other, each a user's of its own."""

    async def all_of_them() -> list[Any]:
        answers = [
            await rig.router.call(RequestContext(user_id=f"u{number}", **context), "hi")
            for number in range(requests)
        ]
        await rig.drained()
        return answers

    return run(all_of_them())


async def served(rig: Rig, *args: Any, context: RequestContext | None = None) -> Any:
    """The answer to one request, once everything else is over too."""
    answer = await rig.router.call(context or RequestContext(), *args)
    await rig.drained()
    return answer


# Shadow


def test_shadow_serves_stable_and_tells_both_sides_together() -> None:
    rig = Rig(allocation(), stable=Model("stable", 1.0), candidate=Model("candidate", 2.5))
    context = RequestContext(
        user_id="u1", conversation_id="c1", turn=3, language="de", workflow="chat",
        pair_id="p1", attributes={"region": "eu"},
    )  # fmt: skip
    assert run(served(rig, "Wo ist mein Paket?", context=context)) == "stable: Wo ist mein Paket?"
    ((stable, candidate),) = rig.published.requests
    assert stable.response == Response(output="stable: Wo ist mein Paket?")
    assert candidate.response == Response(output="candidate: Wo ist mein Paket?")
    assert (stable.served, candidate.served) == (True, False)
    assert (stable.timing.duration_ms, candidate.timing.duration_ms) == (1_000.0, 2_500.0)  # type: ignore[union-attr]
    for event in (stable, candidate):
        assert (event.rollout_id, event.pair_id, event.mode) == ("checkout", "p1", "shadow")
        assert event.sides == ("stable", "candidate")
        assert event.request_time == AT
        assert (event.conversation_id, event.turn) == ("c1", 3)
        assert (event.language, event.workflow) == ("de", "chat")
        assert event.attributes == {"region": "eu"}
        assert event.request == Request(prompt="Wo ist mein Paket?")
    assert b"u1" not in msgspec.json.encode([stable, candidate])


@pytest.mark.parametrize(
    "candidate",
    [
        Model("hangs", 1e9),
        Model("raises", 0.0, RuntimeError("no")),
        Model("ends the process", 0.0, SystemExit(3)),
        Model("raises what cancels", 0.0, asyncio.CancelledError()),
        Model("streams for ever", 0.0, chunks=("x" * 1000,) * 1_000_000),
    ],
    ids=lambda model: model.name,
)
def test_no_candidate_reaches_the_user(candidate: Model) -> None:
    rig = Rig(allocation(), candidate=candidate)

    async def asked() -> tuple[Any, float]:
        answer = await rig.router("hi")
        took_s = asyncio.get_running_loop().time()
        await rig.drained()
        return answer, took_s

    assert run(asked()) == ("stable: hi", 1.0)
    assert rig.published.side("stable").error is None
    error = rig.published.side("candidate").error
    assert error is not None
    assert error.source != "gateway"


def test_a_candidate_that_never_yields_does_not_keep_the_loop() -> None:
    async def flood(prompt: str) -> AsyncIterator[str]:
        while True:
            yield "x"

    rig = Rig(allocation(), stable=Model("stable", 0.0), candidate=flood)
    assert run(served(rig, "hi")) == "stable: hi"
    error = rig.published.side("candidate").error
    assert error == Error(type="answer_too_large", source="provider")


def test_an_answer_of_100_mb_is_its_sides_failure() -> None:
    async def huge(prompt: str) -> str:
        return "x" * 100_000_000

    rig = Rig(allocation(), candidate=huge)
    assert run(served(rig, "hi")) == "stable: hi"
    error = rig.published.side("candidate").error
    assert error == Error(type="answer_too_large", source="provider")


def test_garbage_is_its_sides_failure() -> None:
    async def garbage(prompt: str) -> Any:
        return {"choices": [{"message": {"content": object()}}]}

    rig = Rig(allocation(), candidate=garbage)
    assert run(served(rig, "hi")) == "stable: hi"
    assert rig.published.side("candidate").error == Error(type="unreadable")


def test_a_hanging_candidate_times_out_by_its_own_limit() -> None:
    rig = Rig(allocation(), candidate=Model("hangs", 1e9), limits=CallLimits(timeout_s=7.0))
    run(served(rig, "hi"))
    candidate = rig.published.side("candidate")
    assert candidate.error == Error(type="timeout", source="provider")
    assert candidate.timing is not None
    assert candidate.timing.duration_ms == 7_000.0


def test_a_candidate_that_cannot_be_cancelled_keeps_its_place() -> None:
    async def stubborn(prompt: str) -> str:
        end_s = asyncio.get_running_loop().time() + 100.0
        while (left_s := end_s - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                continue
        return "at last"

    rig = Rig(allocation(), candidate=stubborn, limits=CallLimits(timeout_s=5.0, max_in_flight=1))

    async def asked() -> None:
        await rig.router("one")
        await asyncio.sleep(10.0)
        assert rig.router.in_flight == 1
        await rig.router("two")
        await asyncio.sleep(200.0)
        await rig.router("three")
        await asyncio.sleep(200.0)

    run(asked())
    errors = [event.error for event in rig.published.events if event.side == "candidate"]
    assert errors == [
        Error(type="timeout", source="provider"), DROPPED, Error(type="timeout", source="provider"),
    ]  # fmt: skip


def test_what_finds_no_room_is_dropped_and_counted_apart() -> None:
    rig = Rig(
        allocation(),
        stable=Model("stable", 0.1),
        candidate=Model("candidate", 10.0),
        limits=CallLimits(max_in_flight=3),
    )

    async def flood() -> None:
        await asyncio.gather(*(rig.router(f"q{number}") for number in range(10)))
        await rig.drained()

    run(flood())
    dropped = [event for event in rig.published.events if event.error == DROPPED]
    assert len(dropped) == 7
    assert {event.side for event in dropped} == {"candidate"}
    assert all(event.attributes == {"mirror_dropped": "concurrency"} for event in dropped)
    assert len(rig.published.requests) == 10
    assert len(rig.candidate.calls) == 3
    assert rig.router.counts == {"requests": 10, "mirrored": 3, "dropped: concurrency": 7}


def test_shadow_share_is_the_gateways_own() -> None:
    rig = Rig(allocation(), sampling=Sampling(shadow_share=0.25))
    assert set(times(rig, 400)) == {"stable: hi"}
    assert 70 < len(rig.published.requests) < 130


def test_control_is_a_second_run_of_stable() -> None:
    rig = Rig(allocation(), sampling=Sampling(control_share=0.5))
    times(rig, 200)
    with_control = [events for events in rig.published.requests if len(events) == 3]
    assert 70 < len(with_control) < 130
    assert len(rig.stable.calls) == 200 + len(with_control)
    for events in with_control:
        assert [event.side for event in events] == ["stable", "candidate", "control"]
        assert events[2].response == Response(output="stable: hi")
        assert events[2].served is False


def test_a_budget_stops_mirroring_until_its_period_ends() -> None:
    async def dear(prompt: str) -> str:
        note(cost_usd=0.4)
        return "dear"

    seconds = itertools.chain([0.0] * 5, itertools.repeat(90_000.0))
    budget = Budget(1.0, now_s=lambda: next(seconds))
    rig = Rig(allocation(), candidate=dear, budget=budget)
    times(rig, 5)
    reasons = [event.attributes for event in rig.published.events if event.side == "candidate"]
    assert reasons == [None, None, None, {"mirror_dropped": "budget"}, None]


def test_what_the_caller_or_a_client_changes_no_other_call_sees() -> None:
    async def appending(messages: list[dict[str, str]]) -> str:
        await asyncio.sleep(5.0)
        messages.append({"role": "assistant", "content": "from the candidate"})
        return str(len(messages))

    async def stable(messages: list[dict[str, str]]) -> str:
        return "stable"

    rig = Rig(allocation(), stable=stable, candidate=appending)

    async def asked() -> list[dict[str, str]]:
        messages = [{"role": "user", "content": "hi"}]
        await rig.router(messages)
        messages.append({"role": "assistant", "content": "from stable"})
        await rig.drained()
        return messages

    assert len(run(asked())) == 2
    assert rig.published.side("candidate").response == Response(output="2")
    assert rig.published.side("stable").request == Request(prompt="hi")


# What serves stable alone


@pytest.mark.parametrize(
    "given",
    [
        None,
        allocation(verdict="rollback", mirror=0.0),
        allocation("canary", 0.0, verdict="rollback"),
    ],
    ids=["no decision", "rolled back in shadow", "rolled back in canary"],
)
def test_stable_serves_alone(given: Any) -> None:
    rig = Rig(given)
    assert set(times(rig, 20)) == {"stable: hi"}
    assert rig.candidate.calls == []
    assert rig.published.requests == []


def test_an_old_decision_of_a_canary_is_refreshed_by_stables_own_events() -> None:
    """Nothing else would make windows, so it would stay old for ever."""
    rig = Rig(allocation("canary", 0.5, written_at=AT - dt.timedelta(hours=1)))
    assert set(times(rig, 20)) == {"stable: hi"}
    assert rig.candidate.calls == []
    assert len(rig.published.requests) == 20
    assert {one.side for events in rig.published.requests for one in events} == {"stable"}


def test_an_old_decision_that_gave_everything_stays() -> None:
    rig = Rig(allocation("canary", 1.0, written_at=AT - dt.timedelta(hours=1)))
    assert set(times(rig, 5)) == {"candidate: hi"}


def test_an_old_decision_of_shadow_is_refreshed_by_a_probe_now_and_then() -> None:
    rig = Rig(allocation(written_at=AT - dt.timedelta(hours=1)))
    assert set(times(rig, 25)) == {"stable: hi"}  # one a second
    assert len(rig.candidate.calls) == 3


def test_a_rollback_stops_the_candidate_at_once() -> None:
    rig = Rig(allocation("canary", 1.0))

    async def asked() -> list[Any]:
        before = await rig.router("one")
        rig.decisions.set(allocation("canary", 0.0, verdict="rollback"))
        return [before, await rig.router("two")]

    assert run(asked()) == ["candidate: one", "stable: two"]


@pytest.mark.parametrize("broken", ["decisions", "publisher"])
def test_what_breaks_in_the_router_never_reaches_the_user(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(allocation())
    if broken == "decisions":
        rig.decisions.allocation = lambda rollout_id: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    rig.published.fails = broken == "publisher"
    assert set(times(rig, 3)) == {"stable: hi"}
    assert sum(count for name, count in rig.router.counts.items() if name.startswith("fail")) == 3
    assert len(caplog.records) == 1


# Interleave


def test_interleave_runs_both_and_serves_one_of_them() -> None:
    rig = Rig(allocation("interleave", 0.5))
    answers = times(rig, 200)
    assert 70 < answers.count("candidate: hi") < 130
    assert len(rig.stable.calls) == len(rig.candidate.calls) == 200
    for answer, events in zip(answers, rig.published.requests, strict=True):
        (chosen,) = [event for event in events if event.served]
        assert (chosen.mode, chosen.sides) == ("interleave", ("stable", "candidate"))
        assert chosen.response == Response(output=answer)


@pytest.mark.parametrize(
    "candidate", [Model("raises", 0.5, ValueError()), Model("hangs", 1e9)], ids=lambda one: one.name
)
def test_interleave_serves_stables_own_answer_where_the_candidate_fails(candidate: Model) -> None:
    rig = Rig(
        allocation("interleave", 1.0), candidate=candidate, limits=CallLimits(served_timeout_s=3.0)
    )
    assert run(served(rig, "hi")) == "stable: hi"
    assert len(rig.stable.calls) == 1
    assert rig.published.side("candidate").error is not None
    assert rig.published.side("candidate").served is False
    assert rig.published.side("stable").served is True


def test_interleave_without_room_serves_stable() -> None:
    rig = Rig(allocation("interleave", 1.0), limits=CallLimits(max_in_flight=0))
    assert run(served(rig, "hi")) == "stable: hi"
    assert rig.candidate.calls == []
    assert rig.published.side("candidate").error == DROPPED
    assert rig.published.side("stable").served is True


# Canary and A/B


@pytest.mark.parametrize("mode", ["canary", "ab"])
def test_each_request_goes_to_one_side_and_a_user_stays_there(mode: Any) -> None:
    rig = Rig(allocation(mode, 0.3))
    answers = times(rig, 300)
    assert 60 < answers.count("candidate: hi") < 120
    assert times(rig, 300) == answers
    for answer, (event,) in zip(answers, rig.published.requests[:300], strict=True):
        assert (event.mode, event.sides, event.served) == (mode, (event.side,), True)
        assert answer == f"{event.side}: hi"


def test_a_share_that_grows_keeps_whom_it_had() -> None:
    rig = Rig(allocation("canary", 0.05))
    few = times(rig, 300)
    rig.decisions.set(allocation("canary", 0.25))
    more = times(rig, 300)
    had = [number for number, answer in enumerate(few) if answer == "candidate: hi"]
    assert had
    assert all(more[number] == "candidate: hi" for number in had)


@pytest.mark.parametrize(
    ("candidate", "error"),
    [
        (Model("raises", 0.5, ValueError()), Error(type="value")),
        (Model("hangs", 1e9), Error(type="timeout", source="provider")),
        (Model("ends the process", 0.0, SystemExit(3)), Error(type="runtime")),
    ],
    ids=["raises", "hangs", "ends the process"],
)
def test_stable_serves_where_the_candidate_fails(candidate: Model, error: Error) -> None:
    rig = Rig(
        allocation("canary", 1.0), candidate=candidate, limits=CallLimits(served_timeout_s=3.0)
    )
    assert run(served(rig, "hi")) == "stable: hi"
    ((event,),) = rig.published.requests
    assert (event.side, event.error, event.served) == ("candidate", error, False)
    assert rig.router.counts["rescued"] == 1


def test_a_canary_is_mirrored_beside_its_own_events() -> None:
    rig = Rig(allocation("canary", 0.1, mirror=0.2))
    answers = times(rig, 500)
    single = [events[0] for events in rig.published.requests if len(events) == 1]
    pairs = [events for events in rig.published.requests if len(events) == 2]
    assert len(single) == 500
    candidates = answers.count("candidate: hi")
    assert sum(event.side == "candidate" for event in single) == candidates
    assert 30 < candidates < 75
    assert 60 < len(pairs) < 130
    stable_ids = {event.pair_id for event in single if event.side == "stable"}
    for events in pairs:
        assert [event.mode for event in events] == ["shadow", "shadow"]
        assert events[0].pair_id.removesuffix("~mirror") in stable_ids
    assert len(rig.stable.calls) == 500 - candidates


@pytest.mark.parametrize("length", [1, 249, 250, 256, 300])
def test_a_mirror_has_an_id_of_its_own_however_long_the_request_s_is(length: int) -> None:
    rig = Rig(allocation("canary", 1e-9, mirror=1.0))
    names = [f"{number:0{length}}" for number in (1, 2)]
    for name in names:
        run(served(rig, "hi", context=RequestContext(pair_id=name)))
    requests = rig.published.requests
    pairs = {tuple(event.pair_id for event in events) for events in requests if len(events) == 2}
    assert len(requests) == 4
    assert len(pairs) == 2
    assert all(one == other and one.endswith("~mirror") for one, other in pairs)


def test_ids_that_no_event_can_have_are_shortened_on_all_sides_and_in_the_receipt() -> None:
    rig = Rig(allocation())
    receipt = Receipt()
    names = [f"{number:0300}" for number in (1, 2)]
    for name in names:
        context = RequestContext(pair_id=name, conversation_id=name, receipt=receipt)
        run(served(rig, "hi", context=context))
    ids = {(event.pair_id, event.conversation_id) for event in rig.published.events}
    assert len(ids) == 2
    assert (receipt.pair_id, receipt.conversation_id) in ids


def test_an_event_that_cannot_be_made_is_no_failure_of_the_request() -> None:
    """Stable serves instead of a candidate, and whether that can be told concerns nobody."""
    rig = Rig(allocation("canary", 1.0), candidate=Model("raises", 0.5, ValueError()))
    context = RequestContext(attributes=7)  # type: ignore[arg-type]
    assert run(served(rig, "hi", context=context)) == "stable: hi"
    assert rig.router.counts["failed: events could not be published"] == 1


# Callers that hang up


@pytest.mark.parametrize("mode", ["shadow", "canary", "interleave"])
def test_a_caller_that_hangs_up_is_no_failure_of_the_model(mode: Any) -> None:
    rig = Rig(allocation(mode, 0.0 if mode == "shadow" else 1.0))

    async def hang_up() -> None:
        asked = asyncio.ensure_future(rig.router("hi"))
        await asyncio.sleep(0.3)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await rig.drained()

    run(hang_up())
    errors = {event.error for event in rig.published.events}
    assert errors == {Error(type="cancelled", source="client")}
    (served_side,) = [event for event in rig.published.events if event.served]
    assert served_side.timing is not None
    assert served_side.timing.duration_ms == 300.0
    assert rig.stable.cancelled + rig.candidate.cancelled == len(rig.published.events)


def test_calls_that_the_end_of_the_process_cuts_off_are_dropped() -> None:
    rig = Rig(allocation(), candidate=Model("slow", 50.0))

    async def asked() -> Any:
        return await rig.router("hi")  # and the event loop ends

    assert run(asked()) == "stable: hi"
    candidate = rig.published.side("candidate")
    assert candidate.error == DROPPED
    assert candidate.attributes == {"mirror_dropped": "shutdown"}


# Streams


async def read(stream: Any) -> list[tuple[float, Any]]:
    """Chunks, and when they came."""
    time = asyncio.get_running_loop().time
    return [(time(), chunk) async for chunk in stream]


def streamed(rig: Rig) -> list[tuple[float, Any]]:
    async def asked() -> list[tuple[float, Any]]:
        chunks = await read(await rig.router("hi"))
        await rig.drained()
        return chunks

    return run(asked())


def test_a_stream_is_passed_on_as_it_comes_and_timed_on_both_sides() -> None:
    rig = Rig(
        allocation(),
        stable=Model("stable", 1.0, chunks=("a", "b", "c")),
        candidate=Model("candidate", 4.0, chunks=("", "d", "e")),
    )
    assert streamed(rig) == [(1.0, "a"), (2.0, "b"), (3.0, "c")]
    stable, candidate = rig.published.events
    assert stable.response == Response(output="abc", stream=True)
    assert candidate.response == Response(output="de", stream=True)
    assert [event.timing for event in (stable, candidate)] == [
        Timing(duration_ms=3_000.0, time_to_first_token_ms=1_000.0),
        Timing(duration_ms=12_000.0, time_to_first_token_ms=8_000.0),
    ]


def test_a_stream_that_breaks_off_is_the_models_failure_and_reaches_the_user() -> None:
    rig = Rig(allocation(), stable=Model("stable", 1.0, ValueError("cut"), chunks=("a",)))

    async def asked() -> None:
        with pytest.raises(ValueError, match="cut"):
            await read(await rig.router("hi"))
        await rig.drained()

    run(asked())
    assert rig.published.side("stable").error == Error(type="value")


@pytest.mark.parametrize("how", ["closed", "forgotten", "cancelled"])
def test_a_stream_that_nobody_reads_to_its_end_was_hung_up(how: str) -> None:
    rig = Rig(allocation(), stable=Model("stable", 1.0, chunks=("a", "b", "c")))

    async def asked() -> None:
        stream = await rig.router("hi")
        assert await anext(stream) == "a"
        if how == "closed":
            await stream.aclose()
        elif how == "cancelled":
            reading = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.5)
            reading.cancel()
            await asyncio.wait({reading})
        del stream
        await asyncio.sleep(10.0)
        await rig.drained()

    run(asked())
    assert rig.published.side("stable").error == Error(type="cancelled", source="client")


@pytest.mark.parametrize(
    "candidate",
    [
        Model("raises", 1.0, ValueError(), chunks=()),
        Model("raises after an empty chunk", 1.0, ValueError(), chunks=("",)),
        Model("hangs", 1e9, chunks=("d",)),
        Model("does not open", 1.0, ValueError()),
    ],
    ids=lambda one: one.name,
)
@pytest.mark.parametrize("mode", ["canary", "interleave"])
def test_stable_takes_over_a_stream_that_fails_before_its_first_token(
    candidate: Model, mode: Any
) -> None:
    rig = Rig(
        allocation(mode, 1.0),
        stable=Model("stable", 1.0, chunks=("a", "b")),
        candidate=candidate,
        limits=CallLimits(served_timeout_s=5.0),
    )
    assert [chunk for _, chunk in streamed(rig)] == ["a", "b"]
    failed = rig.published.side("candidate")
    assert failed.error is not None
    assert failed.served is False
    assert rig.router.counts["rescued"] == 1


class Hurried:
    """A stream whose chunks never wait, such as one read from a buffer or made by a generator."""

    def __init__(self, chunk_s: float, chunk: str = "") -> None:
        self.chunk_s = chunk_s
        self.chunk = chunk
        self.chunks = 0
        self.is_closed = False

    async def __call__(self, prompt: str) -> AsyncIterator[str]:
        return self

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        assert self.chunks < 100_000, "nobody stops it"
        self.chunks += 1
        passed(self.chunk_s)
        return self.chunk

    async def aclose(self) -> None:
        self.is_closed = True


def passed(seconds: float) -> None:
    """The time that a busy client keeps the event loop for itself."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedClockLoop)
    loop._jumping.now_s += seconds


@pytest.mark.parametrize(
    ("chunk_s", "error"), [(0.1, TIMEOUT), (0.0, TOO_LARGE)], ids=["slow", "flooding"]
)
def test_stable_takes_over_from_a_stream_that_never_waits_and_says_nothing(
    chunk_s: float, error: Error
) -> None:
    candidate = Hurried(chunk_s)
    rig = Rig(
        allocation("canary", 1.0),
        stable=Model("stable", 1.0, chunks=("a", "b")),
        candidate=candidate,
        limits=CallLimits(served_timeout_s=5.0),
    )
    assert [chunk for _, chunk in streamed(rig)] == ["a", "b"]
    assert rig.published.side("candidate").error == error
    assert candidate.chunks <= MAX_HELD_CHUNKS + 1
    assert candidate.is_closed


@pytest.mark.parametrize(
    "failure", [asyncio.CancelledError(), SystemExit(3)], ids=["cancels", "exits"]
)
@pytest.mark.parametrize("began", [False, True])
def test_a_candidates_stream_neither_cancels_its_user_nor_ends_the_process(
    failure: BaseException, began: bool
) -> None:
    """Before its first token stable serves; after it the stream fails as streams do."""
    broken = Model("candidate", 1.0, failure, chunks=("d",) if began else ("",))
    rig = Rig(
        allocation("canary", 1.0), stable=Model("stable", 1.0, chunks=("a",)), candidate=broken
    )
    if began:
        with pytest.raises(RuntimeError, match="the candidate's client"):
            streamed(rig)
    else:
        assert [chunk for _, chunk in streamed(rig)] == ["a"]
    candidate = rig.published.side("candidate")
    assert candidate.served is began
    assert candidate.error is not None
    assert candidate.error.type == (
        "cancelled" if isinstance(failure, asyncio.CancelledError) else "system_exit"
    )
    assert candidate.error.source is None, "nobody hung up"


@pytest.mark.parametrize(
    "failure", [asyncio.CancelledError(), SystemExit(3)], ids=["cancels", "exits"]
)
def test_a_mirrored_stream_neither_cancels_nor_ends_anything(failure: BaseException) -> None:
    rig = Rig(allocation(), candidate=Model("candidate", 1.0, failure, chunks=("d",)))
    assert run(served(rig, "hi")) == "stable: hi"
    error = rig.published.side("candidate").error
    assert error is not None
    assert error.source is None


def test_a_served_candidates_stream_is_passed_on_as_it_comes() -> None:
    rig = Rig(allocation("canary", 1.0), candidate=Model("candidate", 2.0, chunks=("", "d", "e")))
    assert streamed(rig) == [(4.0, ""), (4.0, "d"), (6.0, "e")]
    candidate = rig.published.side("candidate")
    assert candidate.served is True
    assert candidate.timing is not None
    assert candidate.timing.time_to_first_token_ms == 4_000.0


def test_a_served_candidates_stream_that_breaks_off_later_fails_as_streams_do() -> None:
    broken = Model("candidate", 1.0, ValueError("cut"), chunks=("d",))
    rig = Rig(allocation("canary", 1.0), candidate=broken)

    async def asked() -> None:
        with pytest.raises(ValueError, match="cut"):
            await read(await rig.router("hi"))
        await rig.drained()

    run(asked())
    candidate = rig.published.side("candidate")
    assert (candidate.error, candidate.served) == (Error(type="value"), True)


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_stream_that_nobody_begins_to_read_was_hung_up(mode: Any) -> None:
    rig = Rig(
        allocation(mode, float(mode == "canary")),
        stable=Model("stable", 1.0, chunks=("a",)),
        candidate=Model("candidate", 1.0, chunks=("a",)),
    )

    async def asked() -> None:
        await rig.router("hi")
        await asyncio.sleep(10.0)
        await rig.drained()

    run(asked())
    (served_side,) = [event for event in rig.published.events if event.served]
    assert served_side.error == Error(type="cancelled", source="client")


# What clients note


def test_retries_fallbacks_and_cache_hits_are_one_side() -> None:
    async def client(prompt: str) -> str:
        note(attempts=3, fallback_model="wren-2", fallback_reason="rate_limit", cache_hit=True)
        return "answer"

    rig = Rig(allocation("canary", 0.0, mirror=1.0), stable=client, candidate=client)
    run(served(rig, "hi"))
    for event in rig.published.events:
        assert event.fallback == Fallback(
            used=True, model="wren-2", reason="rate_limit", attempts=3
        )
        assert event.response == Response(model="wren-2", output="answer", cache_hit=True)


def test_notes_of_one_call_do_not_reach_another() -> None:
    async def noting(prompt: str) -> str:
        note(cache_hit=True)
        return "candidate"

    rig = Rig(allocation(), candidate=noting)
    run(served(rig, "hi"))
    stable = rig.published.side("stable").response
    assert stable is not None
    assert stable.cache_hit is None


def test_models_are_named_where_answers_do_not() -> None:
    rig = Rig(allocation(), stable_model="heron-4", candidate_model="heron-5")
    run(served(rig, "hi"))
    models = {event.side: event.response.model for event in rig.published.events if event.response}
    assert models == {"stable": "heron-4", "candidate": "heron-5"}


# Killed processes


def test_request_is_noted_before_any_model_is_asked() -> None:
    noted: list[RequestOutline] = []

    class Journalled(Published):
        def begin(self, outline: RequestOutline) -> None:
            assert not rig.stable.calls
            assert not rig.candidate.calls
            noted.append(outline)

    published = Journalled()
    rig = Rig(allocation(), published=published)
    context = RequestContext(pair_id="p1", conversation_id="c1", turn=3, workflow="chat")
    run(served(rig, "hi", context=context))
    ((stable, candidate),) = published.requests
    assert noted == [outline_of(stable)] == [outline_of(candidate)]
