"""Memory is added up over those that keep pairs, and only while they live."""

from __future__ import annotations

import dataclasses
import sys

from tests.streams.clickhouse.test_captured_pairs import pair
from understudy.streams.pairing.capture_memory import CaptureMemory, bytes_of


@dataclasses.dataclass(eq=False)
class Held:
    kept_bytes: int


def test_what_is_forgotten_counts_no_more() -> None:
    memory, first, second = CaptureMemory(), Held(3), Held(4)
    memory.add(first)
    memory.add(second)
    assert memory.kept_bytes == 7
    second.kept_bytes = 10
    assert memory.kept_bytes == 13
    del first
    assert memory.kept_bytes == 10


def test_all_texts_of_a_pair_count_as_they_lie_in_memory() -> None:
    one = pair("p")
    longer = dataclasses.replace(one, prompt=one.prompt + "漢" * 1_000)
    assert bytes_of(longer) - bytes_of(one) == sys.getsizeof(longer.prompt) - sys.getsizeof(
        one.prompt
    )
