"""Pages: everything foreign is escaped, files have addresses of their own."""

from __future__ import annotations

import datetime as dt

import jinja2
import msgspec
import pytest

from tests.streams.demo.decisions import decision, evidence
from understudy.schemas.decisions import Evidence
from understudy.streams.dashboard.evidence_page import evidence_page
from understudy.streams.dashboard.pages import (
    STATIC_FILES,
    render,
    sentence,
    static_file,
    static_url,
)

HOSTILE = "<img src=x onerror=alert(1)>\u202e\x1b[2J"


def page(**values: object) -> str:
    return render("error.html", person="", can_sign_in=False, **values)


def test_what_models_and_people_write_cannot_act() -> None:
    text = page(title="Not found", detail=HOSTILE)
    assert "<img" not in text
    assert "&lt;img src=x" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_a_page_holds_no_script_and_no_style_of_its_own() -> None:
    text = page(title="t", detail="d")
    assert "<style" not in text
    assert "style=" not in text
    assert "onclick" not in text
    assert all("src=" in one.split(">")[0] for one in text.split("<script")[1:])


def test_what_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(jinja2.UndefinedError):
        page(title="t")


def test_addresses_of_files_change_with_their_contents() -> None:
    assert all(static_file(name) for name in STATIC_FILES)
    addresses = {static_url(name) for name in STATIC_FILES}
    assert len(addresses) == len(STATIC_FILES)
    assert static_url("dashboard.css").startswith("/static/dashboard.css?v=")


@pytest.mark.parametrize("name", ["../pages.py", "vendor/LICENSE", ""])
def test_only_known_files_are_given(name: str) -> None:
    with pytest.raises(KeyError):
        static_file(name)


def test_times_are_utc_and_unknown_ones_a_dash() -> None:
    east = dt.datetime(2026, 3, 2, 14, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    text = render(
        "policy.html", person="", can_sign_in=False, id="a/b", text="",
        commands=[_Command(east), _Command(None)], can_backtest=False,
    )  # fmt: skip
    assert '<time datetime="2026-03-02T12:05:00+00:00">2026-03-02 12:05:00</time>' in text
    assert '<td class="number">–</td>' in text
    assert "/rollouts/a%2Fb/traffic" in text


@pytest.mark.parametrize(
    ("interval", "marks"),
    [((0.02, 0.1), 0), ((None, 0.1), 1), ((0.02, None), 1), ((-9.0, 9.0), 2)],
)
def test_an_interval_that_does_not_fit_is_marked_at_that_end(
    interval: tuple[float | None, float | None], marks: int
) -> None:
    one = msgspec.structs.replace(evidence("all"), interval=interval)
    text = _evidence_page(one)
    assert text.count('class="cut"') == marks
    assert ("reaches beyond the drawing" in text) == (marks > 0)


@pytest.mark.parametrize("is_whole", [False, True])
def test_of_many_slices_the_worst_are_listed_and_the_rest_is_a_link(is_whole: bool) -> None:
    one = evidence("language:en")
    others = [msgspec.structs.replace(one, slice=f"language:x-{n:03}") for n in range(143)]
    text = _evidence_page(one, *others, is_whole=is_whole)
    assert ("… and 123 more</a>" in text) != is_whole
    assert ("x-142" in text) == is_whole
    assert ('href="?slice=language%3Aen&amp;rows=all#others"' in text) != is_whole


def _evidence_page(one: Evidence, *others: Evidence, is_whole: bool = False) -> str:
    others = others or (msgspec.structs.replace(one, slice="language:ja"),)
    page = evidence_page(decision("hold", one, *others), one, [])
    return render(
        "evidence.html", person="", can_sign_in=False, id="a", page=page, problem="",
        is_later=False, is_whole=is_whole,
    )  # fmt: skip


class _Command:
    kind, by, reason = "kill", "anna", ""

    def __init__(self, at: dt.datetime | None) -> None:
        self.at = at


def test_names_in_sentences_are_code_and_nothing_else_is_more_than_text() -> None:
    assert sentence("JSON validity in `ja` fell") == "JSON validity in <code>ja</code> fell"
    hostile = sentence(
        "in `<b>\u202e` and `",
    )
    assert hostile == "in <code>&lt;b&gt;\\u202e</code> and `"
