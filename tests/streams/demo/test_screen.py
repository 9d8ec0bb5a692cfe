"""The view fits its console in every state, and says in words what it says in colour."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.streams.demo.decisions import (
    PROMOTED,
    ROLLED_BACK,
    SUSPICIOUS,
    at_multiple,
    decision,
    evidence,
)
from understudy.streams.demo.screen import DemoStatus, DemoView
from understudy.streams.demo.slice_deltas import SliceDelta

NOTHING = DemoStatus(0.0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0.0)


def delta(language: str, json_valid: float = 0.993) -> SliceDelta:
    return SliceDelta(
        slice=f"language:{language}" if language != "all" else language,
        pairs=1_234,
        error_rate_stable=0.007,
        error_rate_candidate=0.008,
        json_valid_stable=0.993,
        json_valid_candidate=json_valid,
        identical_rate=0.31,
        similarity_mean=0.88,
        duration_p50_ratio=0.94,
        duration_p95_ratio=1.02,
        cost_ratio=0.96,
    )


HEALTHY = DemoStatus(
    elapsed_s=21.4,
    events_per_s=1_024.2,
    events=20_480,
    pairs=10_100,
    unmatched=40,
    duplicate=20,
    late=5,
    invalid=9,
    pending=230,
    progress=0.5,
    slices=[delta("all"), delta("en"), delta("zh-Hans"), delta("ja")],
    event_time=dt.datetime(2026, 11, 3, 12, 5, tzinfo=dt.UTC),
    decision=PROMOTED,
)
SUSPECTED = replace(
    HEALTHY,
    slices=[delta("all"), delta("en"), delta("zh-Hans", 0.897), delta("ja")],
    decision=SUSPICIOUS,
)
BROKEN = replace(SUSPECTED, decision=ROLLED_BACK, rollback_applied_after_s=0.13)
UNMEASURED = replace(HEALTHY, slices=[SliceDelta("language:hi", 3)])
EXTREME = replace(
    HEALTHY,
    events=4_100_000_000,
    events_per_s=999_999.0,
    pairs=200_000_000,
    progress=1.7,
    elapsed_s=5_000.0,
    decision=decision(
        "hold",
        evidence("language:zh-Hant-TW-x-private-use", at_multiple(1e9), metric="similarity_excess"),
        reasons=("harm is suspected: " + "結帳流程 and \x1b[2J " * 60,),
        requests=123_456_789,
        duration_s=9e6,
    ),
    rollback_applied_after_s=12_345.6,
    slices=[
        replace(
            delta("zh-Hant-TW-x-private-use"),
            pairs=1_000_000,
            error_rate_stable=1.0,
            error_rate_candidate=1.0,
            json_valid_stable=1.0,
            json_valid_candidate=0.0,
            identical_rate=1.0,
            duration_p50_ratio=12.34,
            duration_p95_ratio=12.34,
            cost_ratio=20.0,
        ),
        delta("\x1b[31mred\n\u202e[bold]"),
    ],
)
STATES = {
    "nothing": NOTHING,
    "healthy": HEALTHY,
    "suspected": SUSPECTED,
    "broken": BROKEN,
    "unmeasured": UNMEASURED,
    "extreme": EXTREME,
    "many": replace(BROKEN, slices=[*(delta(f"x{n}") for n in range(80)), delta("zh-Hans", 0.897)]),
}


def console(width: int = 80, **options: object) -> Console:
    settings: dict[str, object] = {"width": width, "height": 24, "record": True}
    settings |= {"file": io.StringIO(), "force_terminal": True}
    return Console(**(settings | options))  # type: ignore[arg-type]


def drawn(status: DemoStatus, screen: Console) -> str:
    screen.print(DemoView(screen).render(status))
    return screen.export_text(styles=False)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("state", STATES)
def test_fits_its_console(state: str, width: int) -> None:
    lines = drawn(STATES[state], console(width)).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) <= 24


@pytest.mark.parametrize("state", ["healthy", "suspected", "broken"])
def test_shows_every_number_within_80_columns(state: str) -> None:
    text = drawn(STATES[state], console())
    assert "…" not in text
    for wanted in ("20,480", "10,100", "1,024", "0.7→0.8", "1.02", "−4.0", "50 %", "00:21"):
        assert wanted in text


def test_wide_consoles_get_more_columns() -> None:
    by_width = {width: drawn(HEALTHY, console(width)) for width in (80, 100, 120)}
    assert ["p50" in text for text in by_width.values()] == [False, True, True]
    assert ["simil." in text for text in by_width.values()] == [False, False, True]


def test_numbers_stand_on_the_right() -> None:
    lines = drawn(HEALTHY, console()).splitlines()
    heading = next(line for line in lines if "slice" in line)
    figures = next(line for line in lines if " en " in line)
    assert heading.index("pairs") + len("pairs") == figures.index("1,234") + len("1,234")


def test_the_verdict_stands_on_top_with_its_reason() -> None:
    for state, label in ((HEALTHY, "PROMOTE"), (SUSPECTED, "HOLD"), (BROKEN, "ROLLBACK")):
        lines = drawn(state, console(120)).splitlines()
        assert lines[3].startswith(label)
    assert "fell 6.1 points, limit 0.5 points; 1,840 pairs" in lines[3]
    assert "mirrors to both models" in drawn(SUSPECTED, console())
    assert "the gateway stopped after 130 ms" in drawn(BROKEN, console())


def test_a_suspicion_is_shown_before_what_else_is_missing() -> None:
    text = drawn(SUSPECTED, console())
    assert "HOLD       harm is suspected: JSON validity in `zh-Hans` fell" in text
    assert "requests in closed windows" not in text


def test_evidence_is_shown_overall_by_language_and_towards_promotion() -> None:
    lines = drawn(SUSPECTED, console(100)).splitlines()
    rollback = next(line for line in lines if line.startswith("rollback"))
    promotion = next(line for line in lines if line.startswith("promotion"))
    assert rollback == f"rollback   {'━' * 17}{'─' * 7} 0.31 × what it takes"
    assert "1 of 1 proven · 4,000 of 8,000 requests · 3 min of 6 min" in promotion
    assert promotion.count("━") == promotion.count("─")
    marked = [line for line in lines if line.startswith("!")]
    assert len(marked) == 1
    assert marked[0].split()[1] == "zh-Hans"
    assert marked[0].split()[-2:] == ["0.31", "JSON"]
    assert "<0.001" in next(line for line in lines if " en " in line)


def test_a_language_without_a_guardrail_has_no_evidence() -> None:
    lines = drawn(SUSPECTED, console()).splitlines()
    assert next(line for line in lines if " ja " in line).rstrip().endswith("·")


def test_the_suspicious_language_is_shown_however_many_there_are() -> None:
    text = drawn(STATES["many"], console())
    assert "! zh-Hans" in text
    assert "and 72 more" in text


def test_before_the_first_decision_it_says_what_it_waits_for() -> None:
    text = drawn(NOTHING, console())
    assert "the consumer groups are forming" in text
    assert "No verdict yet." in text


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = console(color_system="standard")
    screen.print(DemoView(screen).render(BROKEN))
    written = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[31m" not in written
    assert "1;31m" not in written
    assert "ROLLBACK" in written


def test_labels_are_data_not_markup_or_control() -> None:
    written = drawn(EXTREME, console(200, color_system=None))
    assert "\x1b[31mred" not in written
    assert r"\x1b[31m" in written


def test_a_console_without_unicode_gets_ascii() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = Console(file=file, width=80, force_terminal=True, color_system=None)
    for status in STATES.values():
        screen.print(DemoView(screen).render(status))


def test_without_a_terminal_it_prints_lines_now_and_then_and_the_table_once() -> None:
    screen = console(force_terminal=False)
    with DemoView(screen, line_every_s=5.0) as view:
        for tenth in range(200):
            view.show(replace(BROKEN, elapsed_s=tenth / 10, progress=tenth / 200))
    lines = screen.export_text().splitlines()
    assert [line[:14].split() for line in lines[:4]] == [
        ["0", "%", "00:00"],
        ["25", "%", "00:05"],
        ["50", "%", "00:10"],
        ["75", "%", "00:15"],
    ]
    assert lines[0].endswith("rollback, 4.2 of a rollback  ! JSON in zh-Hans")
    assert sum("slice" in line for line in lines) == 1


def test_on_a_terminal_the_last_picture_stays() -> None:
    screen = console(color_system=None)
    with DemoView(screen) as view:
        view.show(NOTHING)
        view.show(BROKEN)
    assert "ROLLBACK" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_leaving_without_a_status_prints_nothing() -> None:
    screen = console(force_terminal=False)
    with DemoView(screen):
        pass
    assert screen.export_text() == ""
