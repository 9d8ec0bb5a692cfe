"""Numbers, limits and foreign text as people read them."""

from __future__ import annotations

import pytest

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_limit,
    format_limit_value,
    format_percent,
    format_points,
    format_value,
    printable,
)
from understudy.schemas.rollout_metrics import METRICS, Limit


def test_thousands_are_set_apart() -> None:
    assert [format_count(number) for number in (7, 1_840, 2_000_000)] == [
        "7", "1 840", "2 000 000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "120 min"), (12_600, "3.5 h")],
)
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("share", 0.0123, "1.23 %"),
        ("ms", 812.4, "812 ms"),
        ("ms", 8_150.0, "8.15 s"),
        ("usd", 0.0012, "$0.0012"),
        ("tokens", 311.2, "311.2"),
        ("usd", None, "–"),
        ("usd", float("inf"), "–"),
    ],
)
def test_values_have_their_unit(unit: str, value: float | None, text: str) -> None:
    assert format_value(unit, value) == text


def test_shares_and_their_differences_are_told_apart() -> None:
    assert format_percent(0.021) == "2.1 %"
    assert format_points(0.021) == "2.1 points"
    assert format_percent(None) == format_points(None) == "–"


@pytest.mark.parametrize(
    ("metric", "limit", "value", "relative", "text"),
    [
        ("error_rate", "max_increase", 0.005, False, "≤ +0.5 pp"),
        ("error_rate", "max", 0.01, False, "≤ 1 %"),
        ("json_valid_rate", "max_drop", 0.02, False, "≥ −2 pp"),
        ("json_valid_rate", "min", 0.99, False, "≥ 99 %"),
        ("similarity_excess", "max", 0.05, False, "≤ 5 pp"),
        ("cost_usd", "max_increase", 0.2, True, "≤ +20 %"),
        ("duration_p95", "max", 8_000.0, False, "≤ 8 s"),
    ],
)
def test_limits_read_as_policies_write_them(
    metric: str, limit: Limit, value: float, relative: bool, text: str
) -> None:
    assert format_limit(METRICS[metric], limit, value, relative=relative) == text
    size = format_limit_value(METRICS[metric], limit, value, relative=relative)
    assert text.endswith(size)


def test_foreign_text_cannot_steer_a_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec") == "a\ufffd[2Jb\ufffdc"
    assert printable("日本語") == "日本語"
