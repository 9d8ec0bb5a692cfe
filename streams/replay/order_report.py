"""What the order of a recording's events means for a worker that reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from understudy.streams.replay.time_order import Disorder


def order_text(disorder: Disorder, join_timeout_s: float) -> Iterator[str]:
    """What to tell a person; nothing of a recording that is in order."""
    behind = f"more than {join_timeout_s:g} s"
    if disorder.late_as_recorded:
        share = disorder.late_as_recorded / disorder.lines
        yield (
            f"order: {disorder.late_as_recorded:,} of {disorder.lines:,} events ({share:.0%}) come "
            f"after one that lies {behind} ahead of them, the first such at "
            f"{disorder.first_ahead}; a worker that reads them in this order counts them as late: "
            "see whose clock runs ahead"
        )
    if disorder.late_as_recorded and not disorder.late_as_given:
        yield "order: here they were taken in the order of their times, so none is late"
    elif disorder.late_as_given:
        yield (
            f"order: {disorder.late_as_given:,} events were not brought into the order of their "
            "times, since --as-recorded forbids it, and are late; leave it out"
        )


def order_json(disorder: Disorder) -> dict[str, Any]:
    """The same for machines."""
    first = disorder.first_ahead
    return {
        "late_as_recorded": disorder.late_as_recorded,
        "late_as_taken": disorder.late_as_given,
        "first_ahead": {"file": first.file, "line": first.line} if first else None,
    }
