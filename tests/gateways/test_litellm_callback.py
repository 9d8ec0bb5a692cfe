"""The callback under LiteLLM's real Router, against a local upstream."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices
litellm = pytest.importorskip("litellm", reason="the extra litellm is not installed")

from tests.gateways.litellm_upstream import Upstream, running_upstream  # noqa: E402
from tests.waiting import DEADLINE_S, POLL_S  # noqa: E402
from understudy.gateways.allocation import Allocation  # noqa: E402
from understudy.gateways.chat_completions import ChatCompletions  # noqa: E402
from understudy.gateways.decision_source import FixedAllocations  # noqa: E402
from understudy.gateways.litellm_callback import Mirror, UnderstudyLogger  # noqa: E402
from understudy.gateways.mirrored_requests import RequestFacts  # noqa: E402
from understudy.gateways.request_context import RequestContext  # noqa: E402
from understudy.gateways.router import Router  # noqa: E402
from understudy.schemas.adapters.recorded_answer import RecordedAnswer  # noqa: E402
from understudy.schemas.events import Event, Mode, decode_event, encode_event  # noqa: E402

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
]

MIRROR: Final = Mirror(rollout_id="r", stable="prod", candidate="next")
HELLO: Final = [{"role": "user", "content": "hi"}]
Scenario = Callable[..., Coroutine[Any, Any, None]]


class Sink:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.requests: list[tuple[Event, ...]] = []

    def publish(self, *events: Event) -> bool:
        self.requests.append(tuple(decode_event(encode_event(one)) for one in events))
        return True

    async def pairs(self, count: int) -> list[dict[str, Event]]:
        """Wait for so many requests; each has both sides in one call."""
        waited_s = 0.0
        while len(self.requests) < count:
            assert waited_s < DEADLINE_S, f"{len(self.requests)} requests of {count}"
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
        pairs = [{one.side: one for one in events} for events in self.requests]
        assert [set(pair) for pair in pairs] == [{"stable", "candidate"}] * count
        for pair in pairs:
            assert pair["stable"].pair_id == pair["candidate"].pair_id
            assert pair["stable"].request_time == pair["candidate"].request_time
        return pairs


def in_event_loop(scenario: Scenario) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(scenario)
    def test(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(scenario(**fixtures), DEADLINE_S))

    return test


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(autouse=True)
def _no_callbacks_are_left() -> Iterator[None]:
    lists = ("callbacks", "input_callback", "success_callback", "failure_callback")
    names = [*lists, *(f"_async_{name}" for name in lists[1:])]
    yield
    for name in names:
        if hasattr(litellm, name):
            getattr(litellm, name).clear()
    litellm.cache = None


@asynccontextmanager
async def gateway(
    sink: Sink, candidates: list[str], stable: list[str] | None = None, **options: Any
) -> AsyncIterator[tuple[Any, Upstream]]:
    """LiteLLM's Router with the group `prod`, mirrored to the group `next`."""
    decisions = options.pop("decisions", None)
    mirrors = options.pop("mirrors", (MIRROR,))
    more = options.pop("more", [])
    silent = options.pop("silent", "next")
    logger = UnderstudyLogger(sink, *mirrors, decisions=decisions)
    litellm.callbacks = [logger]
    litellm.suppress_debug_info = True
    async with running_upstream() as upstream:
        models = [
            *(upstream.deployment("prod", one, silent_model=silent) for one in stable or ["big"]),
            *(upstream.deployment("next", one) for one in candidates),
            *(upstream.deployment(group, one) for group, one in more),
        ]
        yield litellm.Router(model_list=models, **{"num_retries": 0, **options}), upstream
        logger.close()


async def ask(router: Any, **parameters: Any) -> None:
    answer = await router.acompletion(model="prod", messages=HELLO, **parameters)
    if parameters.get("stream"):
        async for _ in answer:
            pass


def allocation(rollout_id: str, **changes: Any) -> Allocation:
    now = dt.datetime.now(dt.UTC)
    given = {
        "mode": "shadow", "candidate_share": 0.0, "mirror_share": 1.0, "verdict": "hold",
        "stage": "shadow", "decided_at": now, "written_at": now,
    }  # fmt: skip
    return Allocation(rollout_id=rollout_id, **{**given, **changes})


def outcomes(pairs: list[dict[str, Event]]) -> Counter[str]:
    """What came of the candidate, by how often."""
    errors = (pair["candidate"].error for pair in pairs)
    return Counter(error.type if error is not None else "answered" for error in errors)


@in_event_loop
async def test_a_request_and_its_mirror_are_a_pair(sink: Sink) -> None:
    async with gateway(sink, ["small"]) as (router, _):
        await ask(router)
        [pair] = await sink.pairs(1)

    assert {side: one.response.output for side, one in pair.items() if one.response} == {
        "stable": "Hello you",
        "candidate": "Hello you",
    }
    assert pair["stable"].response is not None
    assert pair["stable"].response.model == "big"
    assert pair["stable"].served is True
    assert pair["candidate"].served is False
    assert pair["stable"].mode == "shadow"


@in_event_loop
async def test_a_stream_has_the_time_of_its_first_token_on_both_sides(sink: Sink) -> None:
    """Releases that do not stream the mirror (1.83) have none for it."""
    async with gateway(sink, ["small"]) as (router, _):
        await ask(router, stream=True)
        [pair] = await sink.pairs(1)

    for event in pair.values():
        assert event.response is not None
        assert event.response.output == "Hello you"
    timing = pair["stable"].timing
    assert timing is not None
    assert timing.duration_ms is not None
    assert timing.time_to_first_token_ms is not None
    assert 0 < timing.time_to_first_token_ms < timing.duration_ms


@in_event_loop
async def test_calls_of_one_trace_and_session_are_pairs_of_their_own(sink: Sink) -> None:
    """An agent's: one trace, one session, one dict of metadata, one after the other and at once."""
    async with gateway(sink, ["small"]) as (router, _):
        shared = {"session_id": "s", "trace_id": "t"}
        for _ in range(2):
            await ask(router, metadata=shared, litellm_trace_id="mine")
        own = [ask(router, metadata=dict(shared), litellm_trace_id="mine") for _ in range(2)]
        await asyncio.gather(*own)
        pairs = await sink.pairs(4)

    assert len({pair["stable"].pair_id for pair in pairs}) == 4
    assert {pair["candidate"].conversation_id for pair in pairs} == {"s"}
    assert sorted(pair["stable"].turn or 0 for pair in pairs) == [1, 2, 3, 4]
    assert all(pair["stable"].turn == pair["candidate"].turn for pair in pairs)


@in_event_loop
async def test_a_conversation_that_began_elsewhere_has_the_turn_of_its_messages(
    sink: Sink,
) -> None:
    history = [*HELLO, {"role": "assistant", "content": "Hello you"}, *HELLO]
    async with gateway(sink, ["small"]) as (router, _):
        await router.acompletion(model="prod", messages=history, metadata={"session_id": "s"})
        [pair] = await sink.pairs(1)

    assert pair["stable"].turn == 2


@in_event_loop
async def test_language_and_workflow_are_those_that_the_caller_names(sink: Sink) -> None:
    async with gateway(sink, ["small"]) as (router, _):
        await ask(router, metadata={"language": "de", "workflow": "letters"})
        [pair] = await sink.pairs(1)

    assert {(one.language, one.workflow) for one in pair.values()} == {("de", "letters")}


@in_event_loop
async def test_a_candidate_that_always_fails_on_one_deployment_is_called_and_fails(
    sink: Sink,
) -> None:
    async with gateway(sink, ["fail-a"]) as (router, upstream):
        for _ in range(20):
            await ask(router)
        pairs = await sink.pairs(20)

    assert outcomes(pairs) == {"InternalServerError": 20}
    assert upstream.calls["fail-a"] == 20


@in_event_loop
async def test_a_candidate_that_always_fails_on_two_is_cooled_down_and_not_called(
    sink: Sink,
) -> None:
    """Failures are the model's; what LiteLLM gave up before calling is counted apart."""
    async with gateway(sink, ["fail-a", "fail-b"]) as (router, upstream):
        for _ in range(30):
            await ask(router)
        pairs = await sink.pairs(30)

    called = upstream.calls["fail-a"] + upstream.calls["fail-b"]
    assert 0 < called < 30
    assert outcomes(pairs) == {"InternalServerError": called, "mirror_dropped": 30 - called}
    dropped = next(p["candidate"] for p in pairs if outcomes([p])["mirror_dropped"])
    assert dropped.error is not None
    assert dropped.error.source == "gateway"
    assert (dropped.attributes or {})["mirror_dropped"] == "not_started"


@in_event_loop
async def test_retries_of_the_candidate_are_attempts_of_one_side(sink: Sink) -> None:
    async with gateway(sink, ["fail-a"], num_retries=2) as (router, upstream):
        await ask(router)
        [pair] = await sink.pairs(1)

    assert pair["candidate"].error is not None
    assert pair["candidate"].fallback is not None
    assert pair["candidate"].fallback.attempts == upstream.calls["fail-a"] == 3


@in_event_loop
async def test_retries_of_the_primary_are_attempts_of_one_side(sink: Sink) -> None:
    async with gateway(sink, ["small"], stable=["limit-a", "big"], num_retries=5) as (router, up):
        for _ in range(4):
            await ask(router)
        pairs = await sink.pairs(4)

    attempts = [one.attempts or 1 for p in pairs if (one := p["stable"].fallback) is not None]
    assert sum(attempts) - len(attempts) == up.calls["limit-a"]
    assert all(pair["stable"].error is None for pair in pairs)
    assert outcomes(pairs) == {"answered": 4}


@in_event_loop
async def test_a_fallback_of_the_primary_is_told_as_such(sink: Sink) -> None:
    options: dict[str, Any] = {"more": [("spare", "big")], "fallbacks": [{"prod": ["spare"]}]}
    async with gateway(sink, ["small"], stable=["fail-a"], **options) as (router, _):
        await ask(router)
        [pair] = await sink.pairs(1)

    fallback = pair["stable"].fallback
    assert pair["stable"].error is None
    assert fallback is not None
    assert (fallback.used, fallback.model, fallback.attempts) == (True, "spare", 2)
    assert fallback.reason == "InternalServerError"


@in_event_loop
async def test_only_what_a_mirrored_deployment_answers_is_expected_twice(sink: Sink) -> None:
    options: dict[str, Any] = {"more": [("prod", "plain")]}
    async with gateway(sink, ["small"], **options) as (router, upstream):
        for _ in range(12):
            await ask(router)
        # The mirrored calls may not have reached their upstream yet, but the primaries have.
        pairs = await sink.pairs(12 - upstream.calls["plain"])

    assert upstream.calls["small"] == len(pairs)
    assert outcomes(pairs) == {"answered": len(pairs)}


@in_event_loop
async def test_several_candidates_are_a_rollout_each(sink: Sink) -> None:
    other = Mirror(rollout_id="r2", stable="prod", candidate="other")
    options: dict[str, Any] = {"mirrors": (MIRROR, other), "more": [("other", "tiny")]}
    async with gateway(sink, ["small"], silent=["next", "other"], **options) as (router, _):
        await ask(router)
        pairs = await sink.pairs(2)

    assert {pair["candidate"].rollout_id for pair in pairs} == {"r", "r2"}


@in_event_loop
async def test_answers_of_the_cache_are_told_as_such(sink: Sink) -> None:
    async with gateway(sink, ["small"], cache_responses=True) as (router, upstream):
        litellm.cache = litellm.Cache(type="local")
        await ask(router)
        await sink.pairs(1)
        await ask(router)
        pairs = await sink.pairs(2)

    hits = [one.response.cache_hit for one in pairs[1].values() if one.response]
    assert hits == [True, True]
    assert upstream.calls == {"big": 1, "small": 1}


@in_event_loop
async def test_a_rollback_stops_the_calls_of_the_candidate(sink: Sink) -> None:
    decisions = FixedAllocations(allocation("r", mirror_share=1.0))
    async with gateway(sink, ["small"], decisions=decisions) as (router, upstream):
        await ask(router)
        await sink.pairs(1)
        decisions.set(allocation("r", mirror_share=0.0, verdict="rollback"))
        for _ in range(5):
            await ask(router)

    assert upstream.calls == {"big": 6, "small": 1}
    assert len(sink.requests) == 1


@in_event_loop
async def test_a_probe_of_an_old_decision_is_retried_as_any_call_is(sink: Sink) -> None:
    """One request in ten seconds; its retries are no further probes, and none cancels it."""
    old = allocation("r", written_at=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1))
    decisions = FixedAllocations(old)
    async with gateway(sink, ["fail-a"], decisions=decisions, num_retries=2) as (router, upstream):
        for _ in range(3):
            await ask(router)
        [pair] = await sink.pairs(1)

    assert pair["candidate"].error is not None
    assert pair["candidate"].error.type == "InternalServerError"
    assert upstream.calls["fail-a"] == 3
    assert len(sink.requests) == 1


@in_event_loop
async def test_a_rollback_between_two_attempts_ends_the_retries_and_forgets_no_failure(
    sink: Sink,
) -> None:
    decisions = FixedAllocations(allocation("r"))

    class Stopping(FixedAllocations):
        asked = 0

        def allocation(self, rollout_id: str) -> Allocation | None:
            self.asked += 1
            return allocation("r", **({} if self.asked == 1 else {"mirror_share": 0.0}))

    decisions = Stopping()
    async with gateway(sink, ["fail-a"], decisions=decisions, num_retries=2) as (router, upstream):
        await ask(router)
        [pair] = await sink.pairs(1)

    assert upstream.calls["fail-a"] == 1
    assert pair["candidate"].error is not None


def test_child_of_a_fork_begins_with_no_request_of_its_parent(sink: Sink) -> None:
    """As a worker does that gunicorn forks once the application is loaded."""
    held, forked = threading.Event(), threading.Event()
    logger = UnderstudyLogger(sink, MIRROR)

    def hold() -> None:
        with logger._lock:
            held.set()
            assert forked.wait(DEADLINE_S)

    logger._watch()
    logger._requests.begin("p", RequestFacts("p", dt.datetime.now(dt.UTC)), 0.0)
    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(DEADLINE_S)
    pid = os.fork()
    if pid == 0:
        is_free = logger._lock.acquire(timeout=5.0)
        os._exit(7 if is_free and len(logger._requests) == 0 and logger._thread is None else 1)
    forked.set()
    holding.join()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert len(logger._requests) == 1
    logger.close()


def test_nobody_waits_while_events_are_published() -> None:
    """A publisher may take its time, and calls go on meanwhile."""
    may_end, publishing = threading.Event(), threading.Event()

    class Slow:
        def publish(self, *events: Event) -> bool:
            publishing.set()
            return may_end.wait(DEADLINE_S)

    logger = UnderstudyLogger(Slow(), MIRROR)
    logger._requests.begin("p", RequestFacts("p", dt.datetime.now(dt.UTC)), 0.0)
    logger._requests.expect("p", [MIRROR])
    logger._requests.start_primary("p", "c")
    logger._requests.end_primary("c", RecordedAnswer(id="p"), 0.0)
    closing = threading.Thread(target=logger.close)
    closing.start()
    assert publishing.wait(DEADLINE_S)
    is_free = logger._lock.acquire(timeout=5.0)
    may_end.set()
    closing.join()
    assert is_free


@in_event_loop
async def test_without_any_decision_nothing_is_mirrored(sink: Sink) -> None:
    async with gateway(sink, ["small"], decisions=FixedAllocations()) as (router, upstream):
        await ask(router)

    assert upstream.calls == {"big": 1}
    assert sink.requests == []


def test_the_blocking_router_makes_pairs_too(sink: Sink) -> None:
    async def scenario() -> None:
        async with gateway(sink, ["small"]) as (router, _):
            call = functools.partial(router.completion, model="prod", messages=HELLO)
            await asyncio.to_thread(call)
            await sink.pairs(1)

    asyncio.run(scenario())


def test_a_rollback_stops_the_candidate_of_the_blocking_router_too(sink: Sink) -> None:
    async def scenario() -> None:
        async with gateway(sink, ["small"], decisions=FixedAllocations()) as (router, upstream):
            call = functools.partial(router.completion, model="prod", messages=HELLO)
            await asyncio.to_thread(call)
            await asyncio.to_thread(wait_for_mirrors)
            assert upstream.calls == {"big": 1}
        assert sink.requests == []

    asyncio.run(scenario())


def wait_for_mirrors() -> None:
    """LiteLLM makes the mirrored calls of the blocking Router in threads of their own."""
    for thread in threading.enumerate():
        if "silent" in thread.name:
            thread.join(DEADLINE_S)


@in_event_loop
async def test_a_publisher_that_raises_reaches_nobody(sink: Sink) -> None:
    class Broken(Sink):
        def publish(self, *events: Event) -> bool:
            self.requests.append(events)
            raise RuntimeError("no")

    broken = Broken()
    async with gateway(broken, ["small"]) as (router, upstream):
        for _ in range(3):
            await ask(router)
        waited_s = 0.0
        while len(broken.requests) < 3 and waited_s < DEADLINE_S:
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S

    assert upstream.calls == {"big": 3, "small": 3}


# -- Router in front of LiteLLM's model groups: docs/gateways.md#litellm ----------------------


@pytest.mark.parametrize("mode", ["canary", "ab"])
def test_the_router_splits_users_between_litellms_model_groups(mode: Mode, sink: Sink) -> None:
    async def scenario() -> None:
        decisions = FixedAllocations(
            allocation("r", mode=mode, stage=mode, candidate_share=0.5, mirror_share=0.0)
        )
        async with gateway(sink, ["small"], silent=[]) as (llm, upstream):
            router: Router[..., Any] = Router(
                "r",
                stable=functools.partial(llm.acompletion, model="prod"),
                candidate=functools.partial(llm.acompletion, model="next"),
                decisions=decisions,
                publisher=sink,
                reader=ChatCompletions(),
            )
            for n in range(24):
                answer = await router.call(RequestContext(user_id=f"u{n % 12}"), messages=HELLO)
                assert answer.choices[0].message.content == "Hello you"
            await router.aclose()

        events = [one for [one] in sink.requests]
        assert len(events) == 24
        assert {one.mode for one in events} == {mode}
        assert Counter(one.side for one in events) == {
            "stable": upstream.calls["big"],
            "candidate": upstream.calls["small"],
        }
        assert [one.side for one in events[:12]] == [one.side for one in events[12:]]
        for one in events:
            assert one.sides == (one.side,)
            assert one.served
            assert one.response is not None
            assert one.response.model == {"stable": "big", "candidate": "small"}[one.side]
            assert one.usage is not None
            assert one.usage.input_tokens == 5

    asyncio.run(scenario())


@in_event_loop
async def test_the_router_streams_over_litellms_model_groups(sink: Sink) -> None:
    decisions = FixedAllocations(allocation("r"))
    async with gateway(sink, ["small"], silent=[]) as (llm, _):
        router: Router[..., Any] = Router(
            "r",
            stable=functools.partial(llm.acompletion, model="prod"),
            candidate=functools.partial(llm.acompletion, model="next"),
            decisions=decisions,
            publisher=sink,
            reader=ChatCompletions(),
        )
        chunks = [one async for one in await router(messages=HELLO, stream=True)]
        await router.aclose()
        [pair] = await sink.pairs(1)

    assert "".join(one.choices[0].delta.content or "" for one in chunks) == "Hello you"
    for event in pair.values():
        assert event.response is not None
        assert event.response.output == "Hello you"
        assert event.timing is not None
        assert event.timing.time_to_first_token_ms is not None
