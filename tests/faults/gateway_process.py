"""A gateway to kill: mirrors requests to two equal models until it is stopped.

    python -m tests.faults.gateway_process SERVERS PREFIX JOURNAL MIRRORED [RATE_PER_S]

Each call of the candidate is noted in the file MIRRORED before it begins, so that nothing which was
mirrored can be forgotten. SIGTERM ends it as a server's end does.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import signal
import sys
import uuid

from understudy.gateways.allocation import Allocation
from understudy.gateways.decision_source import FixedAllocations
from understudy.gateways.publisher import Publisher
from understudy.gateways.request_context import RequestContext
from understudy.gateways.router import Router

ROLLOUT = "killed-gateways"
DEFAULT_RATE_PER_S = 100.0
LONGEST_CALL_S = 0.2


async def model(_: str) -> str:
    """Both models: seldom fast, seldom slow."""
    await asyncio.sleep(random.uniform(0.0, LONGEST_CALL_S))
    return "The parcel left our warehouse yesterday."


async def serve(router: Router[[str], str], rate_per_s: float) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    requests: set[asyncio.Task[str]] = set()
    os.write(1, b"serving\n")
    while not stop.is_set():
        pair_id = uuid.uuid4().hex
        request = asyncio.create_task(router.call(RequestContext(pair_id=pair_id), pair_id))
        requests.add(request)
        request.add_done_callback(requests.discard)
        await asyncio.sleep(random.expovariate(rate_per_s))
    await asyncio.gather(*requests)
    await router.aclose()


def run(servers: str, prefix: str, journal: str, mirrored: str, rate_per_s: str = "") -> None:
    log = os.open(mirrored, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def candidate(pair_id: str) -> str:
        os.write(log, f"{pair_id}\n".encode())
        return await model(pair_id)

    now = dt.datetime.now(dt.UTC)
    shadow = Allocation(
        rollout_id=ROLLOUT, mode="shadow", candidate_share=0.0, mirror_share=1.0, verdict="hold",
        stage="shadow", decided_at=now, written_at=now,
    )  # fmt: skip
    router: Router[[str], str] = Router(
        ROLLOUT,
        stable=model,
        candidate=candidate,
        decisions=FixedAllocations(shadow),
        publisher=Publisher({"bootstrap.servers": servers}, topic_prefix=prefix, journal=journal),
    )
    asyncio.run(serve(router, float(rate_per_s or DEFAULT_RATE_PER_S)))


if __name__ == "__main__":
    run(*sys.argv[1:])
