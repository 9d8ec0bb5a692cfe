"""What takes a token: putting policies in force, telling rollouts what to do, forgetting them.

All of it is done by the functions that the command `understudy rollout` calls. Nothing here needs
ClickHouse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
import structlog
from aiohttp import web

from understudy.schemas.api import Applied, Ask, Asked, Kill
from understudy.schemas.manifests import json_as_yaml
from understudy.schemas.rollout_records import CommandKind
from understudy.schemas.rollouts import RolloutManifest
from understudy.streams.http.bodies import encoded
from understudy.streams.http.context import CONTEXT, Context, in_thread
from understudy.streams.http.etag import has, wait_s
from understudy.streams.http.materialized_view import TooManyWait, Unreadable
from understudy.streams.http.problems import Problem
from understudy.streams.http.query_parameters import flag, only
from understudy.streams.http.read_routes import ANY_ROLLOUT
from understudy.streams.http.tokens import holder
from understudy.streams.rollouts import operator_commands as changing
from understudy.streams.rollouts.confirmation import is_confirmed
from understudy.streams.rollouts.policy_diff import PolicyDiff, PolicyFile, policy_file
from understudy.streams.rollouts.rollout_status import status_of

log = structlog.get_logger(__name__)

routes = web.RouteTableDef()

DONE_WITHIN_S: Final = 10.0
"""How long a command waits for its effect unless the client says otherwise."""
SHOWN_WITHIN_S: Final = 2.0
BODY_WITHIN_S: Final = 10.0
JSON: Final = "application/json"
YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
POLICY: Final = "policy"
"""What errors call the body."""

_Words = TypeVar("_Words", bound=Ask | Kill)


@routes.put(ANY_ROLLOUT)
async def apply(request: web.Request) -> web.Response:
    """Put a policy in force: begin a rollout, or change one under way."""
    context, who = request.app[CONTEXT], writer(request)
    only(request, "dry_run")
    is_dry_run, rollout_id = flag(request, "dry_run"), request.match_info["rollout_id"]
    is_json = _is_json(request)
    text = await _body(request)

    def work() -> tuple[PolicyFile, PolicyDiff]:
        file = _policy(text, rollout_id, is_json=is_json)
        return file, changing.apply_policy(context.store, file, dry_run=is_dry_run)

    file, done = await in_thread(context.applying, work)
    if not is_dry_run:
        log.info("api.applied", rollout_id=rollout_id, effect=done.effect, by=who)
        await _shown(context, rollout_id, lambda manifest: manifest == file.manifest)
    return _applied(done, request.path, is_dry_run=is_dry_run)


@routes.delete(ANY_ROLLOUT)
async def delete(request: web.Request) -> web.Response:
    """Forget a rollout, its evidence and its decision."""
    context, who = request.app[CONTEXT], writer(request)
    only(request)
    rollout_id = request.match_info["rollout_id"]
    await in_thread(context.applying, partial(context.store.delete, rollout_id))
    log.info("api.deleted", rollout_id=rollout_id, by=who)
    await _shown(context, rollout_id, lambda manifest: manifest is None)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.post(f"{ANY_ROLLOUT}/kill")
async def kill(request: web.Request) -> web.Response:
    """Roll back now, whatever the evidence; stays until somebody resumes."""
    return await _tell(request, "kill")


@routes.post(f"{ANY_ROLLOUT}/resume")
async def resume(request: web.Request) -> web.Response:
    """Take back a rollback or a pause; evidence of harm is gathered anew."""
    return await _tell(request, "resume")


@routes.post(f"{ANY_ROLLOUT}/promote")
async def promote(request: web.Request) -> web.Response:
    """Move to the next stage, whatever the evidence; a rollback stays."""
    return await _tell(request, "promote")


def writer(request: web.Request) -> str:
    """The name of the token's holder; a problem for whoever has none."""
    tokens = request.app[CONTEXT].tokens
    if not tokens:
        raise Problem(HTTPStatus.FORBIDDEN, "writing is off: the worker has no [api] tokens")
    shown = request.headers.get("Authorization", "")
    name = holder(tokens, shown)
    if name is not None:
        return name
    log.warning("api.unauthorized", method=request.method, path=request.path[:200],
                remote=request.remote)  # fmt: skip
    error = ', error="invalid_token"' if shown else ""
    raise Problem(
        HTTPStatus.UNAUTHORIZED,
        "nobody has this token" if shown else "send `Authorization: Bearer SECRET`",
        {"WWW-Authenticate": f'Bearer realm="understudy"{error}'},
    )


async def _tell(request: web.Request, kind: CommandKind) -> web.Response:
    """Write a command, then wait a while for a decision that shows it."""
    context, who = request.app[CONTEXT], writer(request)
    only(request)
    rollout_id = request.match_info["rollout_id"]
    _check_match(context, request)
    words = _decoded(await _body(request) or b"{}", Kill if kind == "kill" else Ask)
    changing.check_command_text(kind, reason=words.reason, by=who)
    asked = await in_thread(
        context.telling,
        partial(
            changing.issue_command, context.store, rollout_id, kind, reason=words.reason, by=who
        ),
    )
    log.info("api.asked", rollout_id=rollout_id, kind=kind, number=asked.command.number, by=who)
    waits_s = wait_s(request)
    return await _answer(context, rollout_id, asked, DONE_WITHIN_S if waits_s is None else waits_s)


async def _answer(
    context: Context, rollout_id: str, asked: changing.IssuedCommand, waits_s: float
) -> web.Response:
    """200 when it was obeyed, 202 when that was not seen; the command stands in either case."""
    done, status = False, None
    with suppress(Unreadable, TooManyWait):
        done = await context.view.until(partial(_is_obeyed, context, rollout_id, asked), waits_s)
    with suppress(Unreadable):
        standing = context.view.find(rollout_id) if context.view.is_complete else None
        status = status_of(standing.record, standing.decision) if standing else None
    answer = Asked(rollout_id=rollout_id, command=asked.command, is_done=done, status=status)
    return web.Response(
        status=HTTPStatus.OK if done else HTTPStatus.ACCEPTED,
        body=encoded(answer),
        content_type=JSON,
    )


def _is_obeyed(context: Context, rollout_id: str, asked: changing.IssuedCommand) -> bool:
    told = context.view.told(rollout_id) if context.view.is_complete else None
    return is_confirmed(asked.command.kind, asked.before, told.decision if told else None)


async def _shown(
    context: Context, rollout_id: str, is_it: Callable[[RolloutManifest | None], bool]
) -> None:
    """Wait a moment until this worker shows what was written, so that whoever asks next sees it."""
    view = context.view

    def ready() -> bool:
        standing = view.find(rollout_id)
        return not view.is_complete or is_it(standing.record.manifest if standing else None)

    with suppress(Unreadable, TooManyWait):
        await view.until(ready, SHOWN_WITHIN_S)


def _check_match(context: Context, request: web.Request) -> None:
    """`If-Match` names the decision that the client looked at: nobody promotes twice by mistake."""
    if request.if_match is None:
        return
    told = context.complete_board().told(request.match_info["rollout_id"])
    if told is None or not has(request.if_match, told.body.tag):
        raise Problem(HTTPStatus.PRECONDITION_FAILED, "the decision is another by now")


async def _body(request: web.Request) -> bytes:
    """All of it; whoever sends it drop by drop is let go."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as it is, not compressed",
                      {"Accept-Encoding": "identity"})  # fmt: skip
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.read()
    except TimeoutError:
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None


def _decoded(body: bytes, record: type[_Words]) -> _Words:
    try:
        return msgspec.json.decode(body, type=record)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from None


def _is_json(request: web.Request) -> bool:
    """YAML where nothing is said."""
    kind = request.content_type if "Content-Type" in request.headers else YAML[0]
    if kind == JSON:
        return True
    if kind in YAML:
        return False
    known = ", ".join((YAML[0], JSON))
    raise Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"a policy is sent as {known}, not as {kind}; with curl: "
        "-H 'Content-Type: application/yaml' --data-binary @policy.yaml",
        {"Accept": known},
    )


def _policy(text: bytes, rollout_id: str, *, is_json: bool) -> PolicyFile:
    """Raises `ManifestError`."""
    file = policy_file(json_as_yaml(text, POLICY) if is_json else text, POLICY)
    if file.rollout.rollout_id != rollout_id:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"the policy is for {file.rollout.rollout_id}, the address for {rollout_id}",
        )
    return file


def _applied(done: PolicyDiff, path: str, *, is_dry_run: bool) -> web.Response:
    is_new = done.effect == "created" and not is_dry_run
    answer = Applied(
        rollout_id=done.rollout_id,
        effect=done.effect,
        changes=list(done.lines),
        note=done.note,
        is_dry_run=is_dry_run,
    )
    return web.Response(
        status=HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        body=encoded(answer),
        content_type=JSON,
        headers={"Location": path} if is_new else None,
    )
