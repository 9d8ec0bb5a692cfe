"""A page of the API in a headless Chromium, and what axe finds on it.

Needs Chromium and the extra `browser`: mark the test `needs_browser`, and it is skipped without.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import pytest

from tests.streams.http.server import Api

CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
Result = TypeVar("Result")


def _missing() -> str:
    if not (find_spec("playwright") and find_spec("axe_playwright_python")):
        return "the extra browser is missing"
    return "" if CHROMIUM else "Chromium is not installed"


needs_browser: Final = pytest.mark.skipif(bool(_missing()), reason=_missing())


def browse(server: Api, use: Callable[[Any], Awaitable[Result]], **options: Any) -> Result:
    """Use a page of a browser whose console and errors must stay empty."""

    from playwright.async_api import async_playwright

    async def browsed() -> Result:
        host, port = server.address
        async with async_playwright() as driver:
            browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = await browser.new_context(base_url=f"http://{host}:{port}", **options)
            page = await context.new_page()
            found: list[str] = []
            page.on("pageerror", lambda error: found.append(str(error)))
            page.on("console", lambda said: said.type == "error" and found.append(said.text))
            page.on("request", lambda sent: found.extend(_elsewhere(sent.url, host)))
            try:
                result = await use(page)
            finally:
                with suppress(Exception):
                    await page.goto("about:blank")  # closes the stream of changes
                await browser.close()
        unexpected = [one for one in found if "status of" not in one]
        assert not unexpected, unexpected
        return result

    return server.run(browsed())


def _elsewhere(url: str, host: str) -> list[str]:
    return [] if f"//{host}:" in url or url.startswith(("about:", "data:")) else [url]


async def axe_findings(page: Any) -> list[str]:
    """Return the names of the rules that a page breaks."""
    from axe_playwright_python.async_playwright import Axe

    result = await Axe().run(page)
    return [one["id"] for one in result.response["violations"]]
