"""Whether events have the key `rollout_id/pair_id`, by which sides meet. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, fail, or_ok
from understudy.streams.terminal.plain_text import one_line

KEYS: Final = "keys"


def check_keys(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Keys that are missing or of another form."""
    missing = [one for one in sample if not one.key]
    other = [one for one in sample if one.key and one.key != one.right_key]
    findings = []
    if missing:
        seen = f"{len(missing):,} events have no key, as of {missing[0].gateway}"
        findings.append(fail(KEYS, seen,
                             "write `rollout_id/pair_id` as key: sides meet by it"))  # fmt: skip
    if other:
        shown = one_line((other[0].key or b"").decode("utf-8", "backslashreplace"), 80)
        findings.append(
            fail(
                KEYS,
                f"{len(other):,} keys are not rollout_id/pair_id, such as {shown}",
                f"write {one_line(other[0].right_key.decode(), 120)} there: dead letters "
                "rely on it",
            )
        )
    return or_ok(KEYS, findings, f"{len(sample):,} have the right form" if sample else "no events")
