"""Requests that wait for a side show in the rows of their windows, until they have ended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.streams.pairing.log import Log, event
from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.rows import latest, total
from understudy.schemas.measures import EARLY_OUTCOMES
from understudy.schemas.windows import WindowRow
from understudy.streams.pairing import unresolved

SIDES3 = ["stable", "candidate", "control"]
FAILED: dict[str, Any] = {"response": None, "error": {"type": "timeout"}}
FALLEN_BACK: dict[str, Any] = {"fallback": {"used": True, "final": True}}
UNFINISHED: dict[str, Any] = {"response": None, "fallback": {"attempts": 1, "final": False}}
FAILED_ONCE: dict[str, Any] = {**FAILED, "fallback": {"attempts": 1}}
PROMPT = {"prompt": "Where can I find the report on last year's sales, please?"}


def waiting(rows: list[WindowRow]) -> dict[str, int]:
    """What waits by the latest rows."""
    counts: dict[str, int] = msgspec.to_builtins(total(latest(rows)).unresolved)
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([("stable", {})], {"awaiting_candidate": 1}),
        ([("candidate", {})], {"awaiting_stable": 1}),
        ([("stable", FAILED)], {"awaiting_candidate": 1, "awaiting_candidate_errors": 1}),
        ([("candidate", FAILED)], {"awaiting_stable": 1, "awaiting_stable_errors": 1}),
        (
            [("candidate", FALLEN_BACK)],
            {"awaiting_stable": 1, "awaiting_stable_fallbacks": 1},
        ),
        ([("stable", {}), ("candidate", FAILED)], {}),
        ([("candidate", UNFINISHED)], {"awaiting_stable": 1}),
        ([("candidate", FAILED_ONCE)], {"awaiting_stable": 1}),
        ([("stable", FAILED_ONCE), ("candidate", {})], {"awaiting_stable": 1}),
        ([("stable", {}), ("candidate", FAILED_ONCE)], {"awaiting_candidate": 1}),
        (
            [("stable", FAILED), ("candidate", FAILED_ONCE)],
            {"awaiting_candidate": 1, "awaiting_candidate_errors": 1},
        ),
    ],
)
def test_what_is_known_of_a_request_that_waits(
    sides: list[tuple[str, dict[str, Any]]], expected: dict[str, int]
) -> None:
    """A side that a later attempt may replace is not known yet."""
    log = Log().read(*(event("a", side, **changes) for side, changes in sides))
    assert waiting(log.rows) == expected


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        (["stable", "candidate"], {"awaiting_stable": 1}),
        (["stable", "control"], {"awaiting_candidate": 1}),
        (["candidate", "control"], {"awaiting_stable": 1}),
        (["control"], {"awaiting_stable": 1}),
        (SIDES3, {}),
    ],
)
def test_a_request_that_waits_for_its_control(sides: list[str], expected: dict[str, int]) -> None:
    """Its pair is not compared before, so that it is as unresolved as any other."""
    log = Log().read(*(event("a", side, sides=SIDES3) for side in sides))
    assert waiting(log.rows) == expected


def test_a_failed_attempt_is_known_once_its_grace_is_over() -> None:
    log = Log().read(event("a", "candidate", **FAILED_ONCE))
    assert waiting(log.rows) == {"awaiting_stable": 1}
    log.read(event("push", "candidate", at_s=2.0))
    assert waiting(log.rows) == {"awaiting_stable": 2, "awaiting_stable_errors": 1}


def test_a_side_that_is_alone_by_design_waits_for_nobody() -> None:
    log = Log().read(event("a", mode="canary", sides=["stable"], **UNFINISHED))
    assert log.state.waiting_sides == 1
    assert waiting(log.rows) == {}


def test_a_row_is_drawn_when_what_waits_has_changed_and_not_again() -> None:
    log = Log().read(event("a"), event("b", language="ja"))
    assert [(row.language, row.closed) for row in log.rows] == [("en", False), ("ja", False)]
    assert window_rows(log.state.draw_rows()) == []
    log.read(event("c", mode="canary", sides=["stable"], workflow="chat"))
    assert [row.workflow for row in log.rows[2:]] == ["chat"]
    log.read(event("b", "candidate", language="ja"))
    (row,) = log.rows[3:]
    assert (row.language, row.pair.pairs, row.unresolved.awaiting_candidate) == ("ja", 1, 0)


def test_a_closed_row_has_none() -> None:
    log = Log().read(event("a"), event("push", "candidate", at_s=40.0))
    (closed,) = [row for row in log.rows if row.closed]
    assert (closed.pair.lost_candidate, closed.unresolved.awaiting_candidate) == (1, 0)
    assert waiting(log.rows) == {"awaiting_stable": 1}


def test_a_window_closes_although_nothing_but_waiting_has_been_drawn_of_it() -> None:
    log = Log().read(event("a")).read(event("push", at_s=40.0)).read(event("push2", at_s=80.001))
    assert [row.window_start for row in log.rows if row.closed] == sorted(
        {row.window_start for row in log.rows if not row.closed}
    )[:2]
    assert log.balance() == 0


@pytest.mark.parametrize(
    ("first", "second", "waited_in", "counted_in"),
    [
        ({"language": None}, {"language": "ja"}, "und", "ja"),
        ({"language": None, "request": PROMPT}, {"language": None}, "en", "en"),
        ({"language": None, "request": PROMPT}, {"language": "ja"}, "en", "ja"),
        ({"language": "?"}, {"language": None, "request": PROMPT}, "und", "en"),
        ({"language": "ja"}, {"language": None, "request": PROMPT}, "ja", "ja"),
    ],
)
@pytest.mark.parametrize("ends", ["pair", "lost"])
def test_the_slice_that_a_request_waits_in_is_told_by_its_first_side(
    first: dict[str, Any], second: dict[str, Any], waited_in: str, counted_in: str, ends: str
) -> None:
    sides = {"sides": SIDES3} if ends == "lost" else {}
    log = Log().read(event("a", **{**sides, **first}))
    (row,) = log.rows
    assert (row.language, row.unresolved.awaiting_candidate) == (waited_in, 1)
    other = "control" if ends == "lost" else "candidate"
    log.read(event("a", other, **{**sides, **second}))
    if ends == "lost":
        assert {row.language for row in log.rows} == {waited_in}
        log.read(event("push", at_s=31.0))
    ended = [row for row in latest(log.rows) if row.window_start == log.rows[0].window_start]
    lost = {row.language for row in ended if row.pair.lost_candidate or row.pair.pairs}
    assert lost == {counted_in}
    assert waiting(ended) == {}


def test_an_attempt_that_is_replaced_takes_the_language_with_it() -> None:
    log = Log().read(event("a", **UNFINISHED), event("a", language=None))
    (row,) = log.rows
    assert (row.language, row.events.superseded, row.unresolved.awaiting_candidate) == ("en", 1, 1)
    log.read(event("a", "candidate", language=None))
    assert waiting(log.rows) == {}


def test_a_prompt_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from understudy.streams.pairing import request_language

    seen: list[str] = []
    honest = request_language.detect_language

    def detect(text: str) -> str:
        seen.append(text)
        return honest(text)

    monkeypatch.setattr(request_language, "detect_language", detect)
    untold: dict[str, Any] = {"language": None, "request": PROMPT, "sides": SIDES3}
    log = Log().read(event("a", **untold)).read(event("b", **untold))
    log.read(event("a", "candidate", **untold)).read(event("a", "control", **untold))
    assert seen == [PROMPT["prompt"]] * 2


def test_outcomes_that_are_declared_early_can_be_read_of_an_event() -> None:
    assert unresolved._HAPPENED.keys() == {one.name for one in EARLY_OUTCOMES}
