"""Charts as their script takes them, each with a sentence for who cannot see it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

Role = Literal["stable", "candidate", "bad", "good", "main", "range", "limit"]
"""What a line means; the style sheet says how it looks."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; None leaves a gap."""

    label: str
    role: Role
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart."""

    title: str
    spoken: str
    spec: str
    """JSON for the script."""


def chart(
    title: str,
    spoken: str,
    x: Sequence[float],
    lines: Sequence[Line],
    *,
    unit: str = "",
    x_axis: Literal["time", "log"] = "time",
    y_axis: Literal["linear", "log"] = "linear",
    y_range: tuple[float, float] | None = None,
) -> Chart:
    """Return a chart. `x` is in seconds since 1970 on an axis of time.

    Without a range the values set it.
    """
    document = {
        "unit": unit,
        "x_axis": x_axis,
        "y_axis": y_axis,
        "y_range": y_range,
        "x": x,
        "series": lines,
    }
    return Chart(title, spoken, msgspec.json.encode(document).decode())
