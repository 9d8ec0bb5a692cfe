"""What is kept of a partition's events."""

from __future__ import annotations

import tracemalloc
from typing import Any

from tests.streams.evaluating.test_sampling import sampling
from tests.streams.pairing.log import EPOCH, POLICY, event
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.events import Event
from understudy.streams.evaluating.partition_progress import PartitionProgress
from understudy.streams.evaluating.sampled_partition import SampledPartition
from understudy.streams.evaluating.sampling import Chosen, RolloutSampler
from understudy.streams.pairing.pair_place import place_of
from understudy.streams.pairing.records import RecordBatch

MAX_WAIT_MS = 60_000


class Reader:
    """Feeds a partition, and notes which requests are complete."""

    def __init__(self, share: float = 1.0, rollout_id: str = "r", floor: int = 0) -> None:
        self.progress = PartitionProgress(0, position=0)
        self.partition = SampledPartition(POLICY, self.progress, self._complete)
        self.samplers = {rollout_id: RolloutSampler((sampling(share=share, floor_per_hour=floor),))}
        self.complete: list[str] = []
        self.sides: list[list[str]] = []
        self.chosen: list[tuple[Chosen, ...]] = []
        self.offset = 0

    def _complete(
        self,
        progress: PartitionProgress,
        key: str,
        events: list[Event],
        chosen: tuple[Chosen, ...],
    ) -> None:
        self.complete.append(key)
        self.sides.append([one.side for one in events])
        self.chosen.append(chosen)

    def read(self, *payloads: bytes | None, key: bytes | None = b"r/x", at_s: float = 0.0) -> int:
        offsets = range(self.offset, self.offset + len(payloads))
        self.offset += len(payloads)
        stamp = to_epoch_ms(EPOCH) + round(at_s * 1000)
        batch = RecordBatch(
            payloads, offsets, [stamp] * len(payloads), [key] * len(payloads)
        )  # fmt: skip
        return self.partition.read(batch, self.samplers)

    @property
    def safe(self) -> int:
        return self.progress.safe_offset(MAX_WAIT_MS)


def both(pair_id: str, at_s: float = 0.0, **changes: Any) -> tuple[bytes, bytes]:
    return event(pair_id, "stable", at_s, **changes), event(pair_id, "candidate", at_s, **changes)


def test_a_pair_is_complete_once() -> None:
    reader = Reader()
    stable, candidate = both("a")
    assert reader.read(stable) == 1
    assert reader.safe == 0
    reader.read(candidate, stable, candidate)
    assert reader.complete == ["r/a"]
    assert reader.sides == [["stable", "candidate"]]
    assert reader.chosen[0][0].probability == 1.0
    assert reader.safe == 4


def test_only_the_sample_is_kept_and_both_sides_of_it() -> None:
    reader = Reader(share=0.2)
    names = [str(n) for n in range(200)]
    for name in names:
        reader.read(*both(name))
    wanted = [f"r/{name}" for name in names if place_of("r", name) < 0.2]
    assert reader.complete == wanted
    assert 20 < len(wanted) < 60
    assert reader.safe == 400


def test_other_rollouts_and_modes_are_passed_over() -> None:
    reader = Reader()
    assert reader.read(*both("a", rollout_id="s"), key=b"s/a") == 0
    assert reader.read(*both("a", rollout_id="s"), key=None) == 0
    assert reader.read(event("a", mode="canary", sides=["stable"])) == 0
    assert reader.read(None, b"", b"no JSON", b'{"rollout_id": "r"}', b"[" * 2_000) == 0
    assert reader.safe == 10


def test_a_record_without_a_key_is_read_all_the_same() -> None:
    reader = Reader()
    assert reader.read(*both("a"), key=None) == 2
    assert reader.complete == ["r/a"]


def test_a_side_that_never_comes_is_given_up() -> None:
    reader = Reader()
    reader.read(event("a"))
    assert reader.safe == 0
    reader.read(*both("b", at_s=31), at_s=31)
    assert reader.partition.unmatched == 1
    assert reader.complete == ["r/b"]
    assert reader.safe == 3


def test_late_events_and_those_of_the_future_are_not_joined() -> None:
    reader = Reader()
    reader.read(*both("a", at_s=100), at_s=100)
    assert reader.read(event("b", at_s=1), at_s=100) == 1
    assert reader.read(event("c", at_s=500), at_s=100) == 1
    assert reader.partition.watermark_ms == to_epoch_ms(EPOCH) + 100_000
    assert reader.safe == 4


def test_a_side_that_disagrees_does_not_complete_a_pair() -> None:
    reader = Reader()
    reader.read(event("a", workflow="x"), event("a", "candidate", workflow="y"))
    assert reader.complete == []
    reader.read(event("a", "candidate", workflow="x"))
    assert reader.complete == ["r/a"]


def test_a_later_attempt_replaces_an_earlier_one() -> None:
    reader = Reader()
    failed = event("a", "candidate", error={"type": "500"}, fallback={"final": False})
    good = event("a", "candidate", fallback={"attempts": 2, "final": True})
    reader.read(event("a"), failed, good)
    assert reader.complete == ["r/a"]


def test_an_event_with_a_wrong_clock_leaves_the_floor_as_it_is() -> None:
    reader = Reader(share=0.0, floor=5)
    reader.read(*both("ahead", at_s=400 * 86_400))
    for hour in range(3):
        for n in range(20):
            at_s = hour * 3_600 + n
            reader.read(*both(f"{hour}-{n}", at_s=at_s), at_s=at_s)
    assert "r/ahead" not in reader.complete
    by_hour = [sum(key.startswith(f"r/{hour}-") for key in reader.complete) for hour in range(3)]
    assert all(1 <= count <= 5 for count in by_hour), by_hour


def test_copies_of_a_side_do_not_use_up_the_floor() -> None:
    reader = Reader(share=0.0, floor=2)
    reader.read(*both("a"))
    for _ in range(50):
        reader.read(*both("a"))
    low = next(str(n) for n in range(1_000) if place_of("r", str(n)) < 0.5)
    reader.read(*both(low))
    assert reader.complete == ["r/a", f"r/{low}"]


def test_names_that_no_event_may_have_are_not_kept() -> None:
    reader = Reader(share=0.0, floor=5)
    tracemalloc.start()
    try:
        for n in range(50):
            reader.read(event(str(n), language=f"{n}" + "x" * 100_000))
            reader.read(event(str(n), workflow=f"{n}" + "x" * 100_000))
            reader.read(event(f"{n}" + "x" * 100_000))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
    slices = {name for name, _ in reader.samplers["r"]._hours}
    assert all(len(language) <= 35 and len(workflow) <= 128 for language, workflow in slices)
