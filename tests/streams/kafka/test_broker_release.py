"""Which release a broker is, by the requests that it speaks."""

from __future__ import annotations

import pytest

from understudy.streams.kafka.broker_release import release_of


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ""),
        (["ApiKey Produce (0) Versions 0..13"], ""),
        (["x: ApiKey Fetch (1) Versions 4..18"], "Kafka 4.1 or later"),
        (["ApiKey Fetch (1) Versions 4..18", "ApiKey Fetch (1) Versions 0..12"],
         "Kafka 2.7 or later"),
        (["ApiKey Fetch (1) Versions 0..11"], "Kafka older than 2.7"),
    ],
)  # fmt: skip
def test_release(lines: list[str], expected: str) -> None:
    assert release_of(lines) == expected
