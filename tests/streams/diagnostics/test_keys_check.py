"""Keys that are missing or of another form."""

from __future__ import annotations

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, both, levels, record
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.keys_check import check_keys


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ([], [OK]),
        (both(3), [OK]),
        ([record(1, with_key=None)], [FAIL]),
        ([record(1, with_key=b"pair-1")], [FAIL]),
        ([record(1, with_key=None), record(2, with_key=b"\x1b[2J")], [FAIL, FAIL]),
    ],
)
def test_keys(sample: list[SampledEvent], expected: list[Level]) -> None:
    findings = check_keys(sample)
    assert levels(findings) == expected
    assert all(one.seen.isprintable() for one in findings)
