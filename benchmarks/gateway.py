"""What the Router adds to a request in shadow mode: latency that users see, and CPU time.

Both models are awaitables that sleep for a time drawn beforehand and return 1.1 kB of text, so what
a request takes beyond its own sleep is the event loop's and the Router's doing. Calls of stable
alone and calls through a Router take turns, a few seconds each, at the same rate and with the same
draws. The Publisher writes to a broker in another process (librdkafka's mock cluster), to none at
all (`--kafka away`), or the events are dropped without being encoded (`--kafka none`). With
`--openai` both models are asked through one `AsyncOpenAI`, at a server in another process, directly
or through `RoutedOpenAI`: choose a rate at which the client's own calls leave room.

    python benchmarks/gateway.py [--rate 500] [--rounds 5] [--seconds 4] [--kafka away] [--stream]
    python benchmarks/gateway.py --openai --rate 40

CPU time is that of all threads of this process, librdkafka's too, per request; the candidate's own
call is part of it, and costs about what a call without a Router does.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import gc
import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from understudy.gateways.allocation import Allocation
from understudy.gateways.background_calls import CallLimits
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.openai_client import RoutedOpenAI
from understudy.gateways.publisher import Publisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.router import Router
from understudy.schemas.events import Event

ROLLOUT: Final = "benchmark"
ANSWER: Final = "The parcel left our warehouse yesterday. " * 28
"""1.1 kB, like the answers of `pairing.py`."""
CHUNKS: Final = 40
"""Of a streamed answer: 28 characters each."""
MEDIAN_S: Final = 0.12
"""Of an upstream: many calls are in flight at once, as with a real model."""
MS: Final = 1000.0
TARGET_P99_MS: Final = 1.0
TARGET_CPU_MS: Final = 0.3
UPSTREAM: Final = """
import asyncio, sys
from aiohttp import web

async def answer(request):
    body = await request.json()
    await asyncio.sleep(float(body["user"]))
    message = {"role": "assistant", "content": sys.argv[1]}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 12, "completion_tokens": 280, "total_tokens": 292}
    return web.json_response({"id": "1", "object": "chat.completion", "created": 1,
                              "model": body["model"], "choices": [choice], "usage": usage})

async def serve():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(serve())
"""
BROKER: Final = (
    "import sys; from understudy.streams.kafka.embedded_broker import EmbeddedBroker\n"
    "with EmbeddedBroker() as broker:\n"
    "    from understudy.streams.kafka.topic_admin import ensure_topics\n"
    "    from understudy.schemas.topics import understudy_topics\n"
    "    ensure_topics(broker.client_config, understudy_topics())\n"
    "    print(broker.bootstrap_servers, flush=True); sys.stdin.read()"
)
AWAY: Final = "127.0.0.1:1"
"""Nothing listens there."""


@dataclass
class Measured:
    """What one way of calling took."""

    added_ms: list[float] = field(default_factory=list)
    """Beyond the sleep of the call itself."""
    cpu_s: float = 0.0

    def quantile_ms(self, share: float) -> float:
        return sorted(self.added_ms)[math.ceil(share * len(self.added_ms)) - 1]

    @property
    def cpu_ms(self) -> float:
        """Of a request."""
        return MS * self.cpu_s / len(self.added_ms)


class NoPublisher:
    """Takes events and forgets them."""

    def publish(self, *events: Event) -> bool:
        return bool(events)


async def model(sleep_s: float, prompt: str) -> str:
    await asyncio.sleep(sleep_s)
    return ANSWER


async def streaming_model(sleep_s: float, prompt: str) -> AsyncIterator[str]:
    size = len(ANSWER) // CHUNKS
    for start in range(0, len(ANSWER), size):
        await asyncio.sleep(sleep_s / CHUNKS)
        yield ANSWER[start : start + size]


async def streamed(stream: AsyncIterator[str]) -> None:
    async for _ in stream:
        pass


Call = Callable[[float, str], Awaitable[Any]]


async def offer(
    call: Call,
    sleeps_s: Sequence[float],
    rate_per_s: float,
    found: Measured,
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Make calls at even times, whatever they take, and wait for them and what they started."""
    loop = asyncio.get_running_loop()

    async def one(due_s: float, sleep_s: float) -> None:
        await call(sleep_s, "Where is my order A-204817?")
        found.added_ms.append(MS * (loop.time() - due_s - sleep_s))

    cpu_s, began_s = time.process_time(), loop.time()
    calls = []
    for number, sleep_s in enumerate(sleeps_s):
        due_s = began_s + number / rate_per_s
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        calls.append(asyncio.ensure_future(one(max(due_s, loop.time()), sleep_s)))
    await asyncio.gather(*calls)
    await drain()
    found.cpu_s += time.process_time() - cpu_s


@contextmanager
def publisher(kafka: str) -> Iterator[Publisher | NoPublisher]:
    """What the Router publishes to."""
    if kafka == "none":
        yield NoPublisher()
        return
    if kafka == "away":
        yield Publisher({"bootstrap.servers": AWAY, "log_level": 0}, exit_timeout_s=0.1)
        return
    with subprocess.Popen(
        [sys.executable, "-c", BROKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as broker:
        assert broker.stdout is not None
        own = Publisher({"bootstrap.servers": broker.stdout.readline().strip()})
        yield own
        own.close()
        broker.communicate()


def shadow() -> FixedAllocations:
    """All requests are mirrored."""
    at = dt.datetime.now(dt.UTC)
    return FixedAllocations(
        Allocation(
            rollout_id=ROLLOUT, mode="shadow", candidate_share=0.0, mirror_share=1.0,
            verdict="hold", stage="shadow", decided_at=at, written_at=at,
        )
    )  # fmt: skip


def router(publishes_to: Publisher | NoPublisher, is_streaming: bool) -> Router[..., Any]:
    client = streaming_model if is_streaming else model
    return Router(
        ROLLOUT,
        stable=client,
        candidate=client,
        decisions=shadow(),
        publisher=publishes_to,
        limits=CallLimits(max_in_flight=2_000),
        max_decision_age_s=math.inf,
    )


async def in_turns(
    arguments: argparse.Namespace, found: dict[str, Measured], direct: Call, through: Call,
    drain: Callable[[], Awaitable[None]],
) -> None:  # fmt: skip
    """Offer both ways the same requests, one after the other; the first round warms up."""
    for number in range(arguments.rounds + 1):
        draws = Random(number)
        requests = round(arguments.rate * arguments.seconds)
        sleeps_s = [MEDIAN_S * draws.lognormvariate(0.0, 0.5) for _ in range(requests)]
        ways = [("direct", direct), ("router", through)]
        for name, call in ways if number % 2 else reversed(ways):
            gc.collect()
            warm_up = Measured()
            takes = found[name] if number else warm_up
            await offer(call, sleeps_s, arguments.rate, takes, drain)


async def measure(arguments: argparse.Namespace) -> dict[str, Measured]:
    direct_model: Any = streaming_model if arguments.stream else model
    found = {"direct": Measured(), "router": Measured()}
    with publisher(arguments.kafka) as publishes_to:
        routed = router(publishes_to, arguments.stream)
        context = RequestContext(conversation_id="c1", turn=1, language="en", workflow="chat")

        async def direct(sleep_s: float, prompt: str) -> None:
            answer = direct_model(sleep_s, prompt)
            await (streamed(answer) if arguments.stream else answer)

        async def through(sleep_s: float, prompt: str) -> None:
            answer = await routed.call(context, sleep_s, prompt)
            if arguments.stream:
                await streamed(answer)

        await in_turns(arguments, found, direct, through, lambda: routed.aclose(60.0))
    return found


@contextmanager
def upstream() -> Iterator[str]:
    """The address of a server with OpenAI's chat completions, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", UPSTREAM, ANSWER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        server.communicate()


async def measure_openai(arguments: argparse.Namespace) -> dict[str, Measured]:
    """Calls of one AsyncOpenAI and through RoutedOpenAI around it, in turns."""
    openai = import_module("openai")
    found = {"direct": Measured(), "router": Measured()}
    with publisher(arguments.kafka) as publishes_to, upstream() as url:
        client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
        routed = RoutedOpenAI(
            ROLLOUT, stable=client, stable_model="heron-4", candidate_model="heron-5",
            decisions=shadow(), publisher=publishes_to, max_decision_age_s=math.inf,
        )  # fmt: skip
        context = RequestContext(conversation_id="c1", turn=1, language="en", workflow="chat")

        async def direct(sleep_s: float, prompt: str) -> None:
            messages = [{"role": "user", "content": prompt}]
            await client.chat.completions.create(
                model="heron-4", messages=messages, user=str(sleep_s)
            )

        async def through(sleep_s: float, prompt: str) -> None:
            messages = [{"role": "user", "content": prompt}]
            await routed.create(context=context, messages=messages, user=str(sleep_s))

        await in_turns(arguments, found, direct, through, lambda: routed.router.aclose(60.0))
        await client.close()
    return found


def report(found: dict[str, Measured], arguments: argparse.Namespace) -> dict[str, Any]:
    direct, through = found["direct"], found["router"]
    quantiles = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    return {
        "rate_per_s": arguments.rate,
        "requests": len(through.added_ms),
        "kafka": arguments.kafka,
        "stream": arguments.stream,
        "client": "AsyncOpenAI" if arguments.openai else "awaitables",
        "direct_ms": {name: direct.quantile_ms(q) for name, q in quantiles.items()},
        "router_ms": {name: through.quantile_ms(q) for name, q in quantiles.items()},
        "added_p99_ms": through.quantile_ms(0.99) - direct.quantile_ms(0.99),
        "added_cpu_ms": through.cpu_ms - direct.cpu_ms,
        "direct_cpu_ms": direct.cpu_ms,
    }


def show(result: dict[str, Any]) -> None:
    table = Table("beyond the model's own time", "direct", "router", "difference", "target")
    for name, direct_ms in result["direct_ms"].items():
        through_ms = result["router_ms"][name]
        target = f"{TARGET_P99_MS:g} ms" if name == "p99" else ""
        table.add_row(
            name, f"{direct_ms:.2f} ms", f"{through_ms:.2f} ms", f"{through_ms - direct_ms:.2f} ms",
            target,
        )  # fmt: skip
    cpu_ms = result["direct_cpu_ms"]
    table.add_row(
        "CPU a request", f"{cpu_ms:.3f} ms", f"{cpu_ms + result['added_cpu_ms']:.3f} ms",
        f"{result['added_cpu_ms']:.3f} ms",
    )  # fmt: skip
    own_ms = result["added_cpu_ms"] - cpu_ms
    table.add_row(
        "beyond the candidate's call", "", "", f"{own_ms:.3f} ms", f"{TARGET_CPU_MS:g} ms"
    )
    console = Console()
    console.print(
        f"{result['requests']:,} requests each way at {result['rate_per_s']:g}/s, "
        f"{result['client']}, Kafka: {result['kafka']}, "
        f"{'streamed' if result['stream'] else 'whole'} answers, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each way in a round")
    parser.add_argument("--kafka", choices=["embedded", "away", "none"], default="embedded")
    parser.add_argument("--openai", action="store_true", help="through AsyncOpenAI, over HTTP")
    parser.add_argument("--stream", action="store_true", help="answers come in 40 chunks")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.openai and arguments.stream:
        parser.error("--openai has whole answers")
    way = measure_openai if arguments.openai else measure
    result = report(asyncio.run(way(arguments)), arguments)
    print(json.dumps(result)) if arguments.json else show(result)


if __name__ == "__main__":
    main()
