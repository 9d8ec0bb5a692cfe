"""Decisions that an evaluator makes of a made-up world, down to what people read.

The Alertmanager is a model of the documented one: alerts are told apart by their labels, the last
sent counts, and one is over when its `endsAt` has passed."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from tests.analyzers.guardrails.world import START, Harm, World
from tests.streams.alerting.alerting_bench import alerting, bench_on, eventually
from tests.streams.alerting.http_receiver import HttpReceiver
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.manifests import read_policy
from understudy.streams.alerting.alertmanager import Alertmanager
from understudy.streams.alerting.decision_message import (
    DecisionMessage,
    NotifiedState,
    notified_state_of,
)
from understudy.streams.alerting.receiver import Notification
from understudy.streams.alerting.slack import Slack
from understudy.streams.kafka.embedded_broker import EmbeddedBroker

POLICY = """
rollout_id: helpdesk
models: {stable: a, candidate: b}
independent_requests: true
stages: [shadow]
min_requests: 1500
min_duration: 2m
guardrails:
  - {metric: error_rate, max_increase: 6pp, warn_margin: 1pp, slices: [all]}
  - {metric: truncation_rate, max_increase: 2pp, action: alert}
  - {metric: fallback_rate, max_increase: 2pp, action: pause, slices: [all]}
"""
HEALTHY = World()
LITTLE = World(harm=Harm(bad={"error": 0.04}))
CUT_OFF = World(harm=Harm(bad={"truncated": 0.2}, languages=("ja",)))
FALLS_BACK = World(harm=Harm(bad={"fallback": 0.1}))
LOST = World(harm=Harm(evicted=0.2))
BROKEN = World(harm=Harm(bad={"error": 0.3}))
REPEAT_S = 60.0
Labels = frozenset[tuple[str, str]]


class ModelOfAlertmanager:
    """What fires and what is over, by the alerts posted so far."""

    def __init__(self) -> None:
        self.alerts: dict[Labels, dict[str, Any]] = {}

    def post(self, body: bytes) -> None:
        for alert in json.loads(body):
            assert alert["labels"]["alertname"]
            assert time_of(alert["startsAt"]) <= time_of(alert["endsAt"])
            self.alerts[frozenset(alert["labels"].items())] = alert

    def firing(self, now: dt.datetime) -> list[dict[str, Any]]:
        return [one for one in self.alerts.values() if time_of(one["endsAt"]) > now]

    def names(self, now: dt.datetime) -> list[tuple[str, str, str]]:
        of = [one["labels"] for one in self.firing(now)]
        return sorted((o["alertname"], o.get("guardrail", ""), o.get("slice", "")) for o in of)


def time_of(written: str) -> dt.datetime:
    return dt.datetime.fromisoformat(written)


class Scene:
    """A rollout that is decided on and watched, window by window."""

    def __init__(self) -> None:
        self.evaluator = RolloutEvaluator(read_policy(POLICY))
        self.manager = ModelOfAlertmanager()
        self.messages: list[dict[str, Any]] = []
        self.decisions: list[Decision] = []
        self._receiver = Alertmanager("http://manager", REPEAT_S)
        self._slack = Slack("http://slack")
        self._state: NotifiedState | None = None
        self._windows = 0

    @property
    def now(self) -> dt.datetime:
        """As if decided at once."""
        return START + dt.timedelta(seconds=10 * self._windows + 1)

    def goes_on(self, world: World, windows: int) -> Scene:
        for message in world.messages(7 + self._windows, windows, first=self._windows):
            self._windows += 1
            self.decide(self.evaluator.take(message))
            if self._state is not None:
                self._post(self._receiver.reminder(self._state.alarms, self.now))
        return self

    def decide(self, decision: Decision | None) -> None:
        if decision is None:
            return
        self.decisions.append(decision)
        payload = encode_decision(decision)
        message = DecisionMessage(0, len(self.decisions), decision.rollout_id, payload, decision)
        self._post(self._receiver.notification(self._state, message, self.now))
        posted = self._slack.notification(self._state, message, self.now)
        if posted is not None:
            self.messages.append(json.loads(posted.body))
        self._state = notified_state_of(message)

    def fires(self) -> list[tuple[str, str, str]]:
        return self.manager.names(self.now)

    def description(self, name: str) -> str:
        (one,) = [a for a in self.manager.firing(self.now) if a["labels"]["alertname"] == name]
        return str(one["annotations"]["description"])

    def _post(self, notification: Notification | None) -> None:
        if notification is not None:
            self.manager.post(notification.body)


def test_nothing_fires_while_all_is_well() -> None:
    scene = Scene().goes_on(HEALTHY, 60)
    assert scene.decisions[-1].verdict == "promote"
    assert scene.manager.alerts == {}
    assert [one["text"].split(":")[1] for one in scene.messages] == [
        "large_yellow_circle", "large_green_circle",
    ]  # fmt: skip


def test_a_warn_margin_fires_and_ends_when_evidence_has_gone() -> None:
    scene = Scene().goes_on(HEALTHY, 30).goes_on(LITTLE, 60)
    assert scene.evaluator.decision().verdict != "rollback"
    assert scene.fires() == [("UnderstudyGuardrail", "error_rate.warn", "all")]
    assert scene.description("UnderstudyGuardrail").startswith("error rate over all requests rose")
    assert "limit 1 point;" in scene.description("UnderstudyGuardrail")
    assert "alert: error rate" in scene.messages[-1]["blocks"][1]["text"]["text"]
    scene.goes_on(HEALTHY, 200)
    assert scene.fires() == []
    assert "alert" not in json.dumps(scene.messages[-1])


def test_a_guardrail_that_alerts_names_its_slice() -> None:
    scene = Scene().goes_on(CUT_OFF, 40)
    assert ("UnderstudyGuardrail", "truncation_rate", "language:ja") in scene.fires()
    assert "in `ja`" in next(
        one["annotations"]["description"]
        for one in scene.manager.firing(scene.now)
        if one["labels"]["slice"] == "language:ja"
    )


def test_data_that_cannot_be_trusted_fires_with_its_own_words() -> None:
    scene = Scene().goes_on(HEALTHY, 10).goes_on(LOST, 30)
    assert scene.fires() == [("UnderstudyDataQuality", "unmatched_share", "")]
    words = scene.description("UnderstudyDataQuality")
    assert "of the requests lack a side, limit 5 %" in words
    scene.goes_on(World(harm=Harm(bad={"error": 0.04}, evicted=0.2)), 60)
    assert len(scene.fires()) == 2
    assert "lack a side" in scene.description("UnderstudyDataQuality")
    assert "error rate" not in scene.description("UnderstudyDataQuality")
    assert "lack a side" not in scene.description("UnderstudyGuardrail")
    scene.goes_on(HEALTHY, 400)
    assert scene.fires() == []


def test_a_pause_fires_until_an_operator_resumes() -> None:
    scene = Scene().goes_on(FALLS_BACK, 40).goes_on(HEALTHY, 100)
    assert scene.fires() == [("UnderstudyPaused", "", "")]
    scene.decide(scene.evaluator.resume())
    assert scene.fires() == []


def test_a_rollback_fires_until_an_operator_resumes() -> None:
    scene = Scene().goes_on(BROKEN, 20).goes_on(HEALTHY, 50)
    assert ("UnderstudyRollback", "", "") in scene.fires()
    reason = scene.description("UnderstudyRollback")
    assert reason.startswith("error rate over all requests rose")
    started = [a["startsAt"] for a in scene.manager.firing(scene.now)
               if a["labels"]["alertname"] == "UnderstudyRollback"]  # fmt: skip
    assert [time_of(one) for one in started] == [scene.decisions[-1].since]
    assert scene.messages[-1]["text"] == ":red_circle: Rolled back: helpdesk"
    scene.decide(scene.evaluator.resume())
    assert scene.fires() == []
    assert scene.messages[-1]["text"].startswith(":large_yellow_circle: Hold")
    scene.goes_on(BROKEN, 40)
    assert ("UnderstudyRollback", "", "") in scene.fires()


def test_what_nobody_repeats_ends_by_itself() -> None:
    scene = Scene().goes_on(BROKEN, 20)
    assert scene.fires()
    assert scene.manager.firing(scene.now + dt.timedelta(seconds=3 * REPEAT_S + 1)) == []


@pytest.mark.embedded
def test_the_service_resolves_after_a_restart_what_it_raised_before(
    embedded_broker: EmbeddedBroker, clickhouse_url: str, clickhouse_database: str
) -> None:
    """On a topic, over HTTP: a rollback alerts, the service restarts, resuming ends the alert."""
    scene = Scene().goes_on(HEALTHY, 20).goes_on(BROKEN, 20)
    scene.decide(scene.evaluator.resume())
    *before, resumed = scene.decisions
    assert before[-1].is_latched
    bench = bench_on(
        embedded_broker.bootstrap_servers, "understudy.", clickhouse_url, clickhouse_database
    )
    with HttpReceiver() as manager:
        settings = bench.with_receivers(alertmanager_url=manager.url)
        bench.emit(*before)
        with alerting(settings):
            eventually(lambda: ("UnderstudyRollback", "", "") in names(manager))
            eventually(lambda: bench.committed() == len(before))
        so_far = len(manager.received)
        with alerting(settings):
            manager.wait_for(so_far + 1)
            assert ("UnderstudyRollback", "", "") in names(manager)
            bench.emit(resumed)
            eventually(lambda: names(manager) == [])
        ends = [
            time_of(alert["endsAt"])
            for one in manager.received
            for alert in json.loads(one.body)
            if alert["labels"]["alertname"] == "UnderstudyRollback"
        ]
        assert ends[-1] < ends[-2], "ended before it would have by itself"


def received(manager: HttpReceiver) -> ModelOfAlertmanager:
    """What a real Alertmanager would know by now."""
    model = ModelOfAlertmanager()
    for one in list(manager.received):
        assert one.path == "/api/v2/alerts"
        model.post(one.body)
    return model


def names(manager: HttpReceiver) -> list[tuple[str, str, str]]:
    return received(manager).names(dt.datetime.now(dt.UTC))
