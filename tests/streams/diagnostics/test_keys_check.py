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
        (both(3, with_key=b"helpdesk/c", conversation_id="c", turn=1), [OK]),
        (both(3, conversation_id="c", turn=1), [FAIL]),
    ],
)
def test_keys(sample: list[SampledEvent], expected: list[Level]) -> None:
    findings = check_keys(sample)
    assert levels(findings) == expected
    assert all(one.seen.isprintable() for one in findings)


def in_conversation(pair: int, side: str) -> SampledEvent:
    name = f"c{pair}"
    key = f"helpdesk/{name}".encode()
    return record(pair, side, with_key=key, conversation_id=name, turn=1)


def test_sides_of_one_request_in_two_conversations() -> None:
    (finding,) = check_keys([in_conversation(1, "stable"), record(1, "candidate"), *both(1)])
    assert finding.level is FAIL
    assert "1 requests name other conversations" in finding.seen


def test_a_side_that_never_names_a_conversation_beside_one_that_does() -> None:
    stable = [in_conversation(n, "stable") for n in range(30)]
    candidate = [record(n, "candidate") for n in range(100, 130)]
    (finding,) = check_keys([*stable, *candidate])
    assert finding.level is FAIL
    assert "no candidate event of rollout helpdesk names a conversation" in finding.seen
    assert levels(check_keys([*stable, *candidate[:5]])) == [OK], "too few to tell"
    named = [in_conversation(n, "candidate") for n in range(30)]
    both_ways = [*stable, *named, *candidate, *(record(n) for n in range(100, 130))]
    assert levels(check_keys(both_ways)) == [OK], "requests without one are no fault"
