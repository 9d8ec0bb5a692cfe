"""Lag that grows, shrinks, or is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.streams.diagnostics.samples import FAIL, OK, WARN, levels
from understudy.streams.diagnostics.findings import Level
from understudy.streams.diagnostics.lag_check import GroupProgress, check_lag
from understudy.streams.pairing.commit_rule import CommitMetadata
from understudy.streams.pairing.group_positions import GroupPosition


def position(
    number: int = 0, at: int | None = 50, *, first: int = 0, end: int = 50, committed: int = 20
) -> GroupPosition:
    metadata = None if at is None else CommitMetadata(None, at, None)
    return GroupPosition(number, first, end, committed, metadata)


def progress(before: GroupPosition, after: GroupPosition, *unread: int) -> GroupProgress:
    return GroupProgress([before], [after], 10.0, frozenset(unread))


@pytest.mark.parametrize(
    ("some", "workers", "expected", "seen"),
    [
        (progress(position(), position()), 1, [OK], "everything"),
        (progress(position(), position()), 0, [OK], "everything"),
        (progress(position(end=60), position(end=60)), 0, [FAIL], "10 events wait and no worker"),
        (progress(position(end=60), position(end=60), 0), 1, [FAIL], "have not moved"),
        (progress(position(end=60), position(end=60)), 1, [OK], "transaction markers"),
        (progress(position(at=10, end=90), position(at=80, end=90)), 1, [OK], "7 a second"),
        (
            progress(position(at=0, end=90_000), position(at=1000, end=90_000)),
            1,
            [WARN],
            "15 minutes",
        ),
        (
            progress(position(at=0, end=90_000), position(at=100, end=99_000)),
            1,
            [WARN],
            "no fewer than come in",
        ),
        (progress(position(), position(committed=80)), 1, [FAIL], "after the end"),
        (progress(position(), position(first=30)), 1, [WARN], "would read again"),
        (
            progress(position(), position(at=25, first=30, end=30)),
            1,
            [FAIL],
            "of events: retention deleted 5 records unread",
        ),
        (
            progress(position(), replace(position(at=None), newer_release=True, committed=50)),
            1,
            [FAIL],
            "newer release",
        ),
    ],
)
def test_lag(some: GroupProgress, workers: int, expected: list[Level], seen: str) -> None:
    findings = check_lag(some, workers=workers)
    assert levels(findings) == expected
    assert seen in findings[0].seen


def test_lag_says_of_what() -> None:
    waits = replace(progress(position(), position(end=90)), source="feedback")
    assert (
        check_lag(waits, workers=0)[0].seen == "40 feedback records wait and no worker reads them"
    )


def test_a_group_that_never_committed_stands_at_the_start_of_the_log() -> None:
    never = GroupPosition(0, 30, 50, None, None)
    assert (never.position, never.lag) == (30, 20)
