"""`/api/v1/query` as Prometheus's HTTP API has it, and what its clients do with the answers."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.streams.http.rollout_tools import (
    first_value,
    is_in_range,
    is_online,
    prometheus_measurement,
    query_path,
)
from tests.streams.http.views import BROKEN, NOW, Answer, ask, decided, policy, rollout_view, view
from understudy.streams.http.materialized_view import MaterializedView

pytestmark = pytest.mark.embedded

PATH = "/api/v1/query"
LATCHED = 'understudy_rollout_latched{rollout_id="helpdesk"}'
MANIFEST = policy()
HEALTHY = view(rollout_view(MANIFEST, decided(MANIFEST).decision()))
ROLLED_BACK = view(rollout_view(MANIFEST, decided(MANIFEST, BROKEN).decision()))
FRESH = view(rollout_view(MANIFEST, decided(MANIFEST, windows=0).decision()))
UNREAD = view(is_complete=False)


def get(made: MaterializedView, query: str, **more: str) -> Answer:
    return ask(made, "GET", PATH, params={"query": query, **more})


def test_a_vector() -> None:
    before_s = time.time()
    answer = get(ROLLED_BACK, LATCHED)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    body = answer.json()
    (one,) = body["data"]["result"]
    at_s, value = one["value"]
    assert body == {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [
                {
                    "metric": {"__name__": "understudy_rollout_latched", "rollout_id": "helpdesk"},
                    "value": [at_s, "1"],
                }
            ],
        },
    }
    assert before_s - 1 < at_s < time.time() + 1
    assert value == "1"


def test_a_scalar() -> None:
    data = get(HEALTHY, "1+1").json()["data"]
    assert (data["resultType"], data["result"][1]) == ("scalar", "2")


@pytest.mark.parametrize(
    "written",
    [lambda now: f"{now:.3f}", lambda now: f"{now:.0f}",
     lambda now: dt.datetime.fromtimestamp(now, dt.UTC).isoformat().replace("+00:00", "Z"),
     lambda now: dt.datetime.fromtimestamp(now - 200, dt.UTC).isoformat()],
)  # fmt: skip
def test_the_time_asked_about_comes_back(written: Any) -> None:
    asked = written(time.time())
    (one,) = get(HEALTHY, LATCHED, time=asked, timeout="30s").json()["data"]["result"]
    wanted = (
        dt.datetime.fromisoformat(asked).timestamp() if "T" in asked else float(asked)
    )  # fmt: skip
    assert one["value"][0] == pytest.approx(wanted, abs=0.001)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "name a series"),
        ({"query": ""}, "name a series"),
        ({"query": "rate(x[5m])"}, "cannot answer"),
        ({"query": LATCHED, "time": "yesterday"}, "not a timestamp"),
        ({"query": LATCHED, "time": "2026-03-02T12:00:00"}, "not a timestamp"),
        ({"query": LATCHED, "time": "nan"}, "only the present"),
        ({"query": LATCHED, "time": "1000"}, "only the present"),
        ({"query": LATCHED, "timeout": "soon"}, "not a duration"),
    ],
)
def test_what_is_wrong_is_bad_data(parameters: dict[str, str], problem: str) -> None:
    answer = ask(HEALTHY, "GET", PATH, params=parameters)
    assert answer.status == 400
    body = answer.json()
    assert (body["status"], body["errorType"]) == ("error", "bad_data")
    assert problem in body["error"]
    assert "data" not in body


def test_timeouts_are_durations() -> None:
    for timeout in ("30s", "1h30m", "500ms", "1.5", "10"):
        assert get(HEALTHY, LATCHED, timeout=timeout).status == 200


def test_a_form_may_be_posted_and_counts_before_the_url() -> None:
    answer = ask(ROLLED_BACK, "POST", PATH, data={"query": LATCHED, "time": f"{time.time()}"})
    assert first_value(answer.status, answer.body) == 1.0
    answer = ask(ROLLED_BACK, "POST", f"{PATH}?query={quote(LATCHED)}")
    assert first_value(answer.status, answer.body) == 1.0
    answer = ask(ROLLED_BACK, "POST", f"{PATH}?query=1", data={"query": LATCHED})
    assert answer.json()["data"]["resultType"] == "vector"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/json", b'{"query": "1"}'),
     ("application/x-www-form-urlencoded; charset=nonsense", b"query=1"),
     ("application/x-www-form-urlencoded", b"query=\xff\xfe"),
     ("multipart/form-data; boundary=x", b"nothing of the kind"),
     ("multipart/form-data", b"x")],
)  # fmt: skip
def test_a_body_that_is_no_form_is_bad_data(content_type: str, body: bytes) -> None:
    answer = ask(HEALTHY, "POST", PATH, data=body, headers={"Content-Type": content_type})
    assert answer.status == 400
    assert answer.json()["errorType"] == "bad_data"


def test_before_the_topics_are_read_it_is_unavailable() -> None:
    answer = get(UNREAD, "vector(1)")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["errorType"] == "unavailable"


# Clients


def flagger(made: MaterializedView, query: str) -> float:
    answer = ask(made, "GET", query_path(query))
    return first_value(answer.status, answer.body)


def test_flagger_finds_it_online() -> None:
    answer = ask(HEALTHY, "GET", query_path("vector(1)"))
    assert is_online(answer.status, answer.body)


def test_flagger_holds_a_value_against_a_range() -> None:
    broken = 'max(\n  understudy_guardrail_breached{\n    rollout_id="helpdesk"\n  }\n)\n'
    assert is_in_range(flagger(HEALTHY, broken), {"max": 0})
    with pytest.raises(LookupError):
        flagger(FRESH, broken)
    assert not is_in_range(flagger(ROLLED_BACK, broken), {"max": 0})
    harm = (
        'understudy_guardrail_harm_ratio{rollout_id="helpdesk",guardrail="error_rate",slice="all"}'
    )
    assert is_in_range(flagger(HEALTHY, harm), {"max": 0.02})
    assert not is_in_range(flagger(ROLLED_BACK, harm), {"max": 0.02})


def test_flagger_is_told_that_there_is_no_value() -> None:
    with pytest.raises(LookupError):
        flagger(HEALTHY, 'understudy_rollout_latched{rollout_id="nobody"}')
    with pytest.raises(LookupError):
        flagger(FRESH, 'understudy_guardrail_harm_ratio{rollout_id="helpdesk",slice="all"}')
    with pytest.raises(ValueError, match="bad_data"):
        flagger(HEALTHY, "sum(rate(x[1m]))")


def test_argo_takes_a_vector_for_a_list() -> None:
    metric = {"successCondition": "result[0] == 0", "failureCondition": "result[0] == 1"}

    def phase(made: MaterializedView, query: str) -> str:
        answer = ask(made, "POST", PATH, data={"query": query, "time": f"{time.time()}"})
        return prometheus_measurement(metric, answer.status, answer.body)

    assert phase(HEALTHY, LATCHED) == "Successful"
    assert phase(ROLLED_BACK, LATCHED) == "Failed"
    assert phase(HEALTHY, 'understudy_rollout_latched{rollout_id="nobody"}') == "Error"
    assert phase(UNREAD, LATCHED) == "Error"


def test_grafana_tests_its_data_source() -> None:
    answer = ask(HEALTHY, "POST", PATH, data={"query": "1+1", "time": f"{time.time()}"})
    assert (answer.status, answer.json()["status"]) == (200, "success")


def test_a_rollout_whose_events_have_ceased_has_no_series_unless_it_is_rolled_back() -> None:
    """A tool that asks may go on with the answer; the verdict of yesterday is none for today."""

    def latched(made: MaterializedView, later: dt.timedelta) -> list[str]:
        answer = ask(made, "GET", PATH, params={"query": LATCHED}, now=NOW + later)
        return [one["value"][1] for one in answer.json()["data"]["result"]]

    minutes = dt.timedelta(minutes=1)
    assert latched(HEALTHY, 5 * minutes) == ["0"]
    assert latched(HEALTHY, 20 * minutes) == []
    assert latched(FRESH, 0 * minutes) == []
    assert latched(ROLLED_BACK, 100_000 * minutes) == ["1"]
