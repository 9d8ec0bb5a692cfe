"""Counters that only grow, from tallies that restart with every assignment and every rewind."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict

from understudy.streams.pairing.records import Tally


class TallyTotals:
    """Adds up tallies over the lifetime of the process.

    It keeps the tallies of the partitions that are held and reads each once more after the
    partition was revoked: nothing counted after the previous reading is lost. Only a partition
    that was assigned and revoked between two readings goes unnoticed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, Tally] = {}
        self._past: dict[str, int] = {}

    def total(self, held: Iterable[Tally]) -> dict[str, int]:
        """Sum all tallies ever seen by field, given those held now."""
        with self._lock:
            now = {id(tally): tally for tally in held}
            for key in self._held.keys() - now.keys():
                self._past = _added(self._past, self._held[key])
            self._held = now
            total = self._past
            for tally in now.values():
                total = _added(total, tally)
            return total


def _added(sums: dict[str, int], tally: Tally) -> dict[str, int]:
    counts: dict[str, int] = asdict(tally)
    return {name: sums.get(name, 0) + count for name, count in counts.items()}
