"""Pages in a real browser: accessible, within the policy of contents, up to date, usable by keys.

They need Chromium and the extra `browser`; without them these tests are skipped.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec
import numpy as np
import pytest

from tests.analyzers.drift.traffic import FIRST, traffic
from tests.streams.http.browser import axe_findings, browse, needs_browser
from tests.streams.http.server import SECRET, Api, api
from tests.streams.http.views import BROKEN, decided, policy
from understudy.analyzers.drift.periods import HOURS_OF_DAY, periods_of
from understudy.analyzers.drift.side_drift import drift_of
from understudy.schemas.decisions import Decision, Evidence
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.clickhouse.drift_watch import SideLook
from understudy.streams.clickhouse.evidence_history import EvidencePoint
from understudy.streams.clickhouse.traffic_figures import Traffic
from understudy.streams.http import dashboard_routes, drift_cache, evidence_cache, traffic_cache

pytestmark = [pytest.mark.embedded, pytest.mark.slow, needs_browser]

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
NAME = "help 日本 <script>alert(1)</script>"
PAGE = f"/rollouts/{quote(NAME, safe='')}"
RECORD = RolloutRecord(manifest=policy(rollout_id=NAME))
PATHS = (
    "/rollouts", PAGE, f"{PAGE}/evidence/error_rate?slice=all", f"{PAGE}/traffic",
    f"{PAGE}/policy", "/sign-in", "/rollouts/unknown",
)  # fmt: skip
SHIFTS = """window.shifted = 0;
new PerformanceObserver((seen) => seen.getEntries().forEach((one) => { shifted += one.value; }))
  .observe({ type: "layout-shift", buffered: true });"""
"""Adds up what Chromium calls cumulative layout shift."""
IS_DRAWN = """Array.from(document.querySelectorAll("canvas")).every((one) =>
  one.getContext("2d").getImageData(0, 0, one.width, one.height).data.some((value) => value))"""
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def broken() -> Decision:
    found = decided(policy(), BROKEN).decision()
    return msgspec.structs.replace(found, rollout_id=NAME, sequence=7)


@pytest.fixture
def server(broken: Decision) -> Iterator[Api]:
    with api() as made:
        made.show(RECORD, broken)
        yield made


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_finding_of_axe(server: Api, scheme: str) -> None:
    async def check(page: Any) -> dict[str, list[str]]:
        found = {}
        for path in PATHS:
            await page.goto(path)
            found[path] = await axe_findings(page)
        return found

    # axe itself is injected as a script of the page, which the policy forbids
    found = browse(server, check, color_scheme=scheme, bypass_csp=True)
    assert found == {path: [] for path in PATHS}


def test_pages_keep_to_their_policy_of_contents_and_fit_a_phone(server: Api) -> None:
    async def check(page: Any) -> dict[str, int]:
        widths = {}
        for path in PATHS:
            await page.goto(path)
            widths[path] = await page.evaluate("document.documentElement.scrollWidth")
        return widths

    found = browse(server, check, viewport={"width": 390, "height": 800})
    assert found == dict.fromkeys(PATHS, 390)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_changed_behind_a_name_is_legible_on_a_phone(
    server: Api, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    periods = periods_of("candidate", FIRST, FIRST + 15 * HOURS_OF_DAY)
    assert periods is not None
    drift = drift_of(traffic(np.random.default_rng(6), 15, longer=1.8), periods)

    def read(*_: object) -> Traffic:
        return Traffic(NOON, NOON, 0, {}, {}, [])

    monkeypatch.setattr(traffic_cache, "read_traffic", read)
    monkeypatch.setattr(drift_cache, "look_at", lambda _, id, side: SideLook(side, 360, drift))

    async def check(page: Any) -> tuple[list[str], int]:
        await page.goto(f"{PAGE}/traffic?whole=1")
        assert await page.locator("#drift").count() == 1
        found = await axe_findings(page)
        return found, await page.evaluate("document.documentElement.scrollWidth")

    phone = {"width": 390, "height": 800}
    assert browse(server, check, color_scheme=scheme, bypass_csp=True, viewport=phone) == ([], 390)


def test_nothing_moves_once_it_is_painted(server: Api) -> None:
    """The word that says that a page is live once made a second line of its head."""
    widths = (*range(320, 520, 20), 1280)  # the word is some 30 pixels wide

    async def check(page: Any) -> dict[int, float]:
        await page.add_init_script(SHIFTS)
        found = {}
        for width in widths:
            await page.set_viewport_size({"width": width, "height": 823})
            found[width] = await _shift(page, PAGE)
        return found

    found = browse(server, check)
    assert max(found.values()) < 0.001, found


def test_what_clickhouse_answers_later_moves_nothing(
    server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = threading.Event()

    def points(*asked: Any) -> list[EvidencePoint]:
        decision, one = cast(tuple[Decision, Evidence], asked[-2:])
        painted.wait(10)
        point = EvidencePoint.of(decision, one)
        return [point, replace(point, at_ms=point.at_ms + 60_000)]

    monkeypatch.setattr(dashboard_routes, "FIRST_PAINT_S", 0.01)
    monkeypatch.setattr(evidence_cache.EvidenceCache, "points", points)

    async def end(page: Any, selector: str) -> float:
        box = await page.locator(selector).last.bounding_box()
        return float(box["y"] + box["height"])

    async def check(page: Any) -> tuple[float, ...]:
        await page.goto(PATHS[2])
        before = await page.locator("h2").first.bounding_box()
        painted.set()
        await page.wait_for_selector("[data-later]", state="detached")
        after = await page.locator("h2").first.bounding_box()
        assert await page.evaluate(IS_DRAWN)
        return before["y"], after["y"], await end(page, ".u-legend"), await end(page, ".plot")

    phone = {"width": 390, "height": 800}  # where legends have two lines
    before, after, end_of_legend, end_of_plot = browse(server, check, viewport=phone)
    assert before == after
    assert end_of_legend <= end_of_plot


async def _shift(page: Any, path: str) -> float:
    await page.goto(path)
    await page.wait_for_selector("#live:text-is('Live')")
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
    return float(await page.evaluate("window.shifted"))


def test_a_page_that_is_open_shows_the_next_decision(server: Api, broken: Decision) -> None:
    async def check(page: Any) -> str:
        await page.goto(PAGE)
        await page.wait_for_selector("#live:text-is('Live')")
        reasons = ["a reason that is new"]
        server.show(decision=msgspec.structs.replace(broken, sequence=8, reasons=reasons))
        await page.wait_for_selector("text=a reason that is new")
        return str(await page.title())

    assert NAME in browse(server, check)


def test_an_operator_signs_in_by_keyboard_and_sees_what_can_be_done(server: Api) -> None:
    async def check(page: Any) -> str:
        await page.goto(f"/sign-in?then={quote(PAGE)}")
        await page.focus("#token")
        await page.keyboard.type(SECRET)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("h2:has-text('Act')")
        return str(await page.inner_text(".actions"))

    assert "Resume" in browse(server, check)
