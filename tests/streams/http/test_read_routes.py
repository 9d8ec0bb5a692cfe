"""Reading: what is served, in what form, and how long a client may wait for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import quote

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.streams.http.described import DESCRIPTION, Answer
from tests.streams.http.server import Api, api
from tests.streams.rollouts.records import killed, manifest
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest, policy_hash
from understudy.streams.http.materialized_view import ViewUpdate

pytestmark = pytest.mark.embedded

RECORD = RolloutRecord(manifest=manifest())
AT = killed().decided_at
BASE = "/api/v1/rollouts"
ONE = f"{BASE}/checkout"
BROKEN = World(requests=100, harm=Harm(bad={"error": 0.08}))


def decided() -> Decision:
    """A rollback with evidence."""
    evaluator = RolloutEvaluator(compile_manifest(manifest(ROLLOUT)))
    for message in BROKEN.messages(5, 40):
        evaluator.take(message)
    found = evaluator.decision()
    assert found.verdict == "rollback"
    return found


@pytest.fixture
def server() -> Iterator[Api]:
    with api() as made:
        yield made


def test_rollouts_in_short(server: Api) -> None:
    server.show(RolloutRecord(manifest=manifest("search")))
    server.show(RECORD, killed("tone"))
    checkout, search = server.get(BASE).json["rollouts"]
    assert checkout["verdict"] == "rollback"
    assert checkout["stage"] == search["stage"] == "shadow"
    assert checkout["candidate_share"] == 0.0
    assert checkout["is_latched"] is True
    assert "tone" in checkout["reasons"][0]
    assert search["verdict"] == "waiting"
    assert search["candidate_share"] is search["since"] is None
    assert server.get(f"{ONE}/status").json == checkout


def test_a_rollout_at_length(server: Api) -> None:
    server.show(RECORD.with_command("kill", AT, reason="tone", by="anna"))
    found = server.get(ONE).json
    assert found["manifest"] == msgspec.to_builtins(RECORD.manifest)
    assert [stage["name"] for stage in found["policy"]["stages"]] == ["shadow", "5%", "25%"]
    assert found["policy_hash"] == policy_hash(compile_manifest(RECORD.manifest))
    (command,) = found["commands"]
    assert (command["kind"], command["by"], command["reason"]) == ("kill", "anna", "tone")


def test_a_decision_under_an_earlier_policy_says_so(server: Api) -> None:
    server.show(RECORD, killed())
    assert server.get(f"{ONE}/status").json["is_outdated"] is False
    server.show(RolloutRecord(manifest=manifest(more="false_rollback: 0.02")))
    assert server.get(f"{ONE}/status").json["is_outdated"] is True


def test_the_decision_as_it_stands_in_the_topic(server: Api) -> None:
    server.show(RECORD, killed())
    assert server.get(f"{ONE}/decision").body == encode_decision(killed())


def test_a_decision_of_a_rollout_that_is_gone(server: Api) -> None:
    """Until a deciding worker has deleted it, gateways still follow it."""
    server.show(decision=killed())
    assert server.get(f"{ONE}/decision").status == 200
    assert server.get(f"{ONE}/status").status == 404


def test_before_the_first_decision(server: Api) -> None:
    server.show(RECORD)
    for path in ("decision", "evidence"):
        answer = server.get(f"{ONE}/{path}")
        assert (answer.status, answer.detail) == (
            404,
            "there is no decision about this rollout yet",
        )


def test_evidence_by_guardrail_and_slice(server: Api) -> None:
    decision = decided()
    server.show(RolloutRecord(manifest=manifest(ROLLOUT)), decision)
    path = f"{BASE}/{ROLLOUT}/evidence"
    found = server.get(path).json
    assert len(found["evidence"]) == len(decision.evidence) == 3
    assert found["verdict"] == "rollback"
    assert found["thresholds"]["log_rollback"] == decision.thresholds.log_rollback
    (one,) = server.get(f"{path}?guardrail=error_rate&slice=language:ja").json["evidence"]
    assert (one["guardrail"], one["slice"]) == ("error_rate", "language:ja")
    assert server.get(f"{path}?slice=language:nl").json["evidence"] == []
    answer = server.get(f"{path}?guardrail=eror_rate")
    assert answer.status == 400
    assert answer.detail == "there is no guardrail eror_rate; did you mean error_rate?"


def test_the_description_describes_this(server: Api) -> None:
    assert server.get("/api/v1/openapi.json").json == json.loads(json.dumps(DESCRIPTION))


def test_metrics_of_all_rollouts(server: Api) -> None:
    server.show(RECORD, killed())
    answer = server.get("/metrics")
    families = text_string_to_metric_families(answer.body.decode())
    values = {
        (sample.name, sample.labels.get("rollout_id"), sample.labels.get("verdict")): sample.value
        for family in families
        for sample in family.samples
    }
    assert values["understudy_rollout_verdict", "checkout", "rollback"] == 1.0
    assert values["understudy_rollout_verdict", "checkout", "hold"] == 0.0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/gates/argo/checkout", None, 200),
        ("GET", "/api/v1/gates/argo/%7Bnobody%7D?stage=x", None, 200),
        ("POST", "/api/v1/gates/flagger/rollback?rollout_id=checkout", b"{}", 200),
        ("POST", "/api/v1/gates/flagger/confirm-promotion?rollout_id=checkout", b"{}", 409),
        ("POST", "/api/v1/gates/flagger/confirm-rollout?rollout_id=nobody", b"{}", 404),
        ("POST", "/api/v1/gates/flagger/confirm-traffic-increase", b"{}", 400),
        ("GET", "/api/v1/query?query=vector(1)", None, 200),
        ("POST", "/api/v1/query", b"query=rate(x)", 400),
        ("POST", "/api/v1/gates/flagger/rollback", b"#" * (2**20 + 1), 413),
    ],
)
def test_tools_are_answered_as_described(
    server: Api, method: str, path: str, body: bytes | None, status: int
) -> None:
    server.show(RECORD, killed())
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert server.ask(method, path, data=body, headers=form).status == status


def test_no_gate_opens_on_what_cannot_be_read(server: Api) -> None:
    server.show(RECORD, killed())
    server.view.apply([ViewUpdate("rollout", "checkout", b"{")])
    found = server.get("/api/v1/gates/argo/checkout").json["data"]
    assert (found["verdict"], found["ok"]) == ("inconclusive", None)
    assert "cannot be read" in found["reason"]
    hook = "/api/v1/gates/flagger/rollback?rollout_id=checkout"
    assert server.ask("POST", hook, data=b"{}").status == 409


# Nothing is pretended


@pytest.mark.parametrize(
    "path",
    [BASE, ONE, f"{ONE}/status", f"{ONE}/decision", f"{ONE}/evidence"],
)
def test_nothing_is_known_before_everything_was_read(path: str) -> None:
    with api(is_complete=False) as server:
        server.show(RECORD, killed())
        answer = server.get(path)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        server.view.mark_complete()
        assert server.get(path).status == 200


def test_what_this_release_cannot_read_is_not_known(server: Api) -> None:
    server.show(RECORD, killed())
    server.view.apply([ViewUpdate("decision", "checkout", b'{"schema_version": 9}')])
    answer = server.get(f"{ONE}/decision")
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "schema version 9" in answer.detail


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("chekout", "there is no rollout chekout; did you mean checkout?"),
        ("a%2Fb", "there is no rollout a/b"),
        ("%00%1b%5b2J", "there is no rollout \x00\x1b[2J"),
        ("%ff", "there is no rollout %ff"),
        ("%E6%97%A5", "there is no rollout 日"),
        ("%3Cscript%3E", "there is no rollout <script>"),
    ],
)
def test_names_are_decoded_and_do_nothing(server: Api, name: str, shown: str) -> None:
    server.show(RECORD)
    answer = server.get(f"{BASE}/{name}/status")
    assert answer.status == 404
    assert answer.detail == shown


@pytest.mark.parametrize("name", ["日本 100%", "%2F", "{a}", "a?b#c", "it's", "a+b", "..", "a;b"])
def test_strange_names_are_found(server: Api, name: str) -> None:
    record = RolloutRecord(manifest=msgspec.structs.replace(RECORD.manifest, rollout_id=name))
    server.show(record)
    assert server.get(f"{BASE}/{quote(name)}/status").json["rollout_id"] == name


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "there is nothing at /nothing"),
        ("/api/v1/rollout", 404, "there is nothing at /api/v1/rollout"),
        (f"{BASE}/", 404, "there is nothing at"),
        (f"{ONE}/evidence?guardrial=x", 400, "unknown parameter guardrial; did you mean guardrail"),
        (f"{ONE}/evidence?slice=a&slice=b", 400, "the parameter slice occurs twice"),
        (f"{ONE}/history?limit=0", 400, "limit must be a number from 1 to 1000"),
        (f"{ONE}/history?limit=1e3", 400, "limit must be a number from 1 to 1000"),
        (f"{ONE}/history?limit=%D9%A3", 400, "limit must be a number from 1 to 1000"),
        (f"{ONE}/history?before=yesterday", 400, "before must be a time such as"),
        (f"{ONE}/history?before=2026-03-02T12:00:00", 400, "before lacks a time zone"),
        (f"{ONE}/history?before=2026-03-02T12:00:00Z,x", 400, "next_before of the previous page"),
        (f"{ONE}/history?before=2026-03-02T12:00:00Z,1,x", 400, "before"),
        (f"{ONE}/history?before=2026-03-02T12:00:00Z,1,,", 400, "next_before of the previous page"),
        (f"{ONE}/status?wait=30", 400, "unknown parameter wait"),
    ],
)
def test_what_is_asked_wrongly(server: Api, path: str, status: int, words: str) -> None:
    server.show(RECORD, killed())
    answer = server.get(path)
    assert answer.status == status
    assert words in answer.detail


def test_a_method_that_is_not_there(server: Api) -> None:
    answer = server.ask("PATCH", ONE)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(",")) == {"GET", "HEAD", "PUT", "DELETE"}


def test_every_answer_has_careful_headers(server: Api) -> None:
    server.show(RECORD)
    for path in (BASE, "/metrics", "/nowhere", f"{ONE}/decision", f"{BASE}?x=1"):
        headers = server.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["server"] == "understudy"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert not any(name.startswith("access-control") for name in headers)


# Asking again


def test_what_the_client_has_is_not_sent_again(server: Api) -> None:
    server.show(RECORD, killed("early"))
    first = server.get(f"{ONE}/decision")
    tag = first.headers["etag"]
    again = server.get(f"{ONE}/decision", If_None_Match=f'"other", W/{tag}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    server.show(decision=killed("late"))
    changed = server.get(f"{ONE}/decision", If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["etag"] != tag


def test_the_same_bytes_have_the_same_tag_wherever_they_are_served(server: Api) -> None:
    server.show(RECORD, killed())
    with api() as other:
        other.show(RECORD, killed())
        for path in (BASE, ONE, f"{ONE}/decision"):
            assert server.get(path).headers["etag"] == other.get(path).headers["etag"]


def waiting(server: Api, path: str, change: object, **headers: str) -> Answer:
    """Ask, and change something meanwhile."""

    async def both() -> Answer:
        asked = asyncio.create_task(server.asking("GET", path, headers=headers))
        await asyncio.sleep(0.1)
        assert not asked.done()
        change()  # type: ignore[operator]
        return await asked

    return server.run(both())


def test_a_client_is_answered_as_soon_as_there_is_something_else(server: Api) -> None:
    server.show(RECORD, killed("early"))
    tag = server.get(f"{ONE}/decision").headers["etag"]
    answer = waiting(server, f"{ONE}/decision", lambda: server.show(decision=killed("late")),
                     **{"If-None-Match": tag, "Prefer": "wait=30"})  # fmt: skip
    assert answer.status == 200
    assert answer.body == encode_decision(killed("late"))
    assert answer.headers["preference-applied"] == "wait=30"


def test_changes_of_others_wake_nobody(server: Api) -> None:
    server.show(RECORD, killed())
    tag = server.get(f"{ONE}/decision").headers["etag"]
    other = RolloutRecord(manifest=manifest("search"))
    answer = waiting(server, f"{ONE}/decision", lambda: server.show(other),
                     **{"If-None-Match": tag, "Prefer": "wait=1"})  # fmt: skip
    assert answer.status == 304


def test_the_first_decision_is_waited_for(server: Api) -> None:
    server.show(RECORD)
    answer = waiting(server, f"{ONE}/decision", lambda: server.show(decision=killed()),
                     Prefer="wait=30")  # fmt: skip
    assert answer.status == 200


def test_nobody_waits_for_what_is_gone_or_no_longer_known(server: Api) -> None:
    server.show(RECORD, killed())
    tag = server.get(f"{ONE}/status").headers["etag"]
    wait = {"If-None-Match": tag, "Prefer": "respond-async, wait=60"}
    gone = [ViewUpdate("rollout", "checkout", None)]
    assert waiting(server, f"{ONE}/status", lambda: server.view.apply(gone), **wait).status == 404
    server.show(RECORD)
    assert waiting(server, f"{ONE}/status", server.view.reset, **wait).status == 503


def test_a_worker_that_stops_lets_nobody_wait(server: Api) -> None:
    server.show(RECORD, killed())
    tag = server.get(f"{ONE}/status").headers["etag"]
    answer = waiting(server, f"{ONE}/status", server.view.close,
                     **{"If-None-Match": tag, "Prefer": "wait=60"})  # fmt: skip
    assert answer.status == 304


def test_who_has_something_else_does_not_wait(server: Api) -> None:
    server.show(RECORD, killed())
    answer = server.get(f"{ONE}/decision", If_None_Match='"old"', Prefer="wait=60")
    assert answer.status == 200
    assert server.get(f"{ONE}/decision", Prefer="wait=9999").headers["preference-applied"] == (
        "wait=60"
    )


# History


def test_without_clickhouse_there_is_no_history_and_all_else(server: Api) -> None:
    server.show(RECORD, killed())
    answer = server.get(f"{ONE}/history")
    assert answer.status == 503
    assert answer.detail.startswith("ClickHouse: clickhouse://127.0.0.1:1 cannot be reached")
    assert "retry-after" in answer.headers
    assert server.get(f"{ONE}/decision").status == 200
