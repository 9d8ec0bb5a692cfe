"""Charts drawn without a script: in their box, in order, with ticks that people count in."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy.streams.dashboard.charts import Chart, Line
from understudy.streams.dashboard.drawn_charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    DrawnChart,
    drawn,
)

POINT = re.compile(r"[ML](\S+) ([0-9.]+)")
NUMBERS = st.floats(-1e9, 1e9)
TINY = 5e-324


def points(made: DrawnChart, line: int = 0) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in POINT.findall(made.lines[line].path)]


@example([(0.0, 0.0), (1.0, TINY)], False, False)
@example([(TINY, 0.0), (2 * TINY, TINY)], True, True)
@example([(1e9, 1e9), (1e9 + 1e-7, 1e9 + 1e-7)], True, False)
@given(st.lists(st.tuples(st.floats(0, 2e9), st.none() | NUMBERS)), st.booleans(), st.booleans())
def test_everything_lies_in_the_box(
    values: list[tuple[float, float | None]], is_log: bool, is_log_x: bool
) -> None:
    x = sorted(at for at, _ in values)
    made = drawn(
        Chart("t", "s", x, [Line("a", "main", [value for _, value in values])],
              x_axis="log" if is_log_x else "time", y_axis="log" if is_log else "linear")
    )  # fmt: skip
    for left, top in points(made):
        assert LEFT <= left <= WIDTH - RIGHT
        assert TOP <= top <= HEIGHT - BOTTOM
    for ticks in (made.x_ticks, made.y_ticks):
        assert len({tick.place for tick in ticks}) <= 12


def test_larger_is_higher_and_later_is_further_right() -> None:
    made = points(drawn(Chart("t", "s", [0.0, 60.0, 120.0], [Line("a", "main", [1.0, 5.0, 3.0])])))
    assert [x for x, _ in made] == sorted(x for x, _ in made)
    assert made[0][1] > made[2][1] > made[1][1] == TOP


def test_a_gap_begins_a_new_piece() -> None:
    made = drawn(Chart("t", "s", [0.0, 1.0, 2.0, 3.0], [Line("a", "main", [1.0, 2.0, None, 1.0])]))
    assert re.sub(r"[0-9. ]+", "", made.lines[0].path) == "MLM"


def test_a_logarithm_has_no_place_for_nought() -> None:
    line = Line("a", "main", [0.0, 0.01, 100.0])
    made = drawn(Chart("t", "s", [1.0, 2.0, 3.0], [line], unit="×", y_axis="log"))
    assert len(points(made)) == 2
    assert [tick.text for tick in made.y_ticks] == ["0.01 ×", "0.1 ×", "1 ×", "10 ×", "100 ×"]


@pytest.mark.parametrize(
    ("span_s", "texts"),
    [(300, ["02 Mar 12:00", "12:01", "12:02", "12:03", "12:04", "12:05"]),
     (86_400, ["02 Mar 12:00", "18:00", "03 Mar 00:00", "06:00", "12:00"]),
     (7 * 86_400, ["04 Mar 00:00", "06 Mar 00:00", "08 Mar 00:00"])],
)  # fmt: skip
def test_times_are_those_of_a_clock(span_s: int, texts: list[str]) -> None:
    noon = 1_772_452_800.0
    made = drawn(Chart("t", "s", [noon, noon + span_s], [Line("a", "main", [1.0, 2.0])]))
    assert [tick.text for tick in made.x_ticks] == texts


def test_harm_has_round_numbers_with_a_minus_that_is_one() -> None:
    line = Line("harm", "main", [-1.2, 2.9])
    made = drawn(Chart("t", "s", [0.0, 1.0], [line], unit="pp"))
    assert [tick.text for tick in made.y_ticks] == ["−1 pp", "0 pp", "1 pp", "2 pp"]


def test_values_beyond_the_range_stay_at_its_edge() -> None:
    line = Line("a", "main", [0.5, 99.0])
    made = drawn(Chart("t", "s", [0.0, 1.0], [line], y_range=(0.0, 1.0)))
    assert points(made)[1][1] == TOP
