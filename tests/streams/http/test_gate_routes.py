"""What Argo Rollouts and Flagger do with the answers, over a socket."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.streams.http.rollout_tools import (
    Phase,
    hook_payload,
    hook_succeeds,
    measured,
    phase_of,
    web_measurement,
)
from tests.streams.http.views import (
    BROKEN,
    LOSSY,
    NOW,
    Answer,
    ask,
    decided,
    policy,
    rollout_view,
    view,
)
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.streams.http.materialized_view import MaterializedView

pytestmark = pytest.mark.embedded

ONE_STAGE = "[shadow]"
ARGO = "/api/v1/gates/argo/helpdesk"
FLAGGER = "/api/v1/gates/flagger/"


def view_of(name: str) -> MaterializedView:
    """A view with one rollout in this state."""
    pausing = policy("{metric: error_rate, max_increase: 2pp, action: pause}", stages=ONE_STAGE)
    manifest = pausing if name == "paused" else policy(stages=ONE_STAGE)
    evaluators: dict[str, RolloutEvaluator] = {
        "holding": decided(manifest, windows=2),
        "promotable": decided(manifest),
        "rolled back": decided(manifest, BROKEN),
        "paused": decided(pausing, BROKEN),
        "lossy": decided(manifest, LOSSY),
    }
    if name == "unread":
        killed = rollout_view(manifest, evaluators["rolled back"].decision())
        return view(killed, is_complete=False)
    if name == "unknown":
        return view()
    if name == "undecided":
        return view(rollout_view(manifest, None))
    return view(rollout_view(manifest, evaluators[name].decision()))


BOARDS = {
    name: view_of(name)
    for name in ("holding", "promotable", "rolled back", "paused", "lossy", "unread", "unknown",
                 "undecided")
}  # fmt: skip

# Argo Rollouts

CONDITIONS: dict[str, dict[str, str]] = {
    "verdict": {
        "jsonPath": "{$.data}",
        "successCondition": 'result.verdict == "pass"',
        "failureCondition": 'result.verdict == "fail"',
    },
    "word": {
        "jsonPath": "{$.data.verdict}",
        "successCondition": 'result == "pass"',
        "failureCondition": 'result == "fail"',
    },
    "ok": {
        "jsonPath": "{$.data.ok}",
        "successCondition": "result == true",
        "failureCondition": "result == false",
    },
    "score": {"jsonPath": "{$.data.score}", "successCondition": "result >= 1"},
}
PHASES: dict[str, dict[str, Phase]] = {
    "holding": {"verdict": "Inconclusive", "ok": "Successful", "score": "Failed"},
    "promotable": {"verdict": "Successful", "ok": "Successful", "score": "Successful"},
    "rolled back": {"verdict": "Failed", "ok": "Failed", "score": "Failed"},
    "paused": {"verdict": "Inconclusive", "ok": "Inconclusive", "score": "Failed"},
    "lossy": {"verdict": "Inconclusive", "ok": "Inconclusive", "score": "Successful"},
    "unread": {"verdict": "Inconclusive", "ok": "Inconclusive", "score": "Failed"},
    "unknown": {"verdict": "Inconclusive", "ok": "Inconclusive", "score": "Failed"},
    "undecided": {"verdict": "Inconclusive", "ok": "Inconclusive", "score": "Failed"},
}


def metric(name: str) -> dict[str, Any]:
    conditions = {**CONDITIONS[name]}
    return {"provider": {"web": {"jsonPath": conditions.pop("jsonPath")}}, **conditions}


@pytest.mark.parametrize("name", BOARDS)
def test_argo_gets_the_verdict_of_each_view(name: str) -> None:
    answer = ask(BOARDS[name], "GET", ARGO)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    for read, expected in {**PHASES[name], "word": PHASES[name]["verdict"]}.items():
        assert web_measurement(metric(read), answer.status, answer.body) == expected, read


def test_the_answer_to_argo_field_by_field() -> None:
    assert ask(BOARDS["promotable"], "GET", ARGO).json() == {
        "data": {
            "verdict": "pass",
            "ok": True,
            "score": 1.0,
            "reason": "every required guardrail is shown to be within its limit after "
            "9,000 requests in stage shadow",
        }
    }
    assert ask(BOARDS["unknown"], "GET", ARGO).json()["data"] == {
        "verdict": "inconclusive", "ok": None, "score": 0.0,
        "reason": "there is no rollout helpdesk",
    }  # fmt: skip


def test_argo_may_ask_about_a_stage() -> None:
    manifest = policy(stages="[shadow, 5%, 50%]")
    made = view(rollout_view(manifest, decided(manifest).decision()))
    verdicts = {
        query: ask(made, "GET", ARGO + query).json()["data"]["verdict"]
        for query in ("?stage=shadow", "?stage=5%25", "?stage=50%25", "")
    }
    assert verdicts == {
        "?stage=shadow": "pass", "?stage=5%25": "inconclusive", "?stage=50%25": "inconclusive",
        "": "inconclusive",
    }  # fmt: skip


@pytest.mark.parametrize("query", ["?stage=7%25", "?stage=", "?stag=shadow", "?Stage=shadow",
                                   "?stage=shadow&stage=5%25"])  # fmt: skip
def test_a_misspelt_question_of_argo_is_an_error(query: str) -> None:
    manifest = policy(stages="[shadow, 5%]")
    answer = ask(view(rollout_view(manifest, decided(manifest).decision())), "GET", ARGO + query)
    assert answer.status == 400
    assert "stage" in answer.json()["detail"]
    assert web_measurement(metric("verdict"), answer.status, answer.body) == "Error"


def test_old_windows_open_no_gate_and_fire_no_rollback() -> None:
    tomorrow = NOW + dt.timedelta(days=1)
    for name in BOARDS:
        is_rolled_back = name == "rolled back"
        data = ask(BOARDS[name], "GET", ARGO, now=tomorrow).json()["data"]
        assert data["ok"] is (False if is_rolled_back else None)
        for hook in (*CONFIRM, "rollback"):
            metadata = hook_payload({"rollout_id": "helpdesk"})
            answer = ask(BOARDS[name], "POST", FLAGGER + hook, json=metadata, now=tomorrow)
            assert hook_succeeds(answer.status) == (is_rolled_back and hook == "rollback")


@pytest.mark.parametrize(
    ("metadata", "query"),
    [({"stage": ""}, ""), ({"stage": "shadwo"}, ""), ({"stag": "shadow"}, ""),
     ({"STAGE": "shadow"}, ""), ({}, "?stage="), ({}, "?stag=shadow"), ({}, "?stage=half")],
)  # fmt: skip
def test_a_misspelt_stage_is_an_error_but_to_a_rollback(
    metadata: dict[str, str], query: str
) -> None:
    """Without its stage the question would be laxer: whether anything speaks against it."""
    named = {"rollout_id": "helpdesk", **metadata}
    for hook in CONFIRM:
        assert (
            call(BOARDS["holding"], hook, {"rollout_id": "helpdesk"}).status
            == (HOOKS["holding"][hook])
        )
        assert call(BOARDS["holding"], hook, named, query).status == 400
    assert call(BOARDS["rolled back"], "rollback", named, query).status == 200
    assert call(BOARDS["holding"], "rollback", named, query).status == 409


def test_names_in_the_path_are_decoded() -> None:
    manifest = policy(rollout_id="a b?ü")
    made = view(rollout_view(manifest, decided(policy()).kill("no")))
    assert ask(made, "GET", "/api/v1/gates/argo/a%20b%3F%C3%BC").json()["data"]["ok"] is None
    killed = RolloutEvaluator.kill(decided(manifest, windows=0), "no")
    made = view(rollout_view(manifest, killed))
    assert ask(made, "GET", "/api/v1/gates/argo/a%20b%3F%C3%BC").json()["data"]["ok"] is False


def test_a_wait_for_pass_ends_with_it_and_with_a_rollback_and_else_with_a_person() -> None:
    waiting = {**metric("verdict"), "interval": "30s", "consecutiveSuccessLimit": 1,
               "failureLimit": 0, "inconclusiveLimit": 3}  # fmt: skip
    of = {
        name: web_measurement(waiting, 200, ask(BOARDS[name], "GET", ARGO).body) for name in BOARDS
    }
    assert phase_of(waiting, [of["unread"], of["holding"], of["promotable"]]) == "Successful"
    assert phase_of(waiting, [of["holding"], of["rolled back"]]) == "Failed"
    assert phase_of(waiting, [of["holding"]] * 3) == "Running"
    assert phase_of(waiting, [of["unknown"]] * 4) == "Inconclusive"


# Flagger

CONFIRM = ("confirm-rollout", "confirm-traffic-increase", "confirm-promotion")
HOOKS: dict[str, dict[str, int]] = {
    "holding": {"confirm-rollout": 200, "confirm-traffic-increase": 200, "confirm-promotion": 409,
                "rollback": 409},
    "promotable": {"confirm-rollout": 200, "confirm-traffic-increase": 200,
                   "confirm-promotion": 200, "rollback": 409},
    "rolled back": {**dict.fromkeys(CONFIRM, 409), "rollback": 200},
    "paused": dict.fromkeys((*CONFIRM, "rollback"), 409),
    "lossy": dict.fromkeys((*CONFIRM, "rollback"), 409),
    "unread": dict.fromkeys((*CONFIRM, "rollback"), 503),
    "unknown": dict.fromkeys((*CONFIRM, "rollback"), 404),
    "undecided": dict.fromkeys((*CONFIRM, "rollback"), 409),
}  # fmt: skip


def call(
    made: MaterializedView, hook: str, metadata: dict[str, str] | None, query: str = ""
) -> Answer:
    return ask(made, "POST", FLAGGER + hook + query, json=hook_payload(metadata))


@pytest.mark.parametrize("name", BOARDS)
@pytest.mark.parametrize("hook", [*CONFIRM, "rollback"])
def test_flagger_is_told_by_the_status(name: str, hook: str) -> None:
    answer = call(BOARDS[name], hook, {"rollout_id": "helpdesk"})
    assert answer.status == HOOKS[name][hook]
    assert answer.body.strip()
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_nothing_but_a_rollback_rolls_back_and_nothing_but_a_pass_promotes() -> None:
    for name, statuses in HOOKS.items():
        assert hook_succeeds(statuses["rollback"]) == (name == "rolled back")
        assert hook_succeeds(statuses["confirm-promotion"]) == (name == "promotable")


def test_a_closed_gate_says_why() -> None:
    answer = call(BOARDS["rolled back"], "confirm-promotion", {"rollout_id": "helpdesk"})
    assert answer.body.startswith(b"fail: error rate over all requests rose ")
    answer = call(BOARDS["holding"], "rollback", {"rollout_id": "helpdesk"})
    assert answer.body.startswith(b"inconclusive: ")
    answer = call(BOARDS["unread"], "rollback", {"rollout_id": "helpdesk"})
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("hook", [*CONFIRM, "rollback"])
@pytest.mark.parametrize(
    ("metadata", "query", "status"),
    [
        (None, "", 400),
        ({}, "", 400),
        ({"rollout_id": ""}, "", 400),
        ({"name": "helpdesk"}, "", 400),
        ({"rollout_id": "other"}, "?rollout_id=helpdesk", 400),
        ({"rollout_id": "helpdesk", "stage": "a"}, "?stage=b", 400),
        ({"rollout_id": "helpdesk"}, "?rollout_id=helpdesk", None),
        (None, "?rollout_id=helpdesk", None),
        ({"rollout_id": "Helpdesk"}, "", 404),
    ],
)
def test_the_rollout_is_named_in_metadata_or_the_url_and_never_guessed(
    hook: str, metadata: dict[str, str] | None, query: str, status: int | None
) -> None:
    if hook == "rollback" and "stage" in (metadata or {}):
        status = None  # what is said about stages does not matter to it
    expected = HOOKS["rolled back"][hook] if status is None else status
    assert call(BOARDS["rolled back"], hook, metadata, query).status == expected


def test_a_stage_named_must_have_passed_before_traffic_increases() -> None:
    manifest = policy(stages="[shadow, 5%]")
    metadata = {"rollout_id": "helpdesk", "stage": "shadow"}
    for windows, status in ((5, 409), (45, 200)):
        made = view(rollout_view(manifest, decided(manifest, windows=windows).decision()))
        for hook in CONFIRM:
            assert call(made, hook, metadata).status == status
        assert call(made, "confirm-promotion", {"rollout_id": "helpdesk"}).status == 409


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'"x"', b'{"metadata": 3}', b'{"metadata": {"rollout_id": 3}}', b"\xff",
     b'{"metadata": {"rollout_id": "\\ud800"}}', b"[" * 60_000],
)  # fmt: skip
def test_what_is_no_payload_is_a_bad_request(body: bytes) -> None:
    for hook in (*CONFIRM, "rollback"):
        answer = ask(BOARDS["rolled back"], "POST", FLAGGER + hook, data=body)
        assert answer.status == 400
        assert not hook_succeeds(answer.status)


def test_hooks_are_posted_and_no_other_is_known() -> None:
    assert ask(BOARDS["rolled back"], "GET", FLAGGER + "rollback").status == 405
    assert call(BOARDS["rolled back"], "pre-rollout", {"rollout_id": "helpdesk"}).status == 404


def test_the_oracle_errs_where_argo_does() -> None:
    assert measured({"successCondition": "result >= 1"}, None) == "Error"
    assert measured({"successCondition": "result == true"}, None) == "Failed"
    assert measured({"failureCondition": "result == false"}, None) == "Successful"
    assert web_measurement(metric("ok"), 503, b"") == "Error"
    assert phase_of({"interval": "1s"}, ["Error"] * 5) == "Error"
