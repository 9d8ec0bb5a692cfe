"""How many calls to ask at once: fewer where answers do not come in time. Pure.

A model server of one's own often answers one call after the other. Those that wait in its queue
time out though it works, and it goes on with calls that nobody waits for any more. So a timeout
halves the limit, and as many answers as it allows raise it by one, as with TCP's congestion window.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class CallLimit:
    """The limit of calls under way, from 1 to the most that settings allow."""

    most: int
    now: int = field(init=False)
    _answered: int = 0
    """Since the limit last changed."""
    _halved_at_s: float = float("-inf")

    def __post_init__(self) -> None:
        self.now = self.most

    def note_answer(self) -> None:
        """An answer came in time."""
        self._answered += 1
        if self._answered >= self.now and self.now < self.most:
            self.now += 1
            self._answered = 0

    def note_timeout(self, begun_s: float, now_s: float) -> None:
        """A call timed out that began at `begun_s`, of any clock.

        Calls that began before the limit was halved tell nothing about the new one.
        """
        if begun_s >= self._halved_at_s:
            self.now, self._answered, self._halved_at_s = max(1, self.now // 2), 0, now_s
