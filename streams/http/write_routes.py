"""Routes that need a token: apply policies, issue commands, delete rollouts.

They call the same functions as the command `understudy rollout`. None of them needs ClickHouse.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
import structlog
from aiohttp import web

from understudy.schemas.api import (
    ApplyResult,
    AuditPage,
    CommandRequest,
    CommandResult,
    KillRequest,
)
from understudy.schemas.decisions import Decision
from understudy.schemas.manifests import json_as_yaml
from understudy.schemas.openapi import AUDIT
from understudy.schemas.rollout_records import Command, CommandKind
from understudy.schemas.rollouts import RolloutManifest
from understudy.streams.http.access import authorize
from understudy.streams.http.bodies import VERSION_END, encoded
from understudy.streams.http.context import API, ApiContext, in_thread
from understudy.streams.http.etag import ANY, matches, preferred_wait_s
from understudy.streams.http.materialized_view import UnreadableRecord
from understudy.streams.http.problems import Problem
from understudy.streams.http.query_parameters import allow_only, flag, positive_int
from understudy.streams.http.read_routes import ROLLOUT_PATH
from understudy.streams.http.request_body import in_time
from understudy.streams.http.tokens import Token
from understudy.streams.http.waiting_places import TooManyWaiting
from understudy.streams.rollouts import operator_commands
from understudy.streams.rollouts.audit import Actor
from understudy.streams.rollouts.confirmation import is_answered, rejection_of
from understudy.streams.rollouts.policy_diff import PolicyDiff, PolicyFile, policy_file
from understudy.streams.rollouts.registry import Expected, expect_anything, record_version
from understudy.streams.rollouts.rollout_status import status_of

log = structlog.get_logger(__name__)

routes: Final = web.RouteTableDef()

COMMAND_WAIT_S: Final = 10.0
"""For a decision that confirms a command, unless the client says otherwise: as long as another
worker takes to replace one that crashed."""
VISIBLE_TIMEOUT_S: Final = 2.0
"""For a write to come back from the topic, which takes milliseconds."""
JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
AUDIT_RECORDS: Final = 50
"""A screenful or two."""
MAX_AUDIT_RECORDS: Final = 1_000
"""Some hundred kilobytes of JSON."""
POLICY: Final = "policy"
"""The name of the body in error messages."""

_Request = TypeVar("_Request", bound=CommandRequest | KillRequest)


@routes.put(ROLLOUT_PATH)
async def apply(request: web.Request) -> web.Response:
    """Apply a policy: start a rollout, or change one that runs."""
    context, actor = request.app[API], actor_of(request, authorize(request, "admin"))
    allow_only(request, "dry_run")
    is_dry_run, rollout_id = flag(request, "dry_run"), request.match_info["rollout_id"]
    is_json, is_expected = _is_json(request), _expected_record(request)
    text = await _body(request)

    def work() -> tuple[PolicyFile, PolicyDiff]:
        file = _policy(text, rollout_id, is_json=is_json)
        return file, operator_commands.apply_policy(
            context.store, file, dry_run=is_dry_run, actor=actor, is_expected=is_expected
        )

    file, done = await in_thread(context.policy_threads, work)
    if not is_dry_run:
        log.info("http.policy_applied", rollout_id=rollout_id, effect=done.effect, by=actor.by)
        await _wait_until_visible(context, rollout_id, lambda manifest: manifest == file.manifest)
    return _apply_response(done, request.path, is_dry_run=is_dry_run)


@routes.delete(ROLLOUT_PATH)
async def delete(request: web.Request) -> web.Response:
    """Delete a rollout with its evidence and its decision."""
    context, actor = request.app[API], actor_of(request, authorize(request, "admin"))
    allow_only(request)
    rollout_id = request.match_info["rollout_id"]
    is_expected = _expected_record(request)
    await in_thread(
        context.policy_threads,
        partial(
            operator_commands.delete_rollout,
            context.store,
            rollout_id,
            actor=actor,
            is_expected=is_expected,
        ),
    )
    log.info("http.rollout_deleted", rollout_id=rollout_id, by=actor.by)
    await _wait_until_visible(context, rollout_id, lambda manifest: manifest is None)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.post(f"{ROLLOUT_PATH}/kill")
async def kill(request: web.Request) -> web.Response:
    """Roll back now, whatever the evidence; lasts until an operator resumes the rollout."""
    return await _issue(request, "kill")


@routes.post(f"{ROLLOUT_PATH}/resume")
async def resume(request: web.Request) -> web.Response:
    """End a rollback or a pause; evidence of harm starts again."""
    return await _issue(request, "resume")


@routes.post(f"{ROLLOUT_PATH}/promote")
async def promote(request: web.Request) -> web.Response:
    """Move to the next stage, whatever the evidence; does not end a rollback."""
    return await _issue(request, "promote")


@routes.get(AUDIT)
async def read_audit(request: web.Request) -> web.Response:
    """Who changed which rollout: of one or of all, also of deleted ones."""
    context = request.app[API]
    authorize(request, "admin")
    allow_only(request, "rollout_id", "limit")
    limit = positive_int(request, "limit", default=AUDIT_RECORDS, maximum=MAX_AUDIT_RECORDS)
    wanted = request.query.get("rollout_id")
    found = await in_thread(context.policy_threads, lambda: context.store.audit.read(wanted, limit))
    return web.Response(body=encoded(AuditPage(records=found)), content_type=JSON)


def actor_of(request: web.Request, token: Token) -> Actor:
    """Who acts, for the audit."""
    return Actor(
        by=token.name,
        via="http",
        address=request.remote or "",
        forwarded_for=", ".join(request.headers.getall("X-Forwarded-For", [])),
    )


async def _issue(request: web.Request, kind: CommandKind) -> web.Response:
    """Issue a command, then wait for a decision that confirms it."""
    context, actor = request.app[API], actor_of(request, authorize(request, "operate"))
    allow_only(request)
    rollout_id = request.match_info["rollout_id"]
    expects = _expected_sequence(context, request)
    body = await _body(request) or b"{}"
    reason = _decoded(body, KillRequest if kind == "kill" else CommandRequest).reason
    operator_commands.check_command_text(kind, reason=reason, by=actor.by)
    issued = await in_thread(
        context.command_threads,
        partial(
            operator_commands.issue_command,
            context.store,
            rollout_id,
            kind,
            reason=reason,
            actor=actor,
            expects=expects,
        ),
    )
    log.info(
        "http.command_issued",
        rollout_id=rollout_id,
        kind=kind,
        number=issued.number,
        by=actor.by,
    )
    waits_s = preferred_wait_s(request)
    timeout_s = COMMAND_WAIT_S if waits_s is None else waits_s
    return await _command_response(context, rollout_id, issued, timeout_s)


async def _command_response(
    context: ApiContext, rollout_id: str, issued: Command, timeout_s: float
) -> web.Response:
    """200 once a decision says that the command was applied, else 202: then it is stored.

    Raises a 409 or 412 problem for a command that was rejected.
    """
    is_applied, status = await wait_until_applied(context, rollout_id, issued, timeout_s), None
    with suppress(UnreadableRecord):
        rollout = context.view.find(rollout_id) if context.view.is_complete else None
        status = status_of(rollout.record, rollout.decision) if rollout else None
    result = CommandResult(
        rollout_id=rollout_id, command=issued, is_applied=is_applied, status=status
    )
    return web.Response(
        status=HTTPStatus.OK if is_applied else HTTPStatus.ACCEPTED,
        body=encoded(result),
        content_type=JSON,
    )


async def wait_until_applied(
    context: ApiContext, rollout_id: str, issued: Command, timeout_s: float
) -> bool:
    """Whether a decision has applied a command in time; it is stored in any case.

    Raises a 409 or 412 problem for a command that was rejected.
    """
    is_applied = False

    def newest() -> Decision | None:
        found = context.view.newest_decision(rollout_id) if context.view.is_complete else None
        return found.decision if found else None

    with suppress(UnreadableRecord, TooManyWaiting):
        is_applied = await context.view.wait_until(lambda: is_answered(issued, newest()), timeout_s)
        if rejection := rejection_of(issued, newest()):
            raise _rejected(issued, rejection)
    return is_applied


def _rejected(issued: Command, rejection: str) -> Problem:
    """What a worker rejected: with `If-Match`, most likely because that does not hold any more."""
    status = HTTPStatus.CONFLICT if issued.expects is None else HTTPStatus.PRECONDITION_FAILED
    return Problem(status, f"command {issued.number} was rejected: {rejection}")


async def _wait_until_visible(
    context: ApiContext, rollout_id: str, is_expected: Callable[[RolloutManifest | None], bool]
) -> None:
    """Wait until this worker's view has the write, so that the client's next read shows it."""
    view = context.view

    def is_visible() -> bool:
        rollout = view.find(rollout_id)
        return not view.is_complete or is_expected(rollout.record.manifest if rollout else None)

    with suppress(UnreadableRecord, TooManyWaiting):
        await view.wait_until(is_visible, VISIBLE_TIMEOUT_S)


def _expected_sequence(context: ApiContext, request: web.Request) -> int | None:
    """The sequence of the decision that `If-Match` names; it travels in the command.

    So a repeated request promotes once, also when both came before any decision about the first.
    Raises a 412 problem.
    """
    if request.if_match is None or any(tag.value == ANY for tag in request.if_match):
        return None
    newest = context.complete_view().newest_decision(request.match_info["rollout_id"])
    if newest is None or not matches(request.if_match, newest.body.tag):
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED, "there is a newer decision; read it and try again"
        )
    return newest.decision.sequence


def _expected_record(request: web.Request) -> Expected:
    """What `If-Match` and `If-None-Match` say about the record that is to be changed.

    `If-Match` names the `ETag` of the rollout, of which the version of its record counts.
    """
    if request.if_match is not None:
        versions = {tag.value.partition(VERSION_END)[0] for tag in request.if_match}
        return lambda record: record is not None and bool(versions & {ANY, record_version(record)})
    if request.if_none_match is not None and matches(request.if_none_match, ""):
        return lambda record: record is None
    return expect_anything


async def _body(request: web.Request) -> bytes:
    """The whole body, within a time limit."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body uncompressed",
                      {"Accept-Encoding": "identity"})  # fmt: skip
    async with in_time():
        return await request.read()


def _decoded(body: bytes, record: type[_Request]) -> _Request:
    try:
        return msgspec.json.decode(body, type=record)
    except msgspec.ValidationError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None


def _is_json(request: web.Request) -> bool:
    """Whether the body is JSON; it is YAML unless the content type says otherwise."""
    kind = request.content_type if "Content-Type" in request.headers else YAML[0]
    if kind == JSON:
        return True
    if kind in YAML:
        return False
    known = ", ".join((YAML[0], JSON))
    raise Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"send a policy as {known}, not as {kind}; with curl: "
        "-H 'Content-Type: application/yaml' --data-binary @policy.yaml",
        {"Accept": known},
    )


def _policy(text: bytes, rollout_id: str, *, is_json: bool) -> PolicyFile:
    """Raises `ManifestError`."""
    file = policy_file(json_as_yaml(text, POLICY) if is_json else text, POLICY)
    if file.rollout.rollout_id != rollout_id:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"the policy is for the rollout {file.rollout.rollout_id}, the URL for {rollout_id}",
        )
    return file


def _apply_response(done: PolicyDiff, path: str, *, is_dry_run: bool) -> web.Response:
    is_new = done.effect == "created" and not is_dry_run
    result = ApplyResult(
        rollout_id=done.rollout_id,
        effect=done.effect,
        changes=list(done.lines),
        note=done.note,
        is_dry_run=is_dry_run,
    )
    return web.Response(
        status=HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        body=encoded(result),
        content_type=JSON,
        headers={"Location": path} if is_new else None,
    )
