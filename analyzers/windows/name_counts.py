"""How often each name came, for names that are few as a rule: the models that answered.

A gateway may write whatever it likes, so what is kept is bounded, and what a row says must not
depend on the order in which requests were measured. So of many names those with the smallest hash
are kept: the count of a name that is kept to the end is complete, since it was never given up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import xxhash

from understudy.schemas.measure_kinds import MAX_NAMES, OTHER_NAMES

MAX_KEPT: Final = 64
"""Of one slice in one window: far more than a rollout has models, and a few kilobytes."""
MAX_NAME_LENGTH: Final = 128
"""In code points; what is longer is no name."""
_GIVEN_UP: Final = ""
"""Counts the names that are not kept. No request has an empty name: that is an unknown one."""


def add_name(counts: dict[str, int], name: str, count: int) -> None:
    """Count a name, whose place among the others depends on nothing but the names."""
    name = name[:MAX_NAME_LENGTH]
    counts[name] = counts.get(name, 0) + count
    if len(counts) - (_GIVEN_UP in counts) > MAX_KEPT:
        last = max((one for one in counts if one != _GIVEN_UP), key=_place)
        counts[_GIVEN_UP] = counts.get(_GIVEN_UP, 0) + counts.pop(last)


def _place(name: str) -> tuple[int, str]:
    return xxhash.xxh64_intdigest(name.encode("utf-8", "surrogatepass")), name


def merge_names(*counts: Mapping[str, int]) -> dict[str, int]:
    """The sum of counts, names in order."""
    merged: dict[str, int] = {}
    for some in counts:
        for name, count in some.items():
            merged[name] = merged.get(name, 0) + count
    return dict(sorted(merged.items()))


def most_frequent(counts: Mapping[str, int], most: int = MAX_NAMES) -> dict[str, int]:
    """The names of a row, in order: the most frequent ones, and all others together."""
    if len(counts) <= most and _GIVEN_UP not in counts:
        return dict(sorted(counts.items()))
    named = [(name, count) for name, count in counts.items() if name != _GIVEN_UP]
    named.sort(key=lambda one: (-one[1], one[0]))
    rest = counts.get(_GIVEN_UP, 0) + sum(count for _, count in named[most:])
    kept = dict(named[:most])
    if rest:
        kept[OTHER_NAMES] = kept.get(OTHER_NAMES, 0) + rest
    return dict(sorted(kept.items()))
