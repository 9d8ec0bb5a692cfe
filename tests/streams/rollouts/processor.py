"""A stand-in for the deciding worker: it obeys records of a mock cluster, on a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from tests.streams.deciding.fake_port import write
from tests.streams.rollouts.records import DECISIONS, ROLLOUTS, Kafka
from understudy.schemas.windows import WindowsMessage
from understudy.streams.deciding.log_place import LogPlace
from understudy.streams.deciding.state_store import Output, RolloutStateStore

_LOOK_S: Final = 0.1


class DecisionProcessor:
    """What a worker does with records and windows, without Faust."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._table: dict[bytes, bytes] = {}
        self._store = RolloutStateStore(self._table)
        self._read = 0

    def obey(self) -> None:
        """Take the records that are new."""
        found = self._kafka.messages(ROLLOUTS)
        for message in found[self._read :]:
            _, at_ms = message.timestamp()
            place = LogPlace(message.partition() or 0, message.offset() or 0, at_ms)
            self._keep(self._store.apply_record(message.key(), message.value(), place))
        self._read = len(found)

    def judge(self, message: WindowsMessage) -> None:
        """Take window rows."""
        payload = msgspec.json.encode(message)
        place = LogPlace(0, message.version, 0)
        self._keep(self._store.apply_windows(message.rollout_id.encode(), payload, place))

    def _keep(self, output: Output) -> None:
        for value in output.decisions:
            self._kafka.write(DECISIONS, (output.key.decode(), value))
        if not output.is_state_changed:
            return
        for writes in self._store.checkpoint(output.key):
            write(self._table, writes)
        self._store.mark_saved(output.key)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Obey whatever comes, until the block ends."""
        done = threading.Event()

        def work() -> None:
            while not done.wait(_LOOK_S):
                self.obey()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
