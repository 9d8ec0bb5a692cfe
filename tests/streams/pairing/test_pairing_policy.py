"""The times that pairing works by fit together, or a setting is refused."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import Settings, SettingsError, load_settings


def test_the_defaults_are_those_of_the_settings() -> None:
    assert PairingPolicy.from_settings(Settings()) == PairingPolicy()


def test_times_are_whole_milliseconds() -> None:
    policy = PairingPolicy(
        window_s=2, join_timeout_s=1.5, allowed_lateness_s=1.75, request_time_tolerance_s=0.25
    )
    assert (policy.window_ms, policy.join_timeout_ms, policy.allowed_lateness_ms) == (
        2000, 1500, 1750,
    )  # fmt: skip
    assert policy.turn_interval_ms == 125
    assert policy.horizon_ms == 2000 + 1750 + 1500 + 250 + 1500 + 1500 + 125


def test_the_tolerance_is_at_most_the_join_timeout() -> None:
    policy = PairingPolicy(join_timeout_s=3, request_time_tolerance_s=5)
    assert policy.request_time_tolerance_ms == policy.join_timeout_ms == 3000


@pytest.mark.parametrize(
    ("times", "problem"),
    [
        ({"window_s": 0}, "window_s must be at least 1"),
        ({"join_timeout_s": 0.0}, "join_timeout_s must be above 0"),
        ({"allowed_lateness_s": 119.9}, "a window must outlive its joins"),
        ({"request_time_tolerance_s": -0.1}, "request_time_tolerance_s must be at least 0"),
        ({"retry_grace_s": -1.0}, "retry_grace_s must be at least 0"),
    ],
)
def test_times_that_do_not_fit_are_refused(times: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PairingPolicy(**times)


def test_settings_that_do_not_fit_name_their_section() -> None:
    settings = load_settings(None, {"UNDERSTUDY_PAIRING_ALLOWED_LATENESS_S": "119"})
    with pytest.raises(SettingsError, match=r"\[pairing\] .* must outlive its joins"):
        PairingPolicy.from_settings(settings)
