"""Numbers, limits and strangers' text as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.analyzers.guardrails.formatting import (
    format_count,
    format_duration,
    format_limit,
    format_percent,
    format_points,
    format_time,
    format_value,
    printable,
)
from understudy.schemas.rollout_metrics import METRICS, Limit


def test_counts_have_their_thousands_apart() -> None:
    assert [format_count(n) for n in (0, 999, 1840, 1234567)] == ["0", "999", "1,840", "1,234,567"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119.4, "119 s"), (120, "2 min"), (7_199, "120 min"), (12_600, "3.5 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_times() -> None:
    assert format_time(1_772_454_305_999) == "2026-03-02 12:25:05 UTC"


def test_shares_and_their_differences() -> None:
    assert (format_percent(0.01234), format_percent(None)) == ("1.23 %", "–")
    assert (format_points(0.0214), format_points(None)) == ("2.14 points", "–")


@pytest.mark.parametrize(
    ("difference", "text"),
    [(1.0, "100 points"), (-1.0, "-100 points"), (0.01, "1 point"), (0.4413, "44.1 points"),
     (0.0, "0 points"), (0.000_04, "0.004 points"), (0.09996, "10 points")],
)  # fmt: skip
def test_changes_of_any_size_are_written_out(difference: float, text: str) -> None:
    assert format_points(difference) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100 %"), (0.0, "0 %"), (0.9997, "99.97 %"), (0.999_96, "99.996 %"),
     (0.9813, "98.1 %"), (0.5, "50 %"), (12.34, "1,234 %"), (0.000_012, "0.0012 %")],
)  # fmt: skip
def test_nearly_all_is_not_all_and_no_share_has_an_exponent(share: float, text: str) -> None:
    assert format_percent(share) == text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("share", 0.012, "1.2 %"),
        ("ms", 8_150.0, "8.15 s"),
        ("ms", 312.4, "312 ms"),
        ("ms", 1_234_000.0, "1,234 s"),
        ("ms", 999.7, "1,000 ms"),
        ("usd", 0.00123, "$0.00123"),
        ("usd", 0.000_001_2, "$0.0000012"),
        ("usd", 12_345.0, "$12,345"),
        ("usd", -0.02, "−$0.02"),
        ("tokens", 311.2, "311.2"),
        ("tokens", 123_456.0, "123,456"),
        ("ms", None, "–"),
        ("usd", float("nan"), "–"),
        ("tokens", float("inf"), "–"),
    ],
)
def test_values_in_their_units(unit: str, value: float | None, text: str) -> None:
    assert format_value(unit, value) == text


def test_a_multiple_of_a_rate_as_a_policy_writes_it() -> None:
    errors = METRICS["error_rate"]
    written = format_limit(errors, "max_increase", 2.0, relative=True, floor=0.001)
    assert written == "≤ 3x + 0.1 pp"
    assert format_limit(errors, "max_increase", 2.0, relative=True) == "≤ 3x"


@pytest.mark.parametrize(
    ("name", "limit", "value", "relative", "text"),
    [
        ("error_rate", "max_increase", 0.005, False, "≤ +0.5 pp"),
        ("error_rate", "max", 0.01, False, "≤ 1 %"),
        ("json_valid_rate", "min", 0.99, False, "≥ 99 %"),
        ("json_valid_rate", "max_drop", 0.01, False, "≥ −1 pp"),
        ("duration_p95", "max_increase", 0.2, True, "≤ +20 %"),
        ("duration_p95", "max", 8_000.0, False, "≤ 8 s"),
        ("similarity_excess", "max", 0.05, False, "≤ 5 pp"),
    ],
)
def test_limits_as_a_policy_writes_them(
    name: str, limit: Limit, value: float, relative: bool, text: str
) -> None:
    assert format_limit(METRICS[name], limit, value, relative=relative) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("zh-Hans 名", "zh-Hans 名"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\U000e0001", "\\U000e0001"),
        ("two\nlines", "two\\x0alines"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_its_number(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_nothing_that_acts_on_a_terminal_remains(text: str) -> None:
    assert printable(text).isprintable()
