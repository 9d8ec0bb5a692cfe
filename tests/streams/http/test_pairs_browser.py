"""The page of captured pairs: who may see it, what it finds, and in a real browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import ClientSession

from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.test_captured_pairs import pair, side
from tests.streams.http.browser import axe_findings, browse, needs_browser
from tests.streams.http.server import SECRET, Api, api
from tests.streams.http.views import BROKEN, decided, policy
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.clickhouse.captured_pair import CapturedPair
from understudy.streams.clickhouse.captured_pairs import captured_block
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate

pytestmark = pytest.mark.embedded
NAME = "help 日本"
PAGE = f"/rollouts/{quote(NAME, safe='')}"
DATABASE = "test_pairs_browser"
ARABIC = "طلبك في الطريق، وسيصل خلال 3 أيام عمل إلى عنوانك."
FINAL_FORM = '{"city": "東京", "total": 45.33, "lines": [{"item": "雨具", "quantity": 4}]}'
HOSTILE = "<script>document.title = 'hacked'</script> \u202egnp.exe <img src=x onerror=alert(1)>"


def pairs(at_ms: int) -> list[CapturedPair]:
    calls = '[{"name":"refund","arguments":{"order":"A-1","amount":45}}]'
    some = [
        pair("json", stable=side(FINAL_FORM), candidate=side(FINAL_FORM.replace("45.33", "54.33"))),
        pair("arabic", language="ar", kind="length", kinds=["length"], severity=0.3,
             stable=side(ARABIC), candidate=side(ARABIC.replace("3", "5"))),
        pair("calls", language="en", kind="tool_call", kinds=["tool_call"], severity=0.5,
             workflow="support", stable=side("", tool_calls=calls),
             candidate=side("", tool_calls=calls.replace("45", "54"))),
        pair("hostile", language="en", kind="error", kinds=["error"], prompt=HOSTILE,
             stable=side(HOSTILE), candidate=side("", error_type="timeout")),
    ]  # fmt: skip
    return [
        dataclasses.replace(one, rollout_id=NAME, window_start_ms=at_ms, request_time_ms=at_ms)
        for one in some
    ]


@pytest.fixture(scope="module")
def stored(clickhouse_url: str) -> Iterator[str]:
    """The address of a database with pairs of the newest window."""
    client = connect(clickhouse_url, database=DATABASE)
    migrate(client)
    until = decided(policy(), BROKEN).decision().windows_until
    assert until is not None
    insert(client, captured_block(pairs(to_epoch_ms(until) - 60_000)))
    yield f"{clickhouse_url}?database={DATABASE}"
    client.command(f"DROP DATABASE {DATABASE}")
    client.close()


def shown(made: Api, capture: Any = "worst") -> None:
    decision = decided(policy(), BROKEN).decision()
    manifest = msgspec.structs.replace(policy(rollout_id=NAME), capture=capture)
    made.show(
        RolloutRecord(manifest=manifest),
        msgspec.structs.replace(decision, rollout_id=NAME, sequence=7),
    )


@pytest.fixture
def server(stored: str) -> Iterator[Api]:
    with api(clickhouse=stored, tokens="") as made:
        shown(made)
        yield made


def visit(server: Api, path: str, secret: str = "") -> tuple[int, str]:
    """Ask as a browser does, without following redirects."""

    async def visited() -> tuple[int, str]:
        host, port = server.address
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        async with (
            ClientSession() as client,
            client.get(
                f"http://{host}:{port}{path}", headers=headers, allow_redirects=False
            ) as answer,
        ):
            return answer.status, await answer.text()

    return server.run(visited())


def page(server: Api, query: str = "", secret: str = "") -> str:
    sign = "&" if query else "?"
    status, text = visit(server, f"{PAGE}/pairs{query}{sign}whole=1", secret)
    assert status == 200, text
    return text


def found(text: str) -> list[str]:
    return [name for name in ("json", "arabic", "calls", "hostile") if f"<bdi>{name}</bdi>" in text]


def test_filters_and_links_find_pairs(server: Api) -> None:
    assert found(page(server)) == ["json", "arabic", "calls", "hostile"]
    assert found(page(server, "?language=en")) == ["calls", "hostile"]
    assert found(page(server, "?language=en&kind=error")) == ["hostile"]
    assert found(page(server, "?workflow=support")) == ["calls"]
    assert found(page(server, "?workflow=&language=*")) == ["json", "arabic", "hostile"]
    assert found(page(server, "?pair=arabic")) == ["arabic"]
    assert "Show more" in page(server, "?limit=1")
    assert "No such pair was captured" in page(server, "?language=fr")


def test_it_says_how_to_capture_where_nothing_is(server: Api) -> None:
    shown(server, "none")
    assert "capture: worst" in page(server, "?language=fr")


def test_texts_take_a_token_with_the_scope_where_there_are_tokens(stored: str) -> None:
    operator, reader = "o" * 20, "c" * 20
    tokens = f"anna:admin:{SECRET},bob:operate:{operator},eve:captures:{reader}"
    with api(clickhouse=stored, tokens=tokens) as made:
        shown(made)
        assert visit(made, f"{PAGE}/pairs") == (303, "")
        status, text = visit(made, f"{PAGE}/pairs", operator)
        assert (status, "scope captures" in text) == (403, True)
        for secret in (SECRET, reader):
            assert found(page(made, "?language=ar", secret)) == ["arabic"]


def test_texts_are_not_shown_to_others_without_tokens(stored: str) -> None:
    with api(clickhouse=stored, tokens="", is_local=False) as made:
        shown(made)
        assert visit(made, f"{PAGE}/pairs")[0] == 403


def test_evidence_leads_to_pairs(server: Api) -> None:
    _, text = visit(server, f"{PAGE}/evidence/error_rate?slice=all")
    assert f"{PAGE}/pairs?kind=error&amp;hours=24" in text


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_it_is_accessible_fits_a_phone_and_nothing_acts(
    server: Api, scheme: str
) -> None:
    async def look(page: Any) -> tuple[str, int, list[str]]:
        await page.goto(f"{PAGE}/pairs?whole=1")
        title, width = await page.title(), await page.evaluate("document.body.scrollWidth")
        await page.select_option("select[name=kind]", "tool_call")
        await page.click("text=Show")
        await page.wait_for_selector("article")
        assert await page.locator("article").count() == 1
        await page.goto(f"{PAGE}/pairs?whole=1")
        return title, width, await axe_findings(page)

    title, width, violations = browse(
        server, look, color_scheme=scheme, bypass_csp=True, viewport={"width": 390, "height": 800}
    )
    assert (title, width, violations) == (f"Pairs of {NAME} · Understudy", 390, [])
