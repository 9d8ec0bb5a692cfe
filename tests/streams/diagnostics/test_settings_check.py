"""Settings that do not go together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.settings_check import check_settings
from understudy.streams.settings import KafkaSettings, PairingSettings, Settings


def pairing(**changes: Any) -> Settings:
    return Settings(pairing=PairingSettings(**changes))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), [OK]),
        (pairing(allowed_lateness_s=60.0), [FAIL]),
        (pairing(join_timeout_s=40_000.0, allowed_lateness_s=40_000.0), [WARN]),
        (pairing(max_event_bytes=9 * 2**20), [FAIL]),
        (pairing(max_join_bytes=2**20), [WARN]),
        (Settings(kafka=KafkaSettings(client={"partitioner": "consistent"})), [FAIL]),
        (Settings(kafka=KafkaSettings(client={"partitioner": "murmur2"})), [OK]),
        (Settings(kafka=KafkaSettings(client={"enable.auto.commit": True})), [FAIL]),
        (
            msgspec.structs.replace(
                Settings(),
                clickhouse=msgspec.structs.replace(Settings().clickhouse, buffer_bytes=2**20),
            ),
            [WARN],
        ),
    ],
)
def test_settings(settings: Settings, expected: list[Level]) -> None:
    assert levels(check_settings(settings)) == expected
