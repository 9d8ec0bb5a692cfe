"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from confluent_kafka import KafkaException

from understudy.schemas.api import ProblemDocument
from understudy.schemas.manifests import ManifestError
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.http.bodies import encoded
from understudy.streams.http.materialized_view import TooManyWait, Unreadable
from understudy.streams.kafka.topic_reader import MissingTopic
from understudy.streams.rollouts.operator_commands import CommandRejected, InvalidCommandText
from understudy.streams.rollouts.registry import ChangeConflict, UnknownRollout

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
KEPT_HEADERS: Final = ("Allow",)
RETRY: Final[Mapping[str, str]] = {"Retry-After": "5"}
_MAX_DETAIL: Final = 2_000

_STATUSES: Final[Mapping[type[Exception], HTTPStatus]] = {
    UnknownRollout: HTTPStatus.NOT_FOUND,
    ChangeConflict: HTTPStatus.CONFLICT,
    CommandRejected: HTTPStatus.CONFLICT,
    ManifestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidCommandText: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unreadable: HTTPStatus.SERVICE_UNAVAILABLE,
    TooManyWait: HTTPStatus.SERVICE_UNAVAILABLE,
    web.RequestPayloadError: HTTPStatus.BAD_REQUEST,
    MissingTopic: HTTPStatus.SERVICE_UNAVAILABLE,
    KafkaException: HTTPStatus.SERVICE_UNAVAILABLE,
    SinkBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    SinkBroken: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Problem(Exception):
    """Ends a request with a status and words for people."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong, as a document; what nobody foresaw is logged and told as little."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        kept = {name: error.headers[name] for name in KEPT_HEADERS if name in error.headers}
        return answer(Problem(HTTPStatus(error.status), _of_aiohttp(error, request), kept))
    except Exception as error:
        return _answer_to(error, request)


def _answer_to(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, Problem):
        return answer(error)
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), None)
    if status is None:
        log.error("api.failed", method=request.method, path=request.path[:200], exc_info=True)
        return answer(Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "unforeseen; the log says more"))
    retry = RETRY if status is HTTPStatus.SERVICE_UNAVAILABLE else None
    place = (error.line, error.column) if isinstance(error, ManifestError) else (0, 0)
    return answer(Problem(status, _words(error), retry), *place)


def _of_aiohttp(error: web.HTTPException, request: web.Request) -> str:
    if error.status == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {request.path}; /api/v1/openapi.json says what there is"
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not for {request.path}; Allow says what is"
    return error.text or error.reason


def _words(error: Exception) -> str:
    if isinstance(error, KafkaException):
        return f"Kafka: {error.args[0].str()}"
    if isinstance(error, SinkBusy | SinkBroken):
        return f"ClickHouse: {error}"
    if isinstance(error, web.RequestPayloadError):
        return "the body cannot be read"
    return str(error)


def answer(problem: Problem, line: int = 0, column: int = 0) -> web.Response:
    """The response that tells of it."""
    document = ProblemDocument(
        title=problem.status.phrase,
        status=problem.status.value,
        detail=_clean(problem.detail),
        line=line or None,
        column=column or None,
    )
    return web.Response(
        status=problem.status,
        body=encoded(document),
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def _clean(text: str) -> str:
    """Short, and without halves of characters, which no JSON can hold."""
    cut = text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]}…"
    return cut.encode("utf-8", "backslashreplace").decode()
