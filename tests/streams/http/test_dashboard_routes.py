"""Pages over HTTP: what they show, who may act, what they refuse, and how they stay up to date."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
import pytest
from aiohttp import ClientResponse, ClientSession
from structlog.testing import capture_logs

from tests.analyzers.drift.traffic import FIRST, traffic
from tests.analyzers.guardrails.world import ROLLOUT
from tests.streams.http.server import SECRET, Api, api
from tests.streams.http.views import BROKEN, decided, policy
from understudy.analyzers.drift.periods import HOURS_OF_DAY, periods_of
from understudy.analyzers.drift.side_drift import drift_of
from understudy.schemas.decisions import Decision
from understudy.schemas.events import Side
from understudy.schemas.rollout_records import Command, CommandKind, RolloutRecord
from understudy.schemas.rollouts import Rollout
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.clickhouse.sink_errors import SinkBroken, SinkBusy
from understudy.streams.clickhouse.traffic_figures import Traffic
from understudy.streams.dashboard.backtest_page import StoredTrial
from understudy.streams.dashboard.pages import static_url
from understudy.streams.http import dashboard_routes, drift_cache, traffic_cache
from understudy.streams.http.dashboard_routes import CONTENT_SECURITY_POLICY
from understudy.streams.http.materialized_view import ViewUpdate
from understudy.streams.http.sessions import COOKIE, cookie_value
from understudy.streams.rollouts import operator_commands

pytestmark = pytest.mark.embedded
NAME = "help <b>desk</b>"
PAGE = f"/rollouts/{quote(NAME, safe='')}"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
RECORD = RolloutRecord(manifest=policy(rollout_id=NAME))
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def broken() -> Decision:
    """A rollback, by an evaluator."""
    found = decided(policy(), BROKEN).decision()
    return msgspec.structs.replace(found, rollout_id=NAME, sequence=7)


@pytest.fixture
def server(broken: Decision) -> Iterator[Api]:
    with api() as made:
        made.show(RECORD, broken)
        yield made


def visit(
    server: Api, path: str, method: str = "GET", *, session: str = "", data: object = None,
    **headers: str,
) -> tuple[int, dict[str, str], str]:  # fmt: skip
    """Ask as a browser does, without following redirects."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if session:
        named["Cookie"] = f"{COOKIE}={session}"

    async def visited() -> tuple[int, dict[str, str], str]:
        host, port = server.address
        async with (
            ClientSession() as client,
            client.request(
                method, f"http://{host}:{port}{path}", data=data, headers=named,
                allow_redirects=False,
            ) as found,
        ):  # fmt: skip
            lower = {name.lower(): value for name, value in found.headers.items()}
            return found.status, lower, await found.text()

    return server.run(visited())


def signed_in(server: Api) -> str:
    return cookie_value(server.context.tokens[0], dt.datetime.now(dt.UTC))


def test_the_list_leads_to_each_rollout_and_escapes_its_name(server: Api) -> None:
    assert visit(server, "/")[:2] == (303, visit(server, "/")[1])
    assert visit(server, "/")[1]["location"] == "/rollouts"
    status, headers, text = visit(server, "/rollouts")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert f'href="{PAGE}"' in text
    assert "<b>desk</b>" not in text
    assert "Find the cause" in text


def test_a_rollout_is_shown_with_reasons_findings_and_the_guardrail_behind_them(
    server: Api, broken: Decision
) -> None:
    status, _, text = visit(server, PAGE)
    assert status == 200
    assert "harm beyond the limit is shown" in text
    assert f"{PAGE}/evidence/error_rate?slice=all" in text
    status, _, text = visit(server, f"{PAGE}/evidence/error_rate?slice=all&whole=1")
    assert status == 200
    assert "ClickHouse: " in text, "without it the newest evidence is still shown"
    assert visit(server, f"{PAGE}/evidence/error_rate?slice=language%3Axx")[0] == 404
    assert "min_requests: 1500" in visit(server, f"{PAGE}/policy")[2]
    assert visit(server, f"{PAGE}/history?whole=1")[0] == 503
    assert "ClickHouse: " in visit(server, f"{PAGE}/traffic?whole=1")[2]


def test_a_page_is_painted_before_a_slow_clickhouse_and_whole_after_it(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, asked = threading.Event(), []

    def read(*_: object) -> Traffic:
        asked.append(1)
        assert go_on.wait(20)
        return Traffic(NOON, NOON, 0, {}, {}, [])

    monkeypatch.setattr(dashboard_routes, "FIRST_PAINT_S", 0.01)
    monkeypatch.setattr(traffic_cache, "read_traffic", read)
    text = visit(server, f"{PAGE}/traffic?hours=1")[2]
    assert "data-later" in text
    assert 'href="?hours=1&amp;whole=1"' in text, "for browsers without the script"
    assert "No window is stored" not in text, "nobody knows that yet"
    go_on.set()
    text = visit(server, f"{PAGE}/traffic?hours=1&whole=1")[2]
    assert "data-later" not in text
    assert "No window is stored" in text
    assert len(asked) == 1, "what was asked went on"


def test_traffic_shows_what_changed_behind_a_name(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> Traffic:
        return Traffic(NOON, NOON, 0, {}, {}, [])

    def look(_: object, rollout_id: str, side: Side) -> SideLook:
        if side == "stable":
            return SideLook(side, 30, None)
        periods = periods_of(side, FIRST, FIRST + 15 * HOURS_OF_DAY)
        assert periods is not None
        return SideLook(
            side, 360, drift_of(traffic(np.random.default_rng(6), 15, longer=1.8), periods)
        )

    monkeypatch.setattr(traffic_cache, "read_traffic", read)
    monkeypatch.setattr(drift_cache, "look_at", look)
    text = visit(server, f"{PAGE}/traffic?whole=1")[2]
    assert "Against its own past" in text
    assert "<b>Stable.</b> There are 30 hours of traffic" in text
    assert "<b>Candidate.</b> Changed: mean answer length." in text
    assert '<th scope="row">mean answer length</th>' in text

    def away(*_: object) -> SideLook:
        raise SinkBusy("away")

    monkeypatch.setattr(drift_cache, "look_at", away)
    text = visit(server, f"{PAGE}/traffic?hours=2&whole=1")[2]
    assert "Against its own past" in text, "kept for the hour"


def test_pages_may_load_nothing_from_elsewhere_and_run_nothing_of_their_own(server: Api) -> None:
    for path in ("/rollouts", PAGE, "/rollouts/unknown", "/sign-in"):
        headers = visit(server, path)[1]
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CONTENT_SECURITY_POLICY


def test_errors_are_pages_for_people_and_documents_for_programs(server: Api) -> None:
    status, headers, text = visit(server, "/rollouts/helpdeks")
    assert (status, headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "helpdeks" in text
    assert server.get("/api/v1/rollouts/helpdeks").headers["content-type"] == (
        "application/problem+json"
    )
    assert visit(server, f"{PAGE}/traffic?hours=none")[0] == 400


def test_a_page_of_an_error_has_the_headers_of_its_document(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visit(server, f"{PAGE}/history", "PUT")[1]["allow"]
    form = {"reason": "why"}
    challenge = visit(server, f"{PAGE}/kill", "POST", data=form)[1]["www-authenticate"]
    assert challenge.startswith("Bearer ")
    monkeypatch.setattr(server.view, "is_complete", False)
    status, headers, _ = visit(server, PAGE)
    assert (status, headers["retry-after"]) == (503, "1")
    assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_commands_and_sessions_are_logged_with_their_names_and_never_a_secret(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def issue(_: object, __: str, kind: CommandKind, **how: Any) -> Command:
        return Command(number=3, kind=kind, reason=how["reason"], by="anna", at=NOON)

    async def applied(*_: object) -> bool:
        return True

    monkeypatch.setattr(operator_commands, "issue_command", issue)
    monkeypatch.setattr(dashboard_routes, "wait_until_applied", applied)
    with capture_logs() as logs:
        visit(server, "/sign-in", "POST", data={"token": SECRET})
        visit(server, "/sign-in", "POST", data={"token": "wrong-wrong-wrong"})
        form = {"reason": "why"}
        visit(server, f"{PAGE}/kill", "POST", data=form, session=signed_in(server))
    said = [(one["event"], one["by"]) for one in logs]
    assert said == [
        ("http.signed_in", "anna"), ("http.unauthorized", ""), ("http.command_issued", "anna"),
    ]  # fmt: skip
    assert SECRET not in str(logs)
    assert "wrong-wrong" not in str(logs)


def test_files_are_kept_by_browsers_and_others_are_not_found(server: Api) -> None:
    status, headers, _ = visit(server, static_url("dashboard.css"))
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert headers["content-encoding"] in ("gzip", "deflate")
    other = visit(server, "/static/dashboard.css?v=1")[1]
    assert other["cache-control"] == "no-cache", "another release's file may be asked for here"
    assert headers["content-type"] == "text/css; charset=utf-8"
    assert visit(server, "/static/..%2Fpages.py")[0] == 404


def test_signing_in_sets_a_cookie_that_no_script_and_no_other_site_can_use(server: Api) -> None:
    form = {"token": SECRET, "then": PAGE}
    status, headers, _ = visit(server, "/sign-in", "POST", data=form)
    assert (status, headers["location"]) == (303, PAGE)
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    session = cookie.split(";")[0].partition("=")[2].strip('"')
    text = visit(server, PAGE, session=session)[2]
    assert "anna" in text
    assert 'action="/rollouts/' in text
    assert "Max-Age=0" in visit(server, "/sign-out", "POST", session=session)[1]["set-cookie"]


def test_a_wrong_token_and_a_way_elsewhere_are_refused(server: Api) -> None:
    status, headers, text = visit(server, "/sign-in", "POST", data={"token": "wrong"})
    assert (status, "unknown" in text, "set-cookie" in headers) == (401, True, False)
    for then in ("//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb"):
        form = {"token": SECRET, "then": then}
        assert visit(server, "/sign-in", "POST", data=form)[1]["location"] == "/rollouts"


def test_a_link_to_the_form_leads_on_whom_it_need_not_ask(server: Api) -> None:
    place = "/sign-in?then=%2Frollouts%2Fa%23act"
    assert visit(server, place)[0] == 200
    status, headers, _ = visit(server, place, session=signed_in(server))
    assert (status, headers["location"]) == (303, "/rollouts/a#act")
    with api(tokens="") as other:
        assert visit(other, place)[0] == 303, "nobody can sign in here"


def test_without_a_session_nothing_can_be_done_and_no_form_is_shown(server: Api) -> None:
    assert 'action="/rollouts/' not in visit(server, PAGE)[2]
    form = {"reason": "why", "sequence": "7"}
    assert visit(server, f"{PAGE}/kill", "POST", data=form)[0] == 401
    reader = "ben:read:another-long-secret"
    with api(tokens=reader) as other:
        other.show(RECORD)
        session = signed_in(other)
        assert 'action="/rollouts/' not in visit(other, PAGE, session=session)[2]
        assert visit(other, f"{PAGE}/kill", "POST", data=form, session=session)[0] == 403


@pytest.mark.parametrize(
    "headers",
    [{"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
     {"Origin": "https://evil.example"}, {"Origin": "null"}],
)  # fmt: skip
def test_forms_of_other_sites_are_refused(server: Api, headers: dict[str, str]) -> None:
    session, form = signed_in(server), {"reason": "why"}
    status, _, text = visit(server, f"{PAGE}/kill", "POST", data=form, session=session, **headers)
    assert status == 403
    assert "another site" in text


def test_the_api_takes_no_session(server: Api) -> None:
    path = f"/api/v1{PAGE}/kill"
    assert visit(server, path, "POST", session=signed_in(server))[0] == 401


def test_a_command_is_issued_for_the_decision_that_was_seen(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued: list[tuple[object, ...]] = []

    def issue(_: object, rollout_id: str, kind: str, **how: object) -> object:
        issued.append((rollout_id, kind, how["reason"], how["expects"]))
        raise operator_commands.InvalidCommandText("reason", "stop here")

    monkeypatch.setattr(operator_commands, "issue_command", issue)
    form = {"reason": " ja is broken ", "sequence": "7"}
    status, _, text = visit(server, f"{PAGE}/kill", "POST", data=form, session=signed_in(server))
    assert issued == [(NAME, "kill", "ja is broken", None)], "a kill is meant in any case"
    visit(server, f"{PAGE}/resume", "POST", data=form, session=signed_in(server))
    assert issued[1:] == [(NAME, "resume", "ja is broken", 7)]
    assert (status, "stop here" in text) == (422, True)


def test_where_reading_takes_a_token_pages_lead_to_the_form_and_back(broken: Decision) -> None:
    with api(read_needs_token=True) as server:
        server.show(RECORD, broken)
        status, headers, _ = visit(server, f"{PAGE}/policy")
        assert (status, headers["location"]) == (
            303, f"/sign-in?then={quote(f'{PAGE}/policy', safe='')}",
        )  # fmt: skip
        assert visit(server, headers["location"])[0] == 200
        assert visit(server, "/static/dashboard.css")[0] == 200
        assert visit(server, f"{PAGE}/policy", session=signed_in(server))[0] == 200
        assert visit(server, f"{PAGE}/live")[0] in (303, 401)


def test_an_open_page_hears_of_every_change(server: Api, broken: Decision) -> None:
    async def follow(found: ClientResponse, sequence: int) -> list[str]:
        first = await _data(found)
        server.show(decision=msgspec.structs.replace(broken, sequence=sequence))
        return [first, await _data(found)]

    for sequence, path in enumerate(("/live", f"{PAGE}/live"), start=8):
        first, second = _streamed(server, path, partial(follow, sequence=sequence))
        assert first != second


def _streamed(server: Api, path: str, use: Callable[[ClientResponse], Awaitable[Result]]) -> Result:
    async def streamed() -> Result:
        host, port = server.address
        async with (
            ClientSession() as client,
            client.get(f"http://{host}:{port}{path}") as found,
            asyncio.timeout(20),
        ):
            assert found.headers["content-type"] == "text/event-stream"
            return await use(found)

    return server.run(streamed())


async def _data(found: ClientResponse) -> str:
    async for line in found.content:
        if line.startswith(b"data: "):
            return line.decode()
    raise AssertionError("the stream ended")


def test_a_stream_ends_quietly_when_its_rollout_is_deleted(server: Api) -> None:
    async def follow(found: ClientResponse) -> bytes:
        await _data(found)
        server.view.apply([ViewUpdate("rollout", NAME, None)])
        return await found.content.read()

    assert b"HTTP/1.1" not in _streamed(server, f"{PAGE}/live", follow)


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/json"])
def test_what_is_no_form_is_refused(server: Api, kind: str) -> None:
    status = visit(server, "/sign-in", "POST", data=b"token=x", Content_Type=kind)[0]
    assert status == 415
    form = "application/x-www-form-urlencoded"
    assert visit(server, "/sign-in", "POST", data=b"token=\xff", Content_Type=form)[0] == 400


def test_a_rollout_may_be_named_live(server: Api) -> None:
    server.show(RolloutRecord(manifest=policy(rollout_id="live")))
    status, headers, _ = visit(server, "/rollouts/live")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")


CHANGED = "rollout_id: whatever\nmodels: {stable: heron-4, candidate: heron-5}\nstages: [shadow]\n"


def test_a_changed_policy_is_judged_and_its_page_says_when_it_is_done(broken: Decision) -> None:
    asked: list[tuple[object, ...]] = []
    go_on = threading.Event()

    def judge(policy: Rollout, since_ms: int, until_ms: int, _: object) -> StoredTrial:
        asked.append((policy.rollout_id, len(policy.stages), until_ms - since_ms))
        assert go_on.wait(20)
        return StoredTrial([broken], broken, 12, 0)

    async def until_done(found: ClientResponse) -> list[str]:
        first = await _data(found)
        go_on.set()
        return [first, await _data(found)]

    with api(judge=judge) as server:
        server.show(
            RolloutRecord(manifest=policy()), msgspec.structs.replace(broken, rollout_id=ROLLOUT)
        )
        session = signed_in(server)
        assert "textarea" in visit(server, f"/rollouts/{ROLLOUT}/policy", session=session)[2]
        form = {"policy": CHANGED.replace("\n", "\r\n"), "hours": "6"}
        status, headers, _ = visit(
            server, f"/rollouts/{ROLLOUT}/backtests", "POST", data=form, session=session
        )
        place = headers["location"]
        assert (status, place.startswith(f"/rollouts/{ROLLOUT}/backtests/")) == (303, True)
        text = visit(server, place)[2]
        assert "Judging the last 6 h" in text
        assert f'data-live="{place}/live"' in text
        assert (
            visit(server, f"/rollouts/{ROLLOUT}/backtests", "POST", data=form, session=session)[0]
            == 503
        )
        assert _streamed(server, f"{place}/live", until_done) == [
            "data: running\n", "data: done\n",
        ]  # fmt: skip
        text = visit(server, place)[2]
        assert "It would have rolled the candidate back" in text
        assert "-stages.half" in text, "what differs from the policy in force"
        assert 'data-live=""' in text
        assert asked == [(ROLLOUT, 1, 6 * 3_600_000)]


def test_a_backtest_that_fails_says_why_and_leaves_no_error_behind(
    broken: Decision, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()

    def judge(*_: object) -> StoredTrial:
        assert go_on.wait(20)
        raise SinkBroken("no such table")

    async def until_done(found: ClientResponse) -> list[str]:
        first = await _data(found)
        go_on.set()
        return [first, await _data(found)]

    with api(judge=judge) as server:
        server.show(RECORD, broken)
        session, form = signed_in(server), {"policy": CHANGED}
        place = visit(server, f"{PAGE}/backtests", "POST", data=form, session=session)[1][
            "location"
        ]
        assert _streamed(server, f"{place}/live", until_done)[1] == "data: done\n"
        assert "ClickHouse: no such table" in visit(server, place)[2]
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_a_policy_that_cannot_be_read_comes_back_with_its_line(broken: Decision) -> None:
    with api(judge=lambda *_: StoredTrial([], broken, 1, 0)) as server:
        server.show(RECORD, broken)
        form = {"policy": CHANGED + "stagez: <b>\n", "hours": "x"}
        status, _, text = visit(
            server, f"{PAGE}/backtests", "POST", data=form, session=signed_in(server)
        )
        assert status == 422
        assert "policy:4:" in text
        assert "stagez: &lt;b&gt;" in text, "what was written is still there"


def test_a_backtest_takes_a_token_and_a_form_of_ones_own(server: Api, broken: Decision) -> None:
    assert "textarea" not in visit(server, f"{PAGE}/policy")[2]
    with api(judge=lambda *_: StoredTrial([], broken, 1, 0)) as other:
        other.show(RECORD, broken)
        assert "textarea" not in visit(other, f"{PAGE}/policy")[2]
        form = {"policy": CHANGED}
        assert visit(other, f"{PAGE}/backtests", "POST", data=form)[0] == 401
        status = visit(
            other, f"{PAGE}/backtests", "POST", data=form, session=signed_in(other),
            Sec_Fetch_Site="cross-site",
        )[0]  # fmt: skip
        assert status == 403
        assert visit(other, f"{PAGE}/backtests/unknown")[0] == 404


def test_the_library_of_charts_is_loaded_where_there_are_some(server: Api) -> None:
    charting = [PAGE + path for path in ("/traffic", "/evidence/error_rate?slice=all")]
    for path in ("/rollouts", PAGE, f"{PAGE}/policy", f"{PAGE}/answers", *charting):
        assert ("uPlot" in visit(server, path)[2]) == (path in charting), path


def test_all_rows_of_a_list_are_a_link_away(
    server: Api, broken: Decision, monkeypatch: pytest.MonkeyPatch
) -> None:
    worse = next(one for one in broken.evidence if one.status == "breach")
    many = [msgspec.structs.replace(worse, slice=f"language:x-{n:03}") for n in range(25)]
    server.show(decision=msgspec.structs.replace(broken, sequence=9, evidence=[worse, *many]))
    first, whole = (visit(server, PAGE + query)[2] for query in ("", "?rows=all"))
    assert 'href="?rows=all#slices">… and 5 more</a>' in first
    assert "more</a>" not in whole
    table = whole[whole.index('id="slices"') :]
    assert table.count("language%3Ax-") >= 25
