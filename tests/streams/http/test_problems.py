"""Every error is a problem document with the status that tells a client what to do."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from confluent_kafka import KafkaError, KafkaException
from structlog.testing import capture_logs

from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.schemas.manifests import ManifestError
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.http.problems import CONTENT_TYPE, Problem, errors_as_problems
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.rollouts.operator_commands import InvalidCommandText


def answer_to(error: Exception) -> tuple[web.Response, dict[str, Any]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise error

    request = make_mocked_request("GET", "/api/v1/rollouts")
    response = asyncio.run(errors_as_problems(request, handler))  # type: ignore[arg-type]
    assert isinstance(response, web.Response)
    assert response.content_type == CONTENT_TYPE
    assert isinstance(response.body, bytes)
    return response, json.loads(response.body)


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Problem(HTTPStatus.CONFLICT, "taken"), 409, "taken"),
        (CommandRejected("it is at its last stage"), 409, "it is at its last stage"),
        (InvalidCommandText("reason", "is empty"), 422, "reason is empty"),
        (MissingTopic("decisions"), 503, "there is no topic decisions"),
        (SinkBusy("refused"), 503, "ClickHouse: refused"),
        (KafkaException(KafkaError(KafkaError._TRANSPORT, "gone")), 503, "Kafka: gone"),
        (web.HTTPNotFound(), 404, "there is nothing at /api/v1/rollouts"),
        (ZeroDivisionError("secret"), 500, "an unexpected error"),
    ],
)
def test_statuses_and_details(error: Exception, status: int, detail: str) -> None:
    with capture_logs():
        response, document = answer_to(error)
    assert response.status == document["status"] == status
    assert document["title"] == HTTPStatus(status).phrase
    assert detail in document["detail"]
    assert ("Retry-After" in response.headers) is (status == 503)


def test_what_is_unexpected_is_logged_and_not_shown() -> None:
    with capture_logs() as logs:
        _, document = answer_to(ZeroDivisionError("secret"))
    assert "secret" not in json.dumps(document)
    assert [one["event"] for one in logs] == ["http.request_failed"]


def test_a_policys_error_has_its_place() -> None:
    _, document = answer_to(ManifestError("unknown key", "policy", 3, 5))
    assert (document["line"], document["column"]) == (3, 5)


def test_methods_that_are_allowed_stay_in_a_header() -> None:
    response, document = answer_to(web.HTTPMethodNotAllowed("GET", ["PUT"]))
    assert response.headers["Allow"] == "PUT"
    assert "does not support GET" in document["detail"]


def test_a_redirect_is_no_error() -> None:
    with pytest.raises(web.HTTPFound):
        answer_to(web.HTTPFound("/elsewhere"))


def test_details_are_cut_and_can_be_encoded() -> None:
    _, document = answer_to(Problem(HTTPStatus.BAD_REQUEST, "\ud800" + "x" * 5_000))
    assert document["detail"].startswith("\\ud800x")
    assert document["detail"].endswith("…")
    assert len(document["detail"]) < 2_100
