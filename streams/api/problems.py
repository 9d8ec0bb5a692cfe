"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from confluent_kafka import KafkaException

from understudy.schemas.manifests import ManifestError
from understudy.streams.loading.errors import SinkBroken, SinkBusy
from understudy.streams.rollouts.store import CannotChange, NoTopic, UnknownRollout

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """Ends a request with a status and words for people."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


class ProblemDocument(msgspec.Struct, frozen=True):
    """What an error looks like."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong, as a document; what nobody foresaw is logged and told as little."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        problem = Problem(HTTPStatus(error.status), error.text or error.reason, kept)
    except Exception as error:
        problem = _problem(error)
        if problem.status is HTTPStatus.INTERNAL_SERVER_ERROR:
            log.exception("api.failed", method=request.method, path=request.path[:200])
    return answer(problem)


def answer(problem: Problem) -> web.Response:
    """The response that tells of it."""
    document = ProblemDocument(problem.status.phrase, problem.status.value, problem.detail)
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(document) + b"\n",
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnknownRollout):
        return Problem(HTTPStatus.NOT_FOUND, str(error))
    if isinstance(error, CannotChange):
        return Problem(HTTPStatus.CONFLICT, str(error))
    if isinstance(error, ManifestError):
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    if isinstance(error, KafkaException | NoTopic):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"Kafka: {error}", {"Retry-After": "5"})
    if isinstance(error, SinkBusy | SinkBroken):
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"ClickHouse: {error}", {"Retry-After": "5"})
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the log says more")
