"""What waits for its redaction: in order, bounded, in one thread."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence

import msgspec

from understudy.gateways.redaction_queue import RedactionQueue
from understudy.schemas.events import Event, Request, Response, ToolCall

EVENT = Event(
    schema_version=1, rollout_id="r", pair_id="p", mode="shadow", side="stable",
    sides=("stable", "candidate"), request_time=dt.datetime(2026, 3, 4, tzinfo=dt.UTC),
)  # fmt: skip


def event(pair_id: str, **fields: object) -> Event:
    return msgspec.structs.replace(EVENT, pair_id=pair_id, **fields)


def test_requests_are_handed_on_in_their_order_by_one_thread() -> None:
    seen: list[str] = []
    threads: set[str] = set()

    def publish(events: Sequence[Event]) -> None:
        seen.extend(one.pair_id for one in events)
        threads.add(threading.current_thread().name)

    queue = RedactionQueue(publish, 10_000_000)
    assert queue.flush(0.0)
    assert all(queue.put([event(str(n)), event(str(n))]) for n in range(100))
    assert queue.close(60.0)
    assert seen == [str(n) for n in range(100) for _ in range(2)]
    assert threads == {"understudy-redaction"}
    assert not queue.put([EVENT])


def test_every_text_counts_towards_the_bound() -> None:
    held = threading.Event()
    queue = RedactionQueue(lambda events: held.wait(60.0), 100_000)
    long = "x" * 60_000
    call = ToolCall("f", msgspec.Raw(msgspec.json.encode({"q": long})))
    wholes = [
        event("prompt", request=Request(prompt=long)),
        event("output", response=Response(output=long)),
        event("reasoning", response=Response(reasoning=long)),
        event("arguments", response=Response(tool_calls=(call,))),
    ]
    for whole in wholes:
        other = RedactionQueue(lambda events: held.wait(60.0), 100_000)
        assert other.put([whole])
        assert not other.put([whole])
    assert queue.put([EVENT])
    assert not queue.flush(0.0)
    held.set()
    assert queue.flush(60.0)
