"""Whether a judge can be asked, by its settings and by its list of models."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.streams.evaluating.scripted_judge import JudgeServer, completion
from understudy.streams.diagnostics.findings import Finding, Level
from understudy.streams.diagnostics.judge_endpoint_check import check_judge_endpoint
from understudy.streams.settings import EvaluatingSettings

pytestmark = pytest.mark.embedded


async def unused(_: dict[str, Any], __: web.Request) -> web.StreamResponse:
    return completion("")


def found(models: web.Response | None, **changes: Any) -> list[Finding]:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer key"
        return models if models is not None else web.Response(status=404)

    with JudgeServer(unused, models=answer) as server:
        fields: dict[str, Any] = {
            "base_url": server.base_url,
            "api_key": "key",
            "model": "m",
            "input_usd_per_million_tokens": 0.0,
            "output_usd_per_million_tokens": 0.0,
            **changes,
        }
        return check_judge_endpoint(EvaluatingSettings(**fields))


def listed(*names: str) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": name} for name in names]})


def test_without_a_judge_there_is_nothing_to_say() -> None:
    assert check_judge_endpoint(EvaluatingSettings()) == []


def test_a_judge_that_is_there() -> None:
    (finding,) = found(listed("m", "n"))
    assert finding.level is Level.OK
    assert "with the model m" in finding.seen


@pytest.mark.parametrize(
    ("models", "level", "seen"),
    [
        (listed("n"), Level.FAIL, "has no model m"),
        (web.Response(status=401), Level.FAIL, "refuses the key"),
        (None, Level.WARN, "/models answers 404"),
        (web.Response(text="<html>"), Level.OK, "answers"),
        (web.Response(text="[" * 5_000), Level.OK, "answers"),
    ],
)
def test_what_may_be_wrong_with_it(models: web.Response | None, level: Level, seen: str) -> None:
    (finding,) = found(models)
    assert finding.level is level
    assert seen in finding.seen
    assert "key" not in finding.seen.replace("the key", "")


def test_nobody_there() -> None:
    settings = EvaluatingSettings(base_url="http://127.0.0.1:9/v1", model="m")
    findings = check_judge_endpoint(settings)
    assert [one.level for one in findings] == [Level.FAIL, Level.FAIL]
    assert "prices are not set" in findings[0].seen
    assert "does not answer" in findings[1].seen


def test_settings_that_lack_something() -> None:
    findings = found(listed("m"), model="", prompts="/nowhere")
    assert [one.seen for one in findings][:2] == [
        "no model is named",
        "/nowhere is not a folder",
    ]


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"api_key": "sk-SECRET\nx"}, "printable ASCII"),
        ({"base_url": "http://SECRET:99999/v1"}, "no URL"),
    ],
)
def test_a_key_or_url_that_no_client_can_use(changes: dict[str, Any], seen: str) -> None:
    (finding,) = found(None, **changes)
    assert finding.level is Level.FAIL
    assert seen in finding.seen
    assert "SECRET" not in finding.seen
