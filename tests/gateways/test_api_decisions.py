"""Decisions over the HTTP API, from the real application."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from tests.gateways.decisions import decision_bytes
from tests.streams.http.server import SECRET, Api, api
from tests.streams.rollouts.records import manifest
from understudy.gateways.allocation import Allocation
from understudy.gateways.api_decisions import ApiDecisions
from understudy.schemas.events import EARLIEST_TIME
from understudy.schemas.rollout_records import RolloutRecord, encode_rollout_record
from understudy.streams.kafka.client_config import producer_config
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.settings import KafkaSettings

pytestmark = pytest.mark.embedded

DEADLINE_S = 60.0
DEAD = "http://127.0.0.1:9"


class Installation:
    """The application, fed by a broker; runs its loop only while something is waited for."""

    def __init__(self, kafka: KafkaSettings, server: Api) -> None:
        self._kafka, self._server = kafka, server
        self.url = "http://{}:{}/".format(*server.address)
        self.write("rollouts", encode_rollout_record(RolloutRecord(manifest=manifest())))

    def write(self, topic: str, value: bytes | None) -> None:
        producer = Producer(producer_config(self._kafka))
        producer.produce(f"{self._kafka.topic_prefix}{topic}", value, "checkout")
        assert producer.flush(DEADLINE_S) == 0

    def wait_until(self, condition: Callable[[], object], reason: str) -> None:
        async def wait() -> None:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    await asyncio.sleep(0.01)

        try:
            self._server.run(wait())
        except TimeoutError:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {reason}") from None


@pytest.fixture
def installation(embedded_broker: EmbeddedBroker) -> Iterator[Installation]:
    kafka = KafkaSettings(
        bootstrap_servers=embedded_broker.bootstrap_servers,
        client={"log_level": 0, "fetch.wait.max.ms": 20},
    )
    with api(kafka=kafka, read_needs_token=True) as server:
        yield Installation(kafka, server)


@contextmanager
def following(installation: Installation, *urls: str) -> Iterator[ApiDecisions]:
    made = ApiDecisions([*urls, installation.url], token=SECRET)
    try:
        yield made
    finally:
        made._stop.set()


def verdict(decisions: ApiDecisions) -> str | None:
    found = decisions.allocation("checkout")
    return found.verdict if found else None


def test_decisions_are_followed_from_the_first_to_the_end(installation: Installation) -> None:
    with following(installation) as decisions:
        assert decisions.allocation("checkout") is None
        before_s = time.time() - 2  # Last-Modified has whole seconds
        installation.write("decisions", decision_bytes())
        installation.wait_until(lambda: verdict(decisions) == "hold", "the first decision")
        found = decisions.allocation("checkout")
        assert found is not None
        assert before_s < found.written_at.timestamp() < time.time() + 1
        installation.write("decisions", decision_bytes(verdict="rollback", candidate_share=0.0))
        installation.wait_until(lambda: verdict(decisions) == "rollback", "the rollback")
        installation.write("decisions", None)
        installation.write("rollouts", None)
        installation.wait_until(lambda: verdict(decisions) is None, "the deletion")


def test_workers_that_are_away_are_passed_over(installation: Installation) -> None:
    installation.write("decisions", decision_bytes())
    with following(installation, DEAD) as decisions:
        installation.wait_until(lambda: verdict(decisions) == "hold", "an answer of the other one")


def test_without_an_answer_nothing_is_known(caplog: pytest.LogCaptureFixture) -> None:
    decisions = ApiDecisions(DEAD, ["checkout"])
    assert decisions.allocation("checkout") is None
    decisions.close()
    with pytest.raises(ValueError, match="at least one worker"):
        ApiDecisions([])


class Answer:
    """What urllib3 returns, as far as it is looked at."""

    def __init__(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.status, self.data = status, data
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Answering:
    """Gives answers in order, and then waits for ever."""

    def __init__(self, decisions: ApiDecisions, *answers: Answer) -> None:
        self._decisions, self._answers = decisions, list(answers)
        decisions._http = self  # type: ignore[assignment]

    def request(self, *_: object, **__: object) -> Answer:
        return self._answers.pop(0)

    def ask_all(self) -> None:
        while self._answers:
            try:
                self._decisions._ask("http://x", "checkout", "tag")
            except RuntimeError:
                continue


WRITTEN = {"Last_Modified": "Wed, 04 Mar 2026 12:00:00 GMT", "ETag": '"1"'}


def made_of(*answers: Answer) -> ApiDecisions:
    decisions = ApiDecisions(DEAD)
    Answering(decisions, *answers).ask_all()
    return decisions


def known(decisions: ApiDecisions) -> object:
    return decisions._values.get("checkout")


def test_404_of_a_proxy_and_a_worker_that_does_not_know_change_nothing() -> None:
    first = Answer(200, decision_bytes(), **WRITTEN)
    problem = {"Content_Type": "application/problem+json"}
    assert known(made_of(first, Answer(404), Answer(503, **problem), Answer(304)))
    assert known(made_of(first, Answer(404, **problem))) is None


def test_answer_that_does_not_say_when_it_was_written_is_not_believed() -> None:
    assert known(made_of(Answer(200, decision_bytes(), ETag='"1"'))) is None


@pytest.mark.parametrize(
    "poison",
    [b'{"rollout_id":' + b"[" * 100_000, b"\xff", b"null"],
    ids=["deep", "no text", "null"],
)
def test_no_answer_is_asked_for_again_and_again(poison: bytes) -> None:
    distrusted = known(
        made_of(Answer(200, decision_bytes(), **WRITTEN), Answer(200, poison, **WRITTEN))
    )
    assert isinstance(distrusted, Allocation)
    assert distrusted.written_at == EARLIEST_TIME


def test_a_time_without_a_zone_is_utc() -> None:
    zoneless = {"Last_Modified": "Wed, 04 Mar 2026 12:00:00 -0000", "ETag": '"1"'}
    found = known(made_of(Answer(200, decision_bytes(), **zoneless)))
    assert isinstance(found, Allocation)
    assert found.age_s(dt.datetime(2026, 3, 4, 12, 1, tzinfo=dt.UTC)) == 60.0


def test_decision_that_cannot_be_read_is_taken_as_old() -> None:
    first, second = Answer(200, decision_bytes(), **WRITTEN), Answer(200, b"{}", **WRITTEN)
    found = made_of(first, second)._values["checkout"]
    assert found.written_at == EARLIEST_TIME
