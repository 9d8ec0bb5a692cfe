"""The callback in LiteLLM's real proxy: configured by a few lines, its events in Kafka."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import urllib3
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.gateways.litellm_upstream import Upstream, running_upstream
from tests.waiting import DEADLINE_S, wait_until
from understudy.schemas.events import Event, decode_event
from understudy.schemas.topics import understudy_topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics

_NEEDED: Final = ("litellm", "fastapi", "uvicorn", "apscheduler", "fastapi_sso", "redis")
_MISSING: Final = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.embedded,
    pytest.mark.slow,
    pytest.mark.skipif(bool(_MISSING), reason=f"LiteLLM's proxy lacks {', '.join(_MISSING)}"),
]

KEY: Final = "sk-" + "0123456789abcdef" * 4
PAGE: Final = Path(__file__).parents[2] / "docs" / "gateways.md"


def shown(language: str, word: str) -> str:
    """The example of the documentation that has a word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if word in block)


@contextmanager
def upstream_in_a_thread() -> Iterator[Upstream]:
    """A local upstream in an event loop of its own."""
    started = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        async with running_upstream() as upstream:
            state.update(upstream=upstream, loop=asyncio.get_running_loop(), end=asyncio.Event())
            started.set()
            await state["end"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(DEADLINE_S)
    try:
        yield state["upstream"]
    finally:
        state["loop"].call_soon_threadsafe(state["end"].set)
        thread.join()


@contextmanager
def running_proxy(folder: Path, upstream: Upstream, bootstrap_servers: str) -> Iterator[str]:
    """LiteLLM's proxy, configured as the documentation shows; yields its URL."""
    config = yaml.safe_load(shown("yaml", "litellm_settings"))
    for model in config["model_list"]:
        model["litellm_params"] |= {"api_base": upstream.base_url, "api_key": "none"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    callback = shown("python", "UnderstudyLogger(").replace("kafka:9092", bootstrap_servers)
    (folder / "mirrored.py").write_text(callback)
    port = free_port()
    log = folder / "proxy.log"
    with log.open("wb") as output:
        proxy = subprocess.Popen(
            [sys.executable, "-m", "litellm.proxy.proxy_cli", "--config", "config.yaml",
             "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(url, proxy), "the proxy answers", details=log.read_text)
        yield url
        proxy.send_signal(signal.SIGTERM)
        assert proxy.wait(DEADLINE_S) in (0, -signal.SIGTERM), log.read_text()
    finally:
        proxy.kill()
        proxy.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def answers(url: str, proxy: subprocess.Popen[bytes]) -> bool:
    assert proxy.poll() is None, "the proxy ended"
    try:
        return urllib3.request("GET", f"{url}/health/liveliness", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def ask(url: str, **parameters: Any) -> None:
    messages = [{"role": "user", "content": "hi"}]
    response = urllib3.request(
        "POST",
        f"{url}/v1/chat/completions",
        json={"model": "summaries", "messages": messages, **parameters},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=DEADLINE_S,
    )
    assert response.status == 200, response.data
    assert b"you" in response.data


def events_of(consumer: Consumer, count: int) -> list[Event]:
    found: list[Event] = []

    def has_all() -> bool:
        found.extend(
            decode_event(one.value())
            for one in consumer.consume(count, timeout=0.1)
            if one.error() is None
        )
        return len(found) >= count

    wait_until(has_all, f"{count} events", details=lambda: str(found))
    return found


def test_requests_of_the_proxy_are_pairs_in_kafka(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    servers = embedded_broker.bootstrap_servers
    ensure_topics(embedded_broker.client_config, understudy_topics())
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test"})
    topic = "understudy.events"
    partitions = consumer.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions
    consumer.assign([TopicPartition(topic, one, OFFSET_BEGINNING) for one in partitions])
    with upstream_in_a_thread() as upstream, running_proxy(tmp_path, upstream, servers) as url:
        ask(url)
        ask(url, stream=True)
        for _ in range(2):
            ask(url, metadata={"session_id": "s", "workflow": "letters", "language": "de"})
        events = events_of(consumer, 8)
    consumer.close()

    pairs: dict[str, dict[str, Event]] = {}
    for event in events:
        pairs.setdefault(event.pair_id, {})[event.side] = event
    assert [set(pair) for pair in pairs.values()] == [{"stable", "candidate"}] * 4
    for pair in pairs.values():
        answered = [one.response.output for one in pair.values() if one.response is not None]
        assert answered == ["Hello you", "Hello you"]
        assert pair["stable"].request_time == pair["candidate"].request_time
    streamed = [one for one in events if one.response is not None and one.response.stream]
    assert {one.side for one in streamed} >= {"stable"}
    told = [one for one in events if one.conversation_id == "s"]
    assert sorted(one.turn or 0 for one in told) == [1, 1, 2, 2]
    assert {(one.workflow, one.language) for one in told} == {("letters", "de")}
