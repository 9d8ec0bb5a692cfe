"""Windows stay open for their lateness, close once, and give rows in a version."""

from __future__ import annotations

import pytest

from understudy.analyzers.windows.drawn_rows import window_rows
from understudy.analyzers.windows.window_sums import SliceKey
from understudy.streams.pairing.open_windows import OpenWindows, WatermarkSteps

WINDOW_MS = 10_000
LATENESS_MS = 30_000


def key(start_ms: int = 0, language: str = "en") -> SliceKey:
    return SliceKey("helpdesk", "shadow", language, "chat", start_ms)


def windows() -> OpenWindows:
    return OpenWindows(partition=3, window_s=10, allowed_lateness_ms=LATENESS_MS)


def steps(*rises: tuple[int, int]) -> WatermarkSteps:
    made = WatermarkSteps()
    for value_ms, next_offset in rises:
        made.rise(value_ms, next_offset, log_bytes=0)
    return made


@pytest.mark.parametrize(
    ("time_ms", "start_ms"), [(0, 0), (9_999, 0), (10_000, 10_000), (-1, -10_000)]
)
def test_a_time_lies_in_the_window_that_starts_at_or_before_it(time_ms: int, start_ms: int) -> None:
    assert windows().start_of(time_ms) == start_ms


def test_a_row_is_given_when_it_has_changed_and_not_again() -> None:
    open_windows = windows()
    open_windows.count(key(), "events_late", 2)
    open_windows.count(key(language="ja"), "events_late")
    rows = window_rows(open_windows.draw(position=7))
    assert [(r.language, r.events.late, r.version, r.closed) for r in rows] == [
        ("en", 2, 7, False), ("ja", 1, 7, False),
    ]  # fmt: skip
    assert window_rows(open_windows.draw(position=8)) == []
    open_windows.count(key(), "events_late")
    (row,) = window_rows(open_windows.draw(position=9))
    assert (row.events.late, row.version, row.partition) == (3, 9, 3)


def test_a_window_closes_when_the_watermark_passes_its_end_by_the_lateness() -> None:
    open_windows = windows()
    open_windows.count(key(), "events_late")
    limit_ms = WINDOW_MS + LATENESS_MS
    open_windows.close(limit_ms - 1, steps((limit_ms - 1, 5)))
    assert open_windows.draw_closed() == []
    open_windows.close(limit_ms, steps((limit_ms, 6)))
    (row,) = open_windows.draw_closed()
    assert row.closed
    assert len(open_windows) == 0
    assert window_rows(open_windows.draw(position=9)) == [], (
        "a closed window has changed for the last time"
    )


def test_the_version_of_a_closed_row_is_where_the_watermark_passed_it() -> None:
    """Wherever the batch ended: it must be the same row when it is read again."""
    limit_ms = WINDOW_MS + LATENESS_MS
    for rises in (
        ((limit_ms - 1, 4), (limit_ms + 5, 6), (limit_ms + 90_000, 20)),
        ((limit_ms + 5, 6),),
    ):
        open_windows = windows()
        open_windows.count(key(), "events_late")
        open_windows.close(rises[-1][0], steps(*rises))
        assert [row.version for row in open_windows.draw_closed()] == [6]


def test_closed_windows_are_given_once_as_rows_or_as_sums() -> None:
    open_windows = windows()
    for start_ms in (0, WINDOW_MS):
        open_windows.count(key(start_ms), "events_late")
    open_windows.close(WINDOW_MS + LATENESS_MS, steps((WINDOW_MS + LATENESS_MS, 1)))
    assert [(one.key.window_start_ms, one.version) for one in open_windows.take_closed()] == [
        (0, 1)
    ]
    assert open_windows.draw_closed() == []
    assert [one.key.window_start_ms for one in open_windows.take_all(position=2)] == [WINDOW_MS]
    assert open_windows.take_all(position=3) == []
    assert window_rows(open_windows.draw(position=3)) == []


def test_later_windows_stay_open() -> None:
    open_windows = windows()
    for start_ms in (0, WINDOW_MS):
        open_windows.count(key(start_ms), "events_late")
    open_windows.close(WINDOW_MS + LATENESS_MS, steps((WINDOW_MS + LATENESS_MS, 1)))
    assert len(open_windows) == 1
    assert [row.closed for row in window_rows(open_windows.draw(position=2))] == [True, False]
