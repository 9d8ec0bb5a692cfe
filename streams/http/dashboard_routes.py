"""Pages of the dashboard, what they load, and their forms.

Pages read the same view and issue the same commands as the API. They are rendered here, so that a
browser needs a small script only to stay up to date and to draw charts.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

import msgspec
import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from understudy.schemas.api import AnswerQuality, HistoryPage
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.manifests import ManifestError, read_policy
from understudy.schemas.rollout_records import CommandKind
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.captured_pairs import (
    capture_counts,
    worst_pairs,
)
from understudy.streams.clickhouse.decision_history import MAX_DIGITS
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.clickhouse.evidence_history import EvidencePoint
from understudy.streams.clickhouse.pair_judgements import read_judgements
from understudy.streams.clickhouse.read_connection import TIMEOUT_S, ReadConnection
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.traffic_figures import Traffic
from understudy.streams.dashboard.addresses import rollout_path
from understudy.streams.dashboard.answers_page import answers_part
from understudy.streams.dashboard.backtest_page import backtest_page
from understudy.streams.dashboard.drift_rows import drift_rows
from understudy.streams.dashboard.evidence_page import evidence_page
from understudy.streams.dashboard.evidence_rows import KEY
from understudy.streams.dashboard.pages import STATIC_FILES, render, static_file, static_url
from understudy.streams.dashboard.pair_filter import Chosen
from understudy.streams.dashboard.pairs_page import PairsPage, pairs_page
from understudy.streams.dashboard.rollout_page import policy_text, rollout_page
from understudy.streams.dashboard.traffic_page import traffic_page
from understudy.streams.http.access import (
    LIVE,
    PAGES,
    SIGN_IN,
    SIGN_OUT,
    authorize,
    is_page,
    log_refusal,
    token_of,
    waiting_client,
)
from understudy.streams.http.backtests import Backtest
from understudy.streams.http.context import API, ApiContext, in_thread
from understudy.streams.http.materialized_view import UnreadableRecord
from understudy.streams.http.problems import Problem, problem_of
from understudy.streams.http.query_parameters import positive_int, whole_number
from understudy.streams.http.read_routes import (
    DEFAULT_HOURS,
    HISTORY_ROWS,
    MAX_HISTORY_ROWS,
    MAX_HOURS,
    QUEUE_TIMEOUT_S,
    detail_body,
    history_before,
    list_body,
)
from understudy.streams.http.request_body import in_time
from understudy.streams.http.sessions import (
    COOKIE,
    check_same_origin,
    cookie_value,
    start_session,
)
from understudy.streams.http.tokens import holder
from understudy.streams.http.waiting_places import TooManyWaiting
from understudy.streams.http.write_routes import COMMAND_WAIT_S, actor_of, wait_until_applied
from understudy.streams.rollouts import operator_commands
from understudy.streams.rollouts.attention import by_attention, silence_since
from understudy.streams.rollouts.policy_diff import policy_changes
from understudy.streams.rollouts.registry import UnknownRollout
from understudy.streams.rollouts.rollout_status import status_of

log = structlog.get_logger(__name__)
routes: Final = web.RouteTableDef()

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, and nothing that stands in a page runs: model output cannot act."""
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
KEEP_ALIVE_S: Final = 20.0
"""Proxies cut a stream that is silent for a minute, some after half of one."""
RECONNECT_MS: Final = 3_000
"""What a browser waits before it opens a stream again that has ended."""
STATIC_MAX_AGE_S: Final = 365 * 86_400
"""For ever: an address has the hash of what is there."""
MAX_FIELDS: Final = 10
"""Of a form; ours have three."""
FIRST_PAINT_S: Final = 0.3
"""What a page waits for ClickHouse before it is painted without it: hardly noticed."""
_WHOLE: Final = "whole"
"""In a query: wait for all there is."""
PAIRS: Final = 10
MAX_PAIRS: Final = 80
"""Of one page: some 2 MB, were all as long as they may be."""
MAX_CHOSEN: Final = 256
"""Characters of a value in the query; no name is longer."""
_ENDS_OF_A_STREAM: Final = (Problem, UnknownRollout, UnreadableRecord, TooManyWaiting)
"""Once a stream has begun, an error cannot be told any more: the browser asks again and gets it."""
_ROLLOUT: Final = f"{PAGES}/{{rollout_id:[^/]+}}"
_MESSAGES: Final = {
    "applied": "Done: a decision has confirmed it.",
    "stored": "Stored: it is applied as soon as a worker that decides runs.",
}

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Action:
    """A form that issues a command."""

    kind: CommandKind
    title: str
    preview: str
    """What gateways will do."""
    needs_reason: bool = False


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Show errors as pages to people; who has to sign in is asked to."""
    if API not in request.app or not is_page(request):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPRedirection:
        raise
    except Exception as error:
        problem = problem_of(error, request)
        if problem.status is HTTPStatus.UNAUTHORIZED and request.method == hdrs.METH_GET:
            return _redirect(f"{SIGN_IN}?{urlencode({'then': request.path_qs})}")
        page = _page(
            request, "error.html", problem.status,
            title=problem.status.phrase, detail=problem.detail,
        )  # fmt: skip
        page.headers.update(problem.headers)
        return page


@routes.get("/")
async def index(_: web.Request) -> web.Response:
    """The way to the list."""
    return _redirect(PAGES)


@routes.get(PAGES)
async def show_rollouts(request: web.Request) -> web.Response:
    """All rollouts, those that need an operator first."""
    context = request.app[API]
    statuses = [status_of(r.record, r.decision) for r in context.complete_view().all().values()]
    return _page(request, "rollouts.html", rows=by_attention(statuses, context.clock()))


@routes.get(LIVE, allow_head=False)
async def follow_rollouts(request: web.Request) -> web.StreamResponse:
    """Tell the page of all rollouts when something has changed."""
    return await _follow(request, lambda: _list_version(request.app[API]))


@routes.get(_ROLLOUT)
async def show_rollout(request: web.Request) -> web.Response:
    """One rollout and its newest decision."""
    context = request.app[API]
    rollout = context.rollout(request)
    context.view.newest_decision(rollout.record.manifest.rollout_id)  # raises if it is unreadable
    page = rollout_page(rollout.record, rollout.decision, context.clock())
    token = token_of(request)
    may_act = token is not None and token.may("operate")
    return _page(
        request,
        "rollout.html",
        page=page,
        key=KEY,
        actions=_actions(rollout.decision) if may_act else [],
        message=_MESSAGES.get(request.query.get("did", ""), ""),
    )


@routes.get(f"{_ROLLOUT}/live", allow_head=False)
async def follow_rollout(request: web.Request) -> web.StreamResponse:
    """Tell the pages of a rollout when its policy or its decision has changed."""
    context = request.app[API]

    def version() -> str:
        silence = _silence(context, context.rollout(request).decision)
        return f"{detail_body(request).tag}-{silence}"

    return await _follow(request, version)


@routes.get(f"{_ROLLOUT}/evidence/{{guardrail:[^/]+}}")
async def show_evidence(request: web.Request) -> web.Response:
    """One guardrail in one slice, and how its evidence grew."""
    decision = _require_decision(request)
    one = _evidence(request, decision)
    none: list[EvidencePoint] = []
    stored = await _from_clickhouse(
        request,
        lambda connection: request.app[API].evidence.points(connection, decision, one),
        none,
    )
    return _page(
        request, "evidence.html", id=decision.rollout_id, whole=_whole(request),
        page=evidence_page(decision, one, stored.found), problem=stored.problem,
        is_later=stored.is_later,
    )  # fmt: skip


@routes.get(f"{_ROLLOUT}/traffic")
async def show_traffic(request: web.Request) -> web.Response:
    """Both sides side by side, and where every event went."""
    context, rollout_id = request.app[API], request.match_info["rollout_id"]
    hours = positive_int(request, "hours", default=DEFAULT_HOURS, maximum=MAX_HOURS)
    until = _newest_window(request)
    since = until - dt.timedelta(hours=hours)
    none: tuple[Traffic | None, list[SideLook]] = None, []

    def read(connection: ReadConnection) -> tuple[Traffic | None, list[SideLook]]:
        found = context.traffic.read(connection, rollout_id, since, until)
        try:
            return found, context.drift.read(connection, rollout_id, until)
        except (SinkBusy, SinkBroken):  # traffic is shown without it
            return found, []

    stored = await _from_clickhouse(request, read, none)
    found, looks = stored.found
    return _page(
        request, "traffic.html", id=rollout_id, chosen=hours, until=until, whole=_whole(request),
        problem=stored.problem, is_later=stored.is_later, drift=drift_rows(looks),
        page=traffic_page(found) if found is not None and found.rows else None,
    )  # fmt: skip


@routes.get(f"{_ROLLOUT}/answers")
async def show_answers(request: web.Request) -> web.Response:
    """What evaluators say of the answers."""
    context, rollout_id = request.app[API], request.match_info["rollout_id"]
    hours = positive_int(request, "hours", default=DEFAULT_HOURS, maximum=MAX_HOURS)
    rollout, until = context.rollout(request), _newest_window(request)
    since = until - dt.timedelta(hours=hours)
    none: list[AnswerQuality] = []
    stored = await _from_clickhouse(
        request, lambda c: read_answer_quality(c, rollout_id, since, until).evaluators, none
    )
    return _page(
        request, "answers.html", id=rollout_id, chosen=hours, until=until, whole=_whole(request),
        problem=stored.problem, is_later=stored.is_later,
        parts=answers_part(stored.found, rollout.decision),
        evaluators=[one.evaluator for one in rollout.record.manifest.evaluate],
    )  # fmt: skip


@routes.get(f"{_ROLLOUT}/pairs")
async def show_pairs(request: web.Request) -> web.Response:
    """The worst captured pairs, side by side."""
    context, rollout_id = request.app[API], request.match_info["rollout_id"]
    _check_may_see_texts(request)
    hours = positive_int(request, "hours", default=DEFAULT_HOURS, maximum=MAX_HOURS)
    limit = positive_int(request, "limit", default=PAIRS, maximum=MAX_PAIRS)
    chosen, until = _chosen(request), _newest_window(request)
    # A window that has begun by then is stored when it closes.
    since, end = until - dt.timedelta(hours=hours), until + dt.timedelta(minutes=1)

    def read(connection: ReadConnection) -> tuple[PairsPage, bool]:
        """The page, made in the thread that asks: comparing long texts takes a while."""
        counts = capture_counts(connection, rollout_id, since, end)
        if chosen.pair_id is not None:
            found = worst_pairs(connection, rollout_id, pair_id=chosen.pair_id, limit=1)
        else:
            found = worst_pairs(
                connection, rollout_id, language=chosen.language, workflow=chosen.workflow,
                kind=chosen.kind, since=since, until=end, limit=limit + 1,
            )  # fmt: skip
        shown = found[:limit]
        try:
            said = read_judgements(connection, shown)
        except (SinkBusy, SinkBroken):  # pairs are shown without: it may be granted apart
            said = {}
        return pairs_page(shown, counts, chosen, said), len(found) > limit

    stored = await _from_clickhouse(request, read, (pairs_page([], [], chosen), False))
    page, has_more = stored.found
    more = f"{chosen.query(hours)}&limit={min(MAX_PAIRS, 2 * limit)}"
    return _page(
        request, "pairs.html", id=rollout_id, chosen=chosen, hours=hours, until=until,
        problem=stored.problem, is_later=stored.is_later, whole=_whole(request), page=page,
        links={span: chosen.query(span) for span in (1, 24, 168)},
        more=more if has_more and limit < MAX_PAIRS else "",
        capture=context.rollout(request).record.manifest.capture,
    )  # fmt: skip


def _check_may_see_texts(request: web.Request) -> None:
    """Raise a problem unless texts of users may be shown: on this machine alone, or to a token."""
    context = request.app[API]
    if context.tokens:
        authorize(request, "captures")
    elif not context.is_local:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "pairs hold texts of users, and others reach this server: set [http] tokens, one of "
            "them with the scope captures",
        )


def _chosen(request: web.Request) -> Chosen:
    """What the query asks for; `*` is anything, since a workflow may have the empty name."""

    def named(name: str) -> str | None:
        value = request.query.get(name, "*")[:MAX_CHOSEN]
        return None if value == "*" else value

    return Chosen(named("language"), named("workflow"), named("kind"), named("pair"))


@routes.get(f"{_ROLLOUT}/history")
async def show_history(request: web.Request) -> web.Response:
    """Decisions that changed something, and who did what."""
    context, rollout_id = request.app[API], request.match_info["rollout_id"]
    limit = positive_int(request, "limit", default=HISTORY_ROWS, maximum=MAX_HISTORY_ROWS)
    before = history_before(request)
    stored = await _from_clickhouse(
        request,
        lambda _: context.history.page(rollout_id, before, limit),
        HistoryPage(decisions=[], next_before=None),
    )
    if stored.problem:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, stored.problem)
    return _page(
        request, "history.html", id=rollout_id, is_later=stored.is_later, whole=_whole(request),
        decisions=stored.found.decisions, next_before=stored.found.next_before,
    )  # fmt: skip


@routes.get(f"{_ROLLOUT}/policy")
async def show_policy(request: web.Request) -> web.Response:
    """The policy as it was written, and the newest commands."""
    return _policy_page(request)


def _policy_page(
    request: web.Request, tried: str = "", hours: int = DEFAULT_HOURS, problem: str = ""
) -> web.Response:
    """The page, with a policy that somebody tried and what is wrong with it."""
    context = request.app[API]
    record, token = context.rollout(request).record, token_of(request)
    return _page(
        request, "policy.html", HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        id=record.manifest.rollout_id, text=policy_text(record),
        commands=list(reversed(record.commands)), tried=tried, hours=hours, problem=problem,
        can_backtest=context.backtests.is_available and token is not None and token.may("read"),
    )  # fmt: skip


@routes.post(f"{_ROLLOUT}/backtests")
async def start_backtest(request: web.Request) -> web.Response:
    """Judge stored windows by the policy in the form, and lead to the page of the result."""
    check_same_origin(request)
    context, token = request.app[API], authorize(request, "read")
    rollout_id = context.rollout(request).record.manifest.rollout_id
    form = await _form(request)
    text = form.get("policy", "").replace("\r\n", "\n")
    hours = _hours(form.get("hours", ""))
    try:
        policy = await in_thread(context.policy_threads, partial(read_policy, text))
    except ManifestError as error:
        return _policy_page(request, text, hours, str(error))
    until = _newest_window(request)
    since = until - dt.timedelta(hours=hours)
    name = context.backtests.start(
        msgspec.structs.replace(policy, rollout_id=rollout_id), text, hours,
        to_epoch_ms(since), to_epoch_ms(until),
    )  # fmt: skip
    log.info("http.backtest_started", rollout_id=rollout_id, hours=hours, by=token.name)
    return _redirect(f"{rollout_path(rollout_id)}/backtests/{name}")


@routes.get(f"{_ROLLOUT}/backtests/{{backtest:[^/]+}}")
async def show_backtest(request: web.Request) -> web.Response:
    """What came of it, or that it still runs."""
    context, found = request.app[API], _backtest(request)
    record = context.rollout(request).record
    changes = await in_thread(context.policy_threads, partial(policy_changes, record, found.text))
    is_running, problem = not found.result.done(), found.problem
    is_judged = not is_running and not problem
    return _page(
        request, "backtest.html", id=found.rollout_id, backtest=found, is_running=is_running,
        problem=problem, changes=changes,
        page=backtest_page(found.result.result()) if is_judged else None,
    )  # fmt: skip


@routes.get(f"{_ROLLOUT}/backtests/{{backtest:[^/]+}}/live", allow_head=False)
async def follow_backtest(request: web.Request) -> web.StreamResponse:
    """Tell the page of a backtest when it is done."""
    result = asyncio.wrap_future(_backtest(request).result)
    result.add_done_callback(_note_error)
    response = await _begin_stream(request, "running")
    while not (await asyncio.wait([result], timeout=KEEP_ALIVE_S))[0]:
        await response.write(b": still here\n\n")
    await response.write(b"data: done\n\n")
    return response


def _backtest(request: web.Request) -> Backtest:
    context, info = request.app[API], request.match_info
    return context.backtests.find(info["rollout_id"], info["backtest"])


def _hours(text: str) -> int:
    """The span of time in a form; a day for what is no number of hours."""
    number = whole_number(text, MAX_DIGITS)
    return DEFAULT_HOURS if number is None else min(max(number, 1), MAX_HOURS)


@routes.post(f"{_ROLLOUT}/{{kind:kill|resume|promote}}")
async def act(request: web.Request) -> web.Response:
    """Issue a command as the form says, wait for a decision that confirms it, show the rollout."""
    check_same_origin(request)
    context, actor = request.app[API], actor_of(request, authorize(request, "operate"))
    rollout_id, kind = request.match_info["rollout_id"], request.match_info["kind"]
    form = await _form(request)
    command, reason = cast(CommandKind, kind), form.get("reason", "").strip()
    operator_commands.check_command_text(command, reason=reason, by=actor.by)
    issued = await in_thread(
        context.command_threads,
        partial(
            operator_commands.issue_command, context.store, rollout_id, command, reason=reason,
            actor=actor, expects=_expected(command, form.get("sequence", "")),
        ),
    )  # fmt: skip
    log.info(
        "http.command_issued", rollout_id=rollout_id, kind=command, number=issued.number,
        by=actor.by,
    )  # fmt: skip
    is_applied = await wait_until_applied(context, rollout_id, issued, COMMAND_WAIT_S)
    return _redirect(f"{rollout_path(rollout_id)}?did={'applied' if is_applied else 'stored'}")


@routes.get(SIGN_IN)
async def show_sign_in(request: web.Request) -> web.Response:
    """The form for a token; who needs none is led on, so that links may lead here."""
    then = _own_path(request.query.get("then", ""))
    if token_of(request) is not None or not request.app[API].tokens:
        return _redirect(then)
    return _page(request, "sign_in.html", problem="", then=then)


@routes.post(SIGN_IN)
async def sign_in(request: web.Request) -> web.Response:
    """Begin a session."""
    check_same_origin(request)
    context, form = request.app[API], await _form(request)
    then = _own_path(form.get("then", ""))
    token = holder(context.tokens, f"Bearer {form.get('token', '').strip()}")
    if token is None:
        log_refusal(request)
        problem = "This token is unknown."
        return _page(request, "sign_in.html", HTTPStatus.UNAUTHORIZED, problem=problem, then=then)
    log.info("http.signed_in", by=token.name, remote=request.remote)
    response = _redirect(then)
    start_session(response, request, cookie_value(token, context.clock()))
    return response


@routes.post(SIGN_OUT)
async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    check_same_origin(request)
    response = _redirect(PAGES)
    response.del_cookie(COOKIE, path="/")
    return response


@routes.get("/static/{name:.+}")
async def show_static(request: web.Request) -> web.Response:
    """A file that pages load."""
    name = request.match_info["name"]
    if name not in STATIC_FILES:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no file {name}")
    response = web.Response(
        body=static_file(name),
        content_type=STATIC_FILES[name],
        charset="utf-8",
        headers={"Cache-Control": _caching(name, request.query.get("v", ""))},
    )
    response.enable_compression()
    return response


def _caching(name: str, version: str) -> str:
    """For ever only what was asked for: another release has another file at this address."""
    is_this = static_url(name).endswith(f"?v={version}")
    return f"public, max-age={STATIC_MAX_AGE_S}, immutable" if is_this else "no-cache"


def _page(
    request: web.Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> web.Response:
    context = request.app[API]
    token = token_of(request)
    text = render(
        template,
        is_whole=request.query.get("rows") == "all",
        person=token.name if token else "",
        can_sign_in=bool(context.tokens),
        **values,
    )
    response = web.Response(
        text=text, content_type="text/html", charset="utf-8", status=status, headers=PAGE_HEADERS
    )
    response.enable_compression()  # no secret of ours stands in a page
    return response


def _redirect(place: str) -> web.Response:
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: place})


def _own_path(text: str) -> str:
    """A path of this server; the list for anything else, so that nobody is led elsewhere."""
    is_path = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_path else PAGES


def _actions(decision: Decision | None) -> list[_Action]:
    """What may be done now."""
    kill = _Action("kill", "Kill", "Gateways send the candidate nothing more, until an "
                   "operator resumes the rollout.", needs_reason=True)  # fmt: skip
    if decision is None:
        return [kill]
    is_stopped = decision.verdict == "rollback" or decision.is_paused
    resume = _Action(
        "resume", "Resume", f"Gateways send the candidate {_share(decision)} again. Evidence of "
        "harm starts anew.",
    )  # fmt: skip
    following = decision.stage.next
    promote = _Action(
        "promote", "Promote", f"Gateways follow the stage {following}, whatever the evidence says."
    )
    if is_stopped:
        return [resume] if decision.verdict == "rollback" else [resume, kill]
    return [promote, kill] if following else [kill]


def _expected(kind: CommandKind, sequence: str) -> int | None:
    """The decision that was seen. A kill is meant whatever has changed since."""
    return None if kind == "kill" else whole_number(sequence, MAX_DIGITS)


def _share(decision: Decision) -> str:
    stage = decision.stage.stage
    if not stage.share:
        return "mirrored requests"
    others = f", and mirrors of {100 * stage.mirror:g} % of the others," if stage.mirror else ""
    return f"{100 * stage.share:g} % of requests{others}"


def _require_decision(request: web.Request) -> Decision:
    decision = request.app[API].rollout(request).decision
    if decision is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no decision about this rollout yet")
    return decision


def _evidence(request: web.Request, decision: Decision) -> Evidence:
    guardrail, slice_ = request.match_info["guardrail"], request.query.get("slice", "all")
    for one in decision.evidence:
        if (one.guardrail, one.slice) == (guardrail, slice_):
            return one
    raise Problem(HTTPStatus.NOT_FOUND, f"the newest decision has no {guardrail} in {slice_}")


def _newest_window(request: web.Request) -> dt.datetime:
    """The end of the newest window, so that a rollout that has ended still shows its traffic."""
    context = request.app[API]
    decision = context.rollout(request).decision
    until = decision.windows_until if decision else None
    return until or context.clock()


def _list_version(context: ApiContext) -> str:
    tag, rollouts = list_body(context).tag, context.view.all().values()
    return f"{tag}-{sum(_silence(context, one.decision) for one in rollouts)}"


def _silence(context: ApiContext, decision: Decision | None) -> int:
    """Whole minutes without a window, which a page says; 0 while that is no matter."""
    until = decision.windows_until if decision else None
    return int(silence_since(until, context.clock()) or 0.0) // 60


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the form URL-encoded")
    async with in_time():
        body = await request.read()
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the form cannot be read") from None


@dataclass(frozen=True, slots=True)
class _Stored(Generic[Result]):
    """What a query found, or what to show without it, and why."""

    found: Result
    problem: str = ""
    is_later: bool = False
    """Not yet: the page is painted first, and its script asks for the rest."""


async def _from_clickhouse(
    request: web.Request, read: Callable[[Any], Result], without: Result
) -> _Stored[Result]:
    """Ask ClickHouse; a page that is opened waits only as long as nobody notices.

    What is asked goes on, so that whoever asks for the whole page finds it done.
    """
    context, is_whole = request.app[API], request.query.get(_WHOLE) == "1"
    asked = asyncio.ensure_future(
        in_thread(context.history_threads, lambda: read(context.history.connection))
    )
    asked.add_done_callback(_note_error)
    waits_s = TIMEOUT_S + QUEUE_TIMEOUT_S if is_whole else FIRST_PAINT_S
    try:
        return _Stored(await asyncio.wait_for(asyncio.shield(asked), waits_s))
    except TimeoutError:
        problem = "ClickHouse did not answer in time; reload the page to try again."
        return _Stored(without, problem if is_whole else "", is_later=not is_whole)
    except (SinkBusy, SinkBroken) as error:
        return _Stored(without, f"ClickHouse: {error}")


def _note_error(done: asyncio.Future[Any]) -> None:
    """Look at an error that nobody may wait for any more, or asyncio complains about it."""
    if not done.cancelled():
        done.exception()


def _whole(request: web.Request) -> str:
    """The address of the same page with all there is, for browsers without the script."""
    return f"?{urlencode({**request.query, _WHOLE: '1'})}"


async def _follow(request: web.Request, version: Callable[[], str]) -> web.StreamResponse:
    """Server-sent events: the version of what a page shows, now and whenever it changes."""
    known = version()
    response = await _begin_stream(request, known)
    with suppress(*_ENDS_OF_A_STREAM):
        await _tell(response, request, version, known)
    return response


async def _begin_stream(request: web.Request, known: str) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    await response.write(f"retry: {RECONNECT_MS}\ndata: {known}\n\n".encode())
    return response


async def _tell(
    response: web.StreamResponse, request: web.Request, version: Callable[[], str], known: str
) -> None:
    """Write each new version, until the worker stops or another client needs the place."""
    view, client = request.app[API].view, waiting_client(request)
    loop = asyncio.get_running_loop()

    def is_newer(shown: str) -> bool:
        return version() != shown

    while True:
        began_s = loop.time()
        if await view.wait_until(partial(is_newer, known), KEEP_ALIVE_S, client):
            known = version()
            await response.write(f"data: {known}\n\n".encode())
        elif loop.time() - began_s < KEEP_ALIVE_S - 1.0:
            return
        else:
            await response.write(b": still here\n\n")
