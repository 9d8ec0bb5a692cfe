"""Events in another partition than murmur2's."""

from __future__ import annotations

import zlib

import pytest

from tests.streams.diagnostics.brokers import key
from tests.streams.diagnostics.samples import FAIL, OK, PARTITIONS, WARN, both, levels, record
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.partitioner_check import check_partitioner


def by_crc32(pair: int) -> int:
    return zlib.crc32(key(pair)) % PARTITIONS


@pytest.mark.parametrize(
    ("sample", "expected", "seen"),
    [
        ([], [OK], "no events"),
        (both(50), [OK], "100 events"),
        ([record(n, partition=by_crc32(n)) for n in range(50)], [WARN], "librdkafka's default"),
        (
            [
                *(record(n) for n in range(50)),
                *(record(n, "candidate", partition=by_crc32(n)) for n in range(50)),
            ],
            [FAIL, FAIL],
            "different partitions",
        ),
        (
            [record(1, with_key=None, partition=0), record(1, with_key=None, partition=1)],
            [FAIL],
            "1 of 1 pairs",
        ),
    ],
)
def test_partitioner(sample: list[SampledEvent], expected: list[Level], seen: str) -> None:
    findings = check_partitioner(sample, PARTITIONS)
    assert levels(findings) == expected
    assert seen in findings[0].seen
