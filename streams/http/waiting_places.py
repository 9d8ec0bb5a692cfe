"""Places for requests that wait for a change, shared fairly between clients.

One client may hold all of them while nobody else wants any. When they are all taken, a new request
of a client that holds fewer gets the place that the largest client has held longest; whoever held
it is answered as things stand, as at the end of its time, and may ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class TooManyWaiting(RuntimeError):
    """As many requests wait already as may."""


class WaitingPlace:
    """The place of one request."""

    __slots__ = ("is_taken_away", "woken")

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.is_taken_away = False


class WaitingPlaces:
    """All places; belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._by_client: dict[str, dict[WaitingPlace, None]] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return self._taken

    @contextmanager
    def take(self, client: str) -> Iterator[WaitingPlace]:
        """Hold a place inside the context. Raises `TooManyWaiting`."""
        if self._taken >= self.limit:
            self._make_room(client)
        place = WaitingPlace()
        self._by_client.setdefault(client, {})[place] = None
        self._taken += 1
        try:
            yield place
        finally:
            self._give_back(client, place)

    def wake_all(self) -> None:
        """Something has changed."""
        for places in self._by_client.values():
            for place in places:
                place.woken.set()

    def _make_room(self, newcomer: str) -> None:
        largest = max(self._by_client, key=lambda client: len(self._by_client[client]), default="")
        held = len(self._by_client.get(newcomer, ()))
        if len(self._by_client.get(largest, ())) <= held + 1:
            raise TooManyWaiting(
                f"{self.limit} requests wait for changes already; ask another worker or later"
            )
        place = next(iter(self._by_client[largest]))
        place.is_taken_away = True
        place.woken.set()
        self._give_back(largest, place)

    def _give_back(self, client: str, place: WaitingPlace) -> None:
        places = self._by_client.get(client, {})
        if place in places:
            del places[place]
            self._taken -= 1
            if not places:
                del self._by_client[client]
