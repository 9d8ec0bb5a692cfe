"""Whether events have the keys by which sides meet, and sides the same conversation. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from understudy.schemas.events import PAIRED_MODES, SIDES
from understudy.streams.diagnostics.event_sample import SampledEvent
from understudy.streams.diagnostics.findings import Finding, fail, or_ok
from understudy.streams.terminal.plain_text import one_line

KEYS: Final = "keys"
_FORM: Final = (
    "rollout_id/conversation_id, or rollout_id/pair_id of an event without a conversation"
)
_SAME_ID: Final = (
    "write the same conversation_id into all sides of a request, or into none: it decides the "
    "partition in which they meet"
)
_MANY: Final = 20
"""Events of one side, from which on it is no chance that none of them names a conversation."""


def check_keys(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Keys that are missing or of another form, and sides of one request in two conversations."""
    missing = [one for one in sample if not one.key]
    other = [one for one in sample if one.key and one.key != one.right_key]
    findings = []
    if missing:
        seen = f"{len(missing):,} events have no key, as of {missing[0].gateway}"
        findings.append(fail(KEYS, seen,
                             f"write as key {_FORM}: sides meet by it"))  # fmt: skip
    if other:
        shown = one_line((other[0].key or b"").decode("utf-8", "backslashreplace"), 80)
        findings.append(
            fail(
                KEYS,
                f"{len(other):,} keys are not their events' own, such as {shown}",
                f"write {one_line(other[0].right_key.decode(), 120)} there ({_FORM}): sides of a "
                "request and turns of a conversation meet by it",
            )
        )
    findings += _torn(sample) or _one_sided(sample)
    return or_ok(KEYS, findings, f"{len(sample):,} have the right form" if sample else "no events")


def _torn(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Requests whose sides name other conversations, so that they lie in other partitions."""
    keys: dict[tuple[str, str], bytes] = {}
    torn: dict[tuple[str, str], SampledEvent] = {}
    for one in sample:
        request = one.event.rollout_id, one.event.pair_id
        if keys.setdefault(request, one.right_key) != one.right_key:
            torn[request] = one
    if not torn:
        return []
    return [
        fail(
            KEYS,
            f"the sides of {len(torn):,} requests name other conversations, as of "
            f"{next(iter(torn.values())).gateway}",
            _SAME_ID,
        )
    ]


def _one_sided(sample: Sequence[SampledEvent]) -> list[Finding]:
    """Rollouts of which one side names conversations and another never does."""
    paired = [one.event for one in sample if one.event.mode in PAIRED_MODES]
    seen = Counter((event.rollout_id, event.side) for event in paired)
    naming = Counter((event.rollout_id, event.side) for event in paired if event.conversation_id)
    findings = []
    for (rollout_id, side), count in seen.items():
        if count < _MANY or naming[rollout_id, side]:
            continue
        others = [name for name in SIDES if 2 * naming[rollout_id, name] >= _MANY]
        if others:
            what = f"no {side} event of rollout {one_line(rollout_id, 60)} names a conversation"
            findings.append(fail(KEYS, f"{what}, {others[0]} events do", _SAME_ID))
    return findings
