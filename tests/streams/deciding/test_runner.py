"""The Faust app beside other things in one process, on the embedded broker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests import waiting
from understudy.schemas.manifests import read_manifest
from understudy.streams.deciding import faust_app, runner
from understudy.streams.deciding.faust_app import DecidingApp, make_app
from understudy.streams.deciding.runner import run_deciding
from understudy.streams.deciding.state_store import RolloutStateStore
from understudy.streams.kafka.client_config import changelog, topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.rollouts.registry import RolloutRegistry
from understudy.streams.settings import KafkaSettings, Settings
from understudy.streams.stop_deadline import end_process

pytestmark = pytest.mark.embedded

MANIFEST = read_manifest("rollout_id: helpdesk\nmodels: {stable: a, candidate: b}\n")
TIMEOUT_S = 30.0


class Deciding:
    """A deciding thread, and what it gave up for or ended with."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self.settings = Settings(
            kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers, client={"log_level": 0})
        )
        ensure_topics(broker.client_config, topics(self.settings.kafka))
        self.store = RolloutRegistry(self.settings.kafka)
        self.stop = threading.Event()
        self.given_up: list[BaseException] = []
        self.raised: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            run_deciding(self.settings, self.stop, give_up=self.given_up.append)
        except BaseException as error:
            self.raised.append(error)

    def __enter__(self) -> Deciding:
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop.set()
        self.thread.join(TIMEOUT_S)


def wait_until(done: Callable[[], object]) -> None:
    waiting.wait_until(done, "deciding has got so far")


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_a_policy_is_answered_on_the_embedded_broker(embedded_broker: EmbeddedBroker) -> None:
    with Deciding(embedded_broker) as deciding:
        deciding.store.apply(MANIFEST)
        wait_until(deciding.store.decisions)
        (decision,) = deciding.store.decisions().values()
    assert decision.verdict == "hold"
    assert not deciding.thread.is_alive()
    assert (deciding.raised, deciding.given_up) == ([], [])


def test_giving_up_is_left_to_the_caller(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(RolloutStateStore, "apply_record", out_of_memory)
    with Deciding(embedded_broker) as deciding:
        deciding.store.apply(MANIFEST)
        wait_until(lambda: deciding.given_up)
    assert isinstance(deciding.given_up[0], MemoryError)
    assert not deciding.thread.is_alive()


def test_a_start_that_fails_leaves_no_thread(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise TimeoutError("no leader")

    before = names()
    monkeypatch.setattr(faust_app, "ensure_topics", refuse)
    with Deciding(embedded_broker) as deciding:
        wait_until(lambda: deciding.raised)
    assert str(deciding.raised[0]) == "no leader"
    waiting.wait_until(lambda: names() <= before, "its threads have ended")


def test_a_crash_in_another_thread_ends_it(
    embedded_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust notes a failure of its consumer in the consumer's thread, which wakes no loop."""
    apps: list[DecidingApp] = []

    def make_and_keep(*args: Any) -> DecidingApp:
        apps.append(make_app(*args))
        return apps[0]

    monkeypatch.setattr(runner, "make_app", make_and_keep)
    with Deciding(embedded_broker) as deciding:
        wait_until(lambda: apps and apps[0].progress.is_recovered)
        apps[0]._crash(OSError("no sockets left"))
        wait_until(lambda: deciding.raised)
    assert str(deciding.raised[0]) == "no sockets left"
    assert not deciding.thread.is_alive()


def test_a_stop_while_it_starts_is_heeded(embedded_broker: EmbeddedBroker) -> None:
    with Deciding(embedded_broker) as deciding:
        time.sleep(1.0)  # somewhere between the first thread and the first assignment
    assert not deciding.thread.is_alive()
    assert deciding.raised == []


def test_a_stop_that_hangs_is_given_up() -> None:
    """The consumer's thread would keep the process alive, and nobody would restart it."""
    given_up: list[BaseException] = []

    async def hang() -> None:
        await asyncio.Event().wait()

    async def save(timeout_s: float) -> None:
        """Nothing to save."""

    async def stop() -> None:
        app: Any = SimpleNamespace(stop=hang, processor=SimpleNamespace(stop=save))
        starting = asyncio.ensure_future(hang())
        with pytest.raises(TimeoutError):
            await runner._stop(app, starting, given_up.append, timeout_s=0.05)

    asyncio.run(stop())
    assert [type(error) for error in given_up] == [TimeoutError]


def test_the_table_is_kept_under_the_prefix_of_the_topics() -> None:
    """Rights are granted by prefix, and two installations on one cluster differ by it alone."""
    settings = Settings(kafka=KafkaSettings(topic_prefix="acme.understudy."))
    (table,) = make_app(settings, end_process).tables.values()
    assert table.changelog_topic_name == changelog(settings).name
    assert changelog(settings).name == "acme.understudy.understudy-deciding-rollouts-changelog"
