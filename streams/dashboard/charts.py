"""Charts, each with a sentence for who cannot see it: as a page's script takes them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

Role = Literal["stable", "candidate", "bad", "good", "main", "range", "limit"]
"""What a line means; the style sheet says how it looks."""
XAxis = Literal["time", "log"]
YAxis = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; None leaves a gap."""

    label: str
    role: Role
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `x` is in seconds: since 1970 on an axis of time."""

    title: str
    spoken: str
    x: Sequence[float]
    lines: Sequence[Line]
    unit: str = ""
    x_axis: XAxis = "time"
    y_axis: YAxis = "linear"
    y_range: tuple[float, float] | None = None
    """Without one the values set it."""

    @property
    def spec(self) -> str:
        """JSON for the script."""
        document = {
            "unit": self.unit,
            "x_axis": self.x_axis,
            "y_axis": self.y_axis,
            "y_range": self.y_range,
            "x": self.x,
            "series": self.lines,
        }
        return msgspec.json.encode(document).decode()
