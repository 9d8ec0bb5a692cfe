"""Pages as HTML, from templates that escape everything they are given."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from understudy.analyzers.guardrails.formatting import format_count, format_percent, visible
from understudy.streams.dashboard.evidence_rows import KEY
from understudy.streams.dashboard.pairs_page import model_text
from understudy.streams.dashboard.report_page import ReportPage

_STATIC: Final = files("understudy.streams.dashboard") / "static"
STATIC_FILES: Final = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "theme.svg": "image/svg+xml",
    "vendor/uPlot.iife.min.js": "text/javascript",
    "vendor/uPlot.min.css": "text/css",
}
"""All that pages load, with their content types."""
MOST_ROWS: Final = 20
"""Of a table about slices: a screenful or two, the worst first. A rollout of thirty languages and
ten workflows has thousands."""
MOST_ROLLOUTS: Final = 200
"""In the list, those that need somebody first: some 100 kB."""
_QUOTED: Final = re.compile("`([^`]+)`")
_HASH_DIGITS: Final = 12
"""48 bits: enough that no two releases of a file share an address."""


def render(template: str, **values: Any) -> str:
    """Return a page. What is missing in `values` raises an error."""
    return _environment().get_template(template).render(**values)


def render_report(page: ReportPage, made_at: dt.datetime, release: str) -> str:
    """Return a report as one file: with its style sheet, without a script, for no network.

    Its content security policy permits this one style sheet and nothing else.
    """
    style = "".join(_read(name).decode() for name in ("dashboard.css", "report.css"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return render(
        "report.html", page=page, made_at=made_at, release=release, key=KEY,
        style=Markup(style),  # our own file, which names no end tag
        style_hash=Markup(f"sha256-{digest}"),
    )  # fmt: skip


@cache
def static_file(name: str) -> bytes:
    """Return the contents of a static file. Raises KeyError for any other name."""
    if name not in STATIC_FILES:
        raise KeyError(name)
    return _read(name)


def _read(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


@cache
def static_url(name: str) -> str:
    """Return the address of a static file: with its hash, so that browsers may keep it."""
    digest = hashlib.sha256(static_file(name)).hexdigest()[:_HASH_DIGITS]
    return f"/static/{name}?v={digest}"


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("understudy.streams.dashboard", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"static": static_url, "MOST_ROWS": MOST_ROWS, "MOST_ROLLOUTS": MOST_ROLLOUTS}
    made.filters |= {
        "count": format_count,
        "model_text": model_text,
        "moment": _moment,
        "path": lambda text: quote(text, safe=""),
        "percent": format_percent,
        "sentence": sentence,
    }
    return made


def sentence(text: str) -> Markup:
    """Return a sentence of a decision, with the names that it quotes in backticks as code."""
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(visible(text)))))


def _without_controls(value: Any) -> Any:
    """Write characters that cannot be seen as numbers, so that none turns the reading direction."""
    is_foreign = isinstance(value, str) and not isinstance(value, Markup)
    return visible(value) if is_foreign else value


def _moment(time: dt.datetime | None) -> Markup:
    """Return a time to the second, UTC, as an element that scripts and screen readers know."""
    if time is None:
        return Markup("–")
    at = time.astimezone(dt.UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M:%S}"
    )
