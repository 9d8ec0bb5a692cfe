"""Drawings of intervals: in order, within bounds, cut where they would not fit."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.streams.demo.decisions import evidence
from understudy.schemas.decisions import Evidence
from understudy.streams.dashboard.interval_bars import TEXT_WIDTH, WIDTH, interval_bar, text_bar

HARMS = st.floats(-1.0, 1.0)


def like(harm: float | None, low: float | None, high: float | None, margin: float) -> Evidence:
    return msgspec.structs.replace(evidence(), harm=harm, interval=(low, high), harm_margin=margin)


@given(HARMS, st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_positions_keep_the_order_of_the_values(
    harm: float, below: float, above: float, margin: float
) -> None:
    bar = interval_bar(like(harm, harm - below, harm + above, margin))
    assert bar is not None
    assert 0.0 <= bar.low <= bar.value <= bar.high <= WIDTH
    assert 0.0 <= bar.zero <= bar.margin <= WIDTH
    assert (bar.zero <= bar.value) == (harm >= 0) or bar.zero == bar.value
    assert bar.length >= 0.0
    assert bar.beyond >= 0.0


def test_nought_and_the_limit_are_always_seen_apart() -> None:
    bar = interval_bar(like(0.2, 0.19, 0.21, 0.01))
    assert bar is not None
    assert 0.0 < bar.zero < bar.margin < bar.low < bar.high < WIDTH
    assert (bar.is_cut_left, bar.is_cut_right) == (False, False)


def test_an_end_far_away_or_unknown_is_cut() -> None:
    bar = interval_bar(like(0.0, None, 0.9, 0.01))
    assert bar is not None
    assert (bar.low, bar.high) == (0.0, WIDTH)
    assert bar.is_cut_left
    assert bar.is_cut_right


def test_without_an_estimate_there_is_nothing_to_draw() -> None:
    assert interval_bar(like(None, None, None, 0.01)) is None


def test_characters_draw_the_same() -> None:
    bar = interval_bar(like(0.02, 0.01, 0.03, 0.005))
    assert bar is not None
    text = text_bar(bar)
    assert len(text) == TEXT_WIDTH
    assert text.index("|") < text.index("¦") < text.index("━") < text.index("●")
    cut = interval_bar(like(0.0, None, 0.9, 0.01))
    assert cut is not None
    assert (text_bar(cut)[0], text_bar(cut)[-1]) == ("◀", "▶")
