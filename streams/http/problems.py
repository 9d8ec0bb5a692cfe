"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from confluent_kafka import KafkaException

from understudy.analyzers.guardrails.evaluator import CommandRejected
from understudy.schemas.api import ProblemDocument
from understudy.schemas.manifests import ManifestError
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.http.bodies import encoded
from understudy.streams.http.materialized_view import UnreadableRecord
from understudy.streams.http.waiting_places import TooManyWaiting
from understudy.streams.kafka.explanations import brief
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.logs import LogLimit
from understudy.streams.rollouts.operator_commands import InvalidCommandText
from understudy.streams.rollouts.registry import ChangeConflict, RecordChanged, UnknownRollout

log = structlog.get_logger(__name__)
_limited_log: Final = LogLimit(log)

CONTENT_TYPE: Final = "application/problem+json"
RETRY: Final[Mapping[str, str]] = {"Retry-After": "5"}
"""Brokers and databases that restart are rarely back sooner."""
_KEPT_HEADERS: Final = ("Allow",)
_MAX_DETAIL: Final = 2_000
"""More than any message of ours needs; what clients send may be quoted in one."""

_STATUSES: Final[Mapping[type[Exception], HTTPStatus]] = {
    UnknownRollout: HTTPStatus.NOT_FOUND,
    ChangeConflict: HTTPStatus.CONFLICT,
    RecordChanged: HTTPStatus.PRECONDITION_FAILED,
    CommandRejected: HTTPStatus.CONFLICT,
    ManifestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidCommandText: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnreadableRecord: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyWaiting: HTTPStatus.SERVICE_UNAVAILABLE,
    web.RequestPayloadError: HTTPStatus.BAD_REQUEST,
    ConnectionResetError: HTTPStatus.BAD_REQUEST,
    MissingTopic: HTTPStatus.SERVICE_UNAVAILABLE,
    KafkaException: HTTPStatus.SERVICE_UNAVAILABLE,
    SinkBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    SinkBroken: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(Exception):
    """Ends a request with a status and an explanation."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a problem document. The log has the details of unexpected ones."""
    try:
        return await handler(request)
    except Exception as error:
        if isinstance(error, web.HTTPException) and error.status < HTTPStatus.BAD_REQUEST:
            raise
        place = (error.line, error.column) if isinstance(error, ManifestError) else (0, 0)
        return _response(problem_of(error, request), *place)


def problem_of(error: Exception, request: web.Request) -> Problem:
    """Say what went wrong. An unexpected error is logged, and nothing is told of it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        kept = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        return Problem(HTTPStatus(error.status), _detail_of_aiohttp(error, request), kept)
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), None)
    if status is None:
        _limited_log.error("http.request_failed", method=request.method, path=request.path[:200],
                  exc_info=True)  # fmt: skip
        detail = "an unexpected error; the worker's log has the details"
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)
    retry = RETRY if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    return Problem(status, _detail(error), retry)


def _detail_of_aiohttp(error: web.HTTPException, request: web.Request) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return (
            f"there is nothing at {request.path}; workers that decide list their paths at "
            "/api/v1/openapi.json"
        )
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.path} does not support {request.method}; see the header Allow"
    return error.text or error.reason


def _detail(error: Exception) -> str:
    if isinstance(error, KafkaException):
        return f"Kafka: {brief(error)}"
    if isinstance(error, SinkBusy | SinkBroken):
        return f"ClickHouse: {error}"
    if isinstance(error, web.RequestPayloadError | ConnectionResetError):
        return "the body cannot be read"
    return str(error)


def _response(problem: Problem, line: int = 0, column: int = 0) -> web.Response:
    document = ProblemDocument(
        title=problem.status.phrase,
        status=problem.status.value,
        detail=_encodable(problem.detail),
        line=line or None,
        column=column or None,
    )
    return web.Response(
        status=problem.status,
        body=encoded(document),
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def _encodable(text: str) -> str:
    """Cut long text and escape lone surrogates, which JSON cannot hold."""
    cut = text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]}…"
    return cut.encode("utf-8", "backslashreplace").decode()
