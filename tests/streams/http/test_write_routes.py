"""Writing, with a token, on a mock cluster with a stand-in for the deciding worker."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn

import msgspec
import pytest
import structlog

from tests.streams.http.server import SECRET, Api, api
from tests.streams.rollouts.processor import DecisionProcessor
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka, killed, manifest, policy
from understudy.schemas import openapi
from understudy.schemas.decisions import encode_decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.http import request_body
from understudy.streams.http.waiting_places import TooManyWaiting, WaitingPlaces
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.embedded

ONE = "/api/v1/rollouts/checkout"
YAML = {"Content_Type": "application/yaml"}
JSON = {"Content_Type": "application/json"}
WRITES = [one for one in openapi.OPERATIONS if one.needs_token]


@pytest.fixture
def kafka(embedded_broker: EmbeddedBroker) -> Kafka:
    return Kafka(embedded_broker)


@pytest.fixture
def server(kafka: Kafka) -> Iterator[Api]:
    with api(kafka=kafka.settings) as made:
        yield made


@pytest.fixture
def alone() -> Iterator[Api]:
    """Without Kafka."""
    with api() as made:
        made.show(RolloutRecord(manifest=manifest()))
        yield made


def see(server: Api, done: Callable[[], bool]) -> None:
    """Wait until the view has read something."""
    assert server.run(server.view.wait_until(done, 20.0))


def sequence(server: Api) -> int:
    """Of the newest decision."""
    found = server.view.newest_decision("checkout")
    return found.decision.sequence if found else 0


def applied(server: Api) -> None:
    assert server.write("PUT", ONE, policy().encode(), **YAML).status == 201


# Applying


def test_a_policy_is_created_changed_and_left_alone(server: Api, kafka: Kafka) -> None:
    first = server.write("PUT", ONE, policy().encode(), **YAML)
    assert (first.status, first.json["effect"]) == (201, "created")
    assert first.headers["location"] == ONE
    assert server.get(ONE).json["manifest"] == msgspec.to_builtins(manifest())
    assert kafka.store.rollouts()["checkout"].manifest == manifest()
    again = server.write("PUT", ONE, policy().encode(), **YAML)
    assert (again.status, again.json["effect"]) == (200, "unchanged")
    reworded = policy().replace("1pp", "1.0pp").encode()
    assert server.write("PUT", ONE, reworded, **YAML).json["effect"] == "reworded"
    changed = policy().replace("1pp", "0.5pp").encode()
    found = server.write("PUT", ONE, changed, **YAML).json
    assert found["effect"] == "changed"
    assert "+guardrails.error_rate.value: 0.005" in found["changes"]
    assert "evidence starts again" in found["note"]
    assert len(kafka.messages(ROLLOUTS)) == 3


def test_a_dry_run_writes_nothing(server: Api, kafka: Kafka) -> None:
    answer = server.write("PUT", f"{ONE}?dry_run=true", policy().encode(), **YAML)
    assert answer.status == 200
    assert (answer.json["effect"], answer.json["is_dry_run"]) == ("created", True)
    assert kafka.messages(ROLLOUTS) == []


@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=1", "dry_run=true&dry_run=false"])
def test_a_misspelt_dry_run_is_no_run(alone: Api, query: str) -> None:
    answer = alone.write("PUT", f"{ONE}?{query}", policy().encode(), **YAML)
    assert answer.status == 400
    assert "dry_run" in answer.detail


def test_json_is_a_policy_too(server: Api, kafka: Kafka) -> None:
    body = msgspec.json.format(msgspec.json.encode(manifest()), indent=1).replace(b" ", b"\t")
    assert server.write("PUT", ONE, body, **JSON).status == 201
    assert kafka.store.rollouts()["checkout"].manifest == manifest()
    assert server.write("PUT", ONE, policy().encode(), **JSON).status == 422


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (policy(more="mod: shadow"), 6, 1, "policy:6:1: unknown key mod"),
        (policy().replace("error_rate", "eror_rate"), 5, 23, "did you mean error_rate?"),
        ("rollout_id: [", 1, 14, "policy:1:14: "),
        ("a: &a [x]\nb: *a", 2, 4, "aliases are not used"),
        ("a: " + "[" * 5_000, 1, 20, "nested too deeply"),
        (policy() + "---" + policy(), 7, 1, "but found another document"),
        ("", 1, 1, "the policy is empty"),
        ('"\\ud800": 1', 1, 1, r"unknown key \ud800"),
    ],
)
def test_a_mistake_is_pointed_at(
    alone: Api, text: str, line: int | None, column: int | None, words: str
) -> None:
    answer = alone.write("PUT", ONE, text.encode(), **YAML)
    assert answer.status == 422
    assert words in answer.detail
    assert (answer.json.get("line"), answer.json.get("column")) == (line, column)


def test_a_policy_for_another_rollout_is_none(alone: Api) -> None:
    answer = alone.write("PUT", ONE, policy("search").encode(), **YAML)
    assert (answer.status, answer.detail) == (
        409, "the policy is for the rollout search, the URL for checkout",
    )  # fmt: skip


def test_what_curl_sends_unless_told_otherwise_is_told_what_to_send(alone: Api) -> None:
    answer = alone.write("PUT", ONE, b"x", Content_Type="application/x-www-form-urlencoded")
    assert answer.status == 415
    assert answer.headers["accept"] == "application/yaml, application/json"
    assert "--data-binary @policy.yaml" in answer.detail


# Commands


def test_a_kill_is_answered_when_it_was_applied(server: Api, kafka: Kafka) -> None:
    applied(server)
    with DecisionProcessor(kafka).at_work():
        answer = server.write("POST", f"{ONE}/kill", {"reason": "tone"})
    assert answer.status == 200
    found = answer.json
    assert found["is_applied"] is True
    assert (found["command"]["number"], found["command"]["by"]) == (1, "anna")
    assert found["status"]["verdict"] == "rollback"
    assert found["status"]["reasons"] == ["killed by anna: tone"]
    assert server.get(f"{ONE}/decision").json["is_latched"] is True


def test_a_rollout_goes_back_and_on(server: Api, kafka: Kafka) -> None:
    applied(server)
    with DecisionProcessor(kafka).at_work():
        assert server.write("POST", f"{ONE}/kill", {"reason": "tone"}).status == 200
        resumed = server.write("POST", f"{ONE}/resume")
        assert (resumed.status, resumed.json["status"]["verdict"]) == (200, "hold")
        for stage in ("5%", "25%"):
            promoted = server.write("POST", f"{ONE}/promote", {})
            assert promoted.status == 200, promoted.body
            assert promoted.json["status"]["stage"] == stage
        answer = server.write("POST", f"{ONE}/promote")
    assert (answer.status, answer.detail) == (409, "checkout is at its last stage, 25%")


def test_a_command_that_no_decision_confirms_is_accepted(server: Api, kafka: Kafka) -> None:
    applied(server)
    answer = server.write("POST", f"{ONE}/kill", {"reason": "tone"}, Prefer="wait=1")
    assert answer.status == 202
    assert answer.json["is_applied"] is False
    assert server.write("POST", f"{ONE}/kill", {"reason": "again"}, Prefer="wait=0").status == 202
    assert [c.reason for c in kafka.store.rollouts()["checkout"].commands] == ["tone", "again"]


def test_a_kill_needs_no_view(kafka: Kafka) -> None:
    """The command is stored, though this worker cannot say what became of it."""
    kafka.store.apply(manifest())
    with api(kafka=kafka.settings, is_complete=False) as server:
        server.view.mark_complete = lambda: None  # type: ignore[method-assign]
        answer = server.write("POST", f"{ONE}/kill", {"reason": "tone"}, Prefer="wait=1")
        assert server.get(ONE).status == 503
    assert (answer.status, answer.json["status"]) == (202, None)
    assert kafka.store.rollouts()["checkout"].commands[0].kind == "kill"


def too_many(places: WaitingPlaces, client: str) -> NoReturn:
    raise TooManyWaiting(f"{places.limit} wait, not {client}")


def test_a_command_that_was_written_is_no_failure(
    server: Api, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever keeps this worker from seeing what became of it."""
    applied(server)
    monkeypatch.setattr(WaitingPlaces, "take", too_many)
    assert server.write("POST", f"{ONE}/kill", {"reason": "tone"}).status == 202
    monkeypatch.undo()
    kafka.write(DECISIONS, ("checkout", b'{"schema_version": 9}'))
    answer = server.write("POST", f"{ONE}/kill", {"reason": "tone"}, Prefer="wait=5")
    assert (answer.status, answer.json["is_applied"]) == (202, False)


def test_who_looked_at_another_decision_promotes_nothing(server: Api, kafka: Kafka) -> None:
    applied(server)
    assert server.write("POST", f"{ONE}/promote", If_Match='"any"').status == 412
    with DecisionProcessor(kafka).at_work():
        see(server, lambda: server.view.newest_decision("checkout") is not None)
        tag = server.get(f"{ONE}/decision").headers["etag"]
        assert server.write("POST", f"{ONE}/promote", If_Match=tag).status == 200
        answer = server.write("POST", f"{ONE}/promote", If_Match=tag)
    assert (answer.status, answer.detail) == (
        412,
        "there is a newer decision; read it and try again",
    )
    assert kafka.store.rollouts()["checkout"].last_number == 1


def test_two_promotions_in_view_of_one_decision_move_one_stage(server: Api, kafka: Kafka) -> None:
    """Also when both are stored before a worker has decided about the first."""
    applied(server)
    processor = DecisionProcessor(kafka)
    processor.obey()
    see(server, lambda: server.view.newest_decision("checkout") is not None)
    tag = server.get(f"{ONE}/decision").headers["etag"]
    now = {"If_Match": tag, "Prefer": "wait=0"}
    assert [server.write("POST", f"{ONE}/promote", **now).status for _ in range(2)] == [202, 202]
    assert [one.expects for one in kafka.store.rollouts()["checkout"].commands] == [1, 1]
    processor.obey()
    see(server, lambda: sequence(server) == 3)
    assert server.get(f"{ONE}/status").json["stage"] == "5%"


def test_what_a_worker_rejects_is_said(server: Api, kafka: Kafka) -> None:
    applied(server)
    with DecisionProcessor(kafka).at_work():
        see(server, lambda: server.view.newest_decision("checkout") is not None)
        tag = server.get(f"{ONE}/decision").headers["etag"]
        kafka.store.add_command("checkout", "kill")  # this worker's view may lag behind
        answer = server.write("POST", f"{ONE}/resume", If_Match=tag)
    assert answer.status == 412
    assert answer.detail.startswith(
        ("command 2 was rejected: it was issued in view of", "there is")
    )


def test_a_rolled_back_rollout_is_resumed_before_it_is_promoted(server: Api, kafka: Kafka) -> None:
    applied(server)
    with DecisionProcessor(kafka).at_work():
        assert server.write("POST", f"{ONE}/kill", {"reason": "tone"}).status == 200
        answer = server.write("POST", f"{ONE}/promote")
        assert (answer.status, answer.detail) == (409, "checkout is rolled back; resume it first")
        assert server.write("POST", f"{ONE}/resume").status == 200
        assert server.get(f"{ONE}/status").json["stage"] == "shadow"


def test_a_policy_is_changed_and_deleted_as_it_was_seen(server: Api, kafka: Kafka) -> None:
    new, newer = (policy().replace("1pp", f"{n}pp").encode() for n in (2, 3))
    applied(server)
    see(server, lambda: server.view.find("checkout") is not None)
    tag = server.get(ONE).headers["etag"]
    kafka.write(DECISIONS, ("checkout", encode_decision(killed())))
    see(server, lambda: server.view.newest_decision("checkout") is not None)
    assert server.get(ONE).headers["etag"] != tag, "the body has changed, the policy has not"
    assert server.write("PUT", ONE, new, If_Match=tag, **YAML).status == 200
    for answer in (
        server.write("PUT", ONE, newer, If_Match=tag, **YAML),
        server.write("PUT", f"{ONE}?dry_run=true", newer, If_Match=tag, **YAML),
        server.write("PUT", ONE, newer, If_None_Match="*", **YAML),
        server.write("DELETE", ONE, If_Match=tag),
    ):
        assert (answer.status, answer.detail) == (
            412, "checkout has changed meanwhile; read it and try again",
        )  # fmt: skip
    assert server.write("DELETE", ONE, If_Match=server.get(ONE).headers["etag"]).status == 204
    assert server.write("PUT", ONE, new, If_Match="*", **YAML).status == 412
    assert server.write("PUT", ONE, new, If_None_Match="*", **YAML).status == 201


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("kill", b"", 422, "missing required field `reason`"),
        ("kill", {"reason": ""}, 422, "length >= 1"),
        ("kill", {"reason": " \n"}, 422, "reason must say why"),
        ("kill", {"reason": "x" * 1025}, 422, "length <= 1024"),
        ("kill", {"reason": 7}, 422, "Expected `str`, got `int` - at `$.reason`"),
        ("kill", {"reson": "tone"}, 422, "unknown field `reson`"),
        ("kill", b"reason=tone", 400, "the body is not JSON"),
        ("kill", b'{"reason": "\xff"}', 400, "the body is not JSON"),
        ("kill", b"[" * 50_000, 422, "Expected `object`"),
        ("kill", [], 422, "Expected `object`"),
        ("resume", {"reason": "x" * 1025}, 422, "length <= 1024"),
        ("kill?reason=tone", b"", 400, "unknown parameter reason"),
    ],
)
def test_what_cannot_be_said(alone: Api, path: str, body: Any, status: int, words: str) -> None:
    answer = alone.write("POST", f"{ONE}/{path}", body)
    assert answer.status == status
    assert words in answer.detail


@pytest.mark.parametrize("kind", ["kill", "resume", "promote"])
def test_an_unknown_rollout_has_a_likely_name(server: Api, kind: str) -> None:
    applied(server)
    answer = server.write("POST", f"/api/v1/rollouts/chekout/{kind}", {"reason": "tone"})
    assert answer.status == 404
    assert answer.detail == "there is no rollout chekout; did you mean checkout?"


# Deleting


def test_a_rollout_is_deleted_with_its_decision(server: Api, kafka: Kafka) -> None:
    applied(server)
    with DecisionProcessor(kafka).at_work():
        see(server, lambda: server.view.newest_decision("checkout") is not None)
        assert server.write("DELETE", ONE).status == 204
        assert server.get(ONE).status == 404
        see(server, lambda: server.view.newest_decision("checkout") is None)
    assert server.get(f"{ONE}/decision").status == 404
    assert server.write("DELETE", ONE).status == 404
    assert kafka.store.rollouts() == {}


def test_a_record_of_a_newer_release_is_not_written_over(server: Api, kafka: Kafka) -> None:
    kafka.write(ROLLOUTS, ("checkout", b'{"schema_version": 9}'))
    for answer in (
        server.write("PUT", ONE, policy().encode(), **YAML),
        server.write("POST", f"{ONE}/kill", {"reason": "tone"}),
    ):
        assert answer.status == 409
        assert "cannot be read" in answer.detail
    assert server.write("DELETE", ONE).status == 204


def test_the_audit_says_who_and_from_where_and_outlives_the_rollout(
    server: Api, kafka: Kafka
) -> None:
    applied(server)
    kill = {"reason": "tone"}
    assert server.write("POST", f"{ONE}/kill", kill, Prefer="wait=0").status == 202
    assert server.write("DELETE", ONE, X_Forwarded_For="192.0.2.7").status == 204
    deleted, killed, created = server.write("GET", "/api/v1/audit?rollout_id=checkout").json[
        "records"
    ]
    assert (created["action"], created["effect"]) == ("apply", "created")
    assert (killed["action"], killed["reason"], killed["command_number"]) == ("kill", "tone", 1)
    assert (deleted["action"], deleted["forwarded_for"]) == ("delete", "192.0.2.7")
    for one in (deleted, killed, created):
        assert (one["by"], one["via"], one["address"]) == ("anna", "http", "127.0.0.1")
    assert len(server.write("GET", "/api/v1/audit?limit=2").json["records"]) == 2
    assert server.write("GET", "/api/v1/audit?rollout_id=other").json == {"records": []}


# Who may


@pytest.mark.parametrize("operation", WRITES, ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="understudy"'),
        ({"Authorization": "Bearer wrong"}, 'Bearer realm="understudy", error="invalid_token"'),
        ({"Authorization": f"Basic {SECRET}"}, 'Bearer realm="understudy", error="invalid_token"'),
    ],
)
def test_a_wrong_token_is_refused(
    alone: Api, operation: openapi.Operation, headers: dict[str, str], challenge: str
) -> None:
    path = operation.path.format(rollout_id="checkout")
    answer = alone.ask(operation.method.upper(), path, data=b"{", headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("operation", WRITES, ids=lambda one: one.name)
def test_without_tokens_nobody_writes(operation: openapi.Operation) -> None:
    with api(tokens="") as server:
        path = operation.path.format(rollout_id="checkout")
        answer = server.write(operation.method.upper(), path, b"{}")
        assert answer.status == 403
        assert "set [http] tokens" in answer.detail


# What is sent to do harm


def test_a_body_has_an_end(alone: Api) -> None:
    large = b"#" * (2**20 + 1)
    assert alone.write("PUT", ONE, large, **YAML).status == 413
    assert alone.write("POST", f"{ONE}/kill", large).status == 413


def test_a_body_in_pieces_has_an_end(alone: Api) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"#" * 2**16

    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/yaml"}

    async def send() -> int:
        return (await alone.asking("PUT", ONE, data=pieces(), headers=headers)).status

    assert alone.run(send()) == 413


@pytest.mark.parametrize(("method", "path"), [("PUT", ONE), ("POST", f"{ONE}/resume")])
@pytest.mark.parametrize("body", [gzip.compress(b"#" * 20_000_000), b"no gzip"])
def test_what_is_compressed_is_not_unpacked(
    alone: Api, method: str, path: str, body: bytes
) -> None:
    answer = alone.write(method, path, body, Content_Encoding="gzip", **YAML)
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")


def raw(server: Api, sent: bytes, *, ends: bool) -> bytes:
    """What comes back for bytes as they are; `ends` hangs up in the middle."""

    async def exchange() -> bytes:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(sent)
        await writer.drain()
        if ends:
            writer.write_eof()
        try:
            async with asyncio.timeout(5.0):
                return await reader.read()
        finally:
            writer.close()

    return server.run(exchange())


def test_what_is_no_http_harms_nobody(alone: Api, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST %s/kill HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
    asked = head % (ONE.encode(), SECRET.encode())
    chunk = asked + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n"
    with structlog.testing.capture_logs() as logs:
        for sent in (b"\x00\xff\r\n\r\n", asked + b"Content-Length: -5\r\n\r\n", chunk):
            assert b" 400 " in raw(alone, sent, ends=False).partition(b"\r\n")[0]
        raw(alone, asked + b"Content-Length: 50\r\n\r\n{", ends=True)
        assert alone.get(f"{ONE}/decision").status == 404
    assert [log for log in logs if log["log_level"] == "error"] == []
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_who_sends_drop_by_drop_is_let_go(alone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_S", 0.1)

    async def drops() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(0.5)
        yield b"}"

    headers = {"Authorization": f"Bearer {SECRET}"}

    async def send() -> int:
        path = f"{ONE}/resume"
        return (await alone.asking("POST", path, data=drops(), headers=headers)).status

    assert alone.run(send()) == 408


# Services away


def test_without_kafka_nothing_is_pretended(alone: Api) -> None:
    for answer in (
        alone.write("PUT", ONE, policy().encode(), **YAML),
        alone.write("POST", f"{ONE}/kill", {"reason": "tone"}),
        alone.write("DELETE", ONE),
    ):
        assert answer.status == 503
        assert answer.detail.startswith("Kafka: ")
        assert answer.headers["retry-after"] == "5"


def test_a_slow_clickhouse_keeps_no_kill_waiting(server: Api, kafka: Kafka) -> None:
    applied(server)
    answered = msgspec.structs.replace(killed(), last_command=1)
    kafka.write(DECISIONS, ("checkout", encode_decision(answered)))
    see(server, lambda: server.view.newest_decision("checkout") is not None)
    blocked = asyncio.Event()

    async def both() -> tuple[int, bool]:
        loop = asyncio.get_running_loop()
        held = loop.run_in_executor(server.context.history_threads, lambda: _until(blocked, loop))
        history = asyncio.create_task(server.asking("GET", f"{ONE}/history"))
        answer = await server.asking("POST", f"{ONE}/kill", json={"reason": "tone"},
                                     headers={"Authorization": f"Bearer {SECRET}"})  # fmt: skip
        waits = not history.done()
        blocked.set()
        await asyncio.gather(held, history)
        return answer.status, waits

    assert server.run(both()) == (200, True)


def _until(event: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    asyncio.run_coroutine_threadsafe(event.wait(), loop).result(20.0)
