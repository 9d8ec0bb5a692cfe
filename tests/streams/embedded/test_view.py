"""The view fits its console in every state, and says in words what it says in colour."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from understudy.streams.embedded.slices import SliceDelta, SliceKey
from understudy.streams.embedded.view import DemoView, Snapshot, worst_slice

NOTHING = Snapshot(0.0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0.0)


def delta(language: str, z: float = 0.0, workflow: str | None = None) -> SliceDelta:
    return SliceDelta(
        key=SliceKey(language, workflow),
        pairs=1_234,
        error_rate_stable=0.007,
        error_rate_candidate=0.008,
        json_expected=600,
        json_valid_stable=0.993,
        json_valid_candidate=0.897 if z else 0.993,
        json_valid_z=z,
        identical_rate=0.31,
        similarity_mean=0.88,
        duration_p50_ratio=0.94,
        duration_p95_ratio=1.02,
        cost_usd_diff_mean=-0.0001,
        cost_ratio=0.96,
    )


HEALTHY = Snapshot(
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
    slices=[delta("en"), delta("zh-Hans"), delta("ja")],
    event_time=dt.datetime(2026, 11, 3, 12, 5, tzinfo=dt.UTC),
    note="20,000 pairs, seed 7",
)
BROKEN = replace(HEALTHY, slices=[delta("en"), delta("zh-Hans", z=8.0), delta("ja")])
UNMEASURED = replace(HEALTHY, slices=[SliceDelta(SliceKey("hi"), 3)])
EXTREME = replace(
    HEALTHY,
    events=4_100_000_000,
    events_per_s=999_999.0,
    pairs=200_000_000,
    progress=1.7,
    elapsed_s=5_000.0,
    note="n" * 300,
    slices=[
        replace(
            delta("zh-Hant-TW-x-private-use", z=90.0, workflow="結帳流程" * 20),
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
    "broken": BROKEN,
    "unmeasured": UNMEASURED,
    "extreme": EXTREME,
    "many": replace(BROKEN, slices=[*BROKEN.slices, *(delta(f"x{n}") for n in range(80))]),
}


def console(width: int = 80, **options: object) -> Console:
    settings: dict[str, object] = {"width": width, "height": 24, "record": True}
    settings |= {"file": io.StringIO(), "force_terminal": True}
    return Console(**(settings | options))  # type: ignore[arg-type]


def drawn(snapshot: Snapshot, screen: Console) -> str:
    screen.print(DemoView(screen).render(snapshot))
    return screen.export_text(styles=False)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("state", STATES)
def test_fits_its_console(state: str, width: int) -> None:
    lines = drawn(STATES[state], console(width)).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) <= 24


@pytest.mark.parametrize("state", ["healthy", "broken"])
def test_shows_every_number_within_80_columns(state: str) -> None:
    text = drawn(STATES[state], console())
    assert "…" not in text
    for wanted in ("20,480", "10,100", "1,024", "0.7→0.8", "0.88", "1.02", "−4.0", "50 %", "00:21"):
        assert wanted in text


def test_numbers_stand_on_the_right() -> None:
    lines = drawn(HEALTHY, console()).splitlines()
    heading = next(line for line in lines if "language" in line)
    figures = next(line for line in lines if " en " in line)
    assert heading.index("pairs") + len("pairs") == figures.index("1,234") + len("1,234")


def test_marks_the_worst_in_words_and_first() -> None:
    lines = drawn(BROKEN, console(no_color=True)).splitlines()
    marked = [line for line in lines if line.startswith("!")]
    assert marked[0].split()[1] == "zh-Hans"
    assert "JSON validity in zh-Hans: −9.6 points" in marked[1]
    assert lines.index(marked[0]) < next(n for n, line in enumerate(lines) if " en " in line)


def test_a_healthy_run_is_not_accused() -> None:
    text = drawn(HEALTHY, console())
    assert worst_slice(HEALTHY.slices) is None
    assert not any(line.startswith("!") for line in text.splitlines())
    assert "No language stands out" in text


def test_no_color_leaves_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    screen = console(color_system="standard")
    screen.print(DemoView(screen).render(BROKEN))
    written = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[31m" not in written
    assert "1;31m" not in written
    assert "! JSON validity in zh-Hans" in written


def test_labels_are_data_not_markup_or_control() -> None:
    written = drawn(EXTREME, console(200, color_system=None))
    assert "\x1b[31mred" not in written
    assert "\ufffd[31mred" in written


def test_a_console_without_unicode_gets_ascii() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = Console(file=file, width=80, force_terminal=True, color_system=None)
    for snapshot in STATES.values():
        screen.print(DemoView(screen).render(snapshot))


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
    assert "JSON validity in zh-Hans" in lines[0]
    assert sum("language" in line for line in lines) == 1


def test_on_a_terminal_the_last_picture_stays() -> None:
    screen = console(color_system=None)
    with DemoView(screen) as view:
        view.show(NOTHING)
        view.show(BROKEN)
    assert "JSON validity in zh-Hans" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_leaving_without_a_snapshot_prints_nothing() -> None:
    screen = console(force_terminal=False)
    with DemoView(screen):
        pass
    assert screen.export_text() == ""
