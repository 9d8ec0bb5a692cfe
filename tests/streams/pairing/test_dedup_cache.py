"""A key is known again within a time and a length of log, whatever a worker remembers longer."""

from __future__ import annotations

from understudy.streams.pairing.dedup_cache import DedupCache

RECORD_BYTES = 100


def read(cache: DedupCache, key: str, time_ms: int, watermark_ms: int | None = None) -> bool:
    """Read a record of `RECORD_BYTES` as a reader does."""
    is_copy = cache.is_copy(key, time_ms, time_ms if watermark_ms is None else watermark_ms)
    cache.log_bytes += RECORD_BYTES
    return is_copy


def test_the_second_of_a_key_is_a_copy() -> None:
    cache = DedupCache(max_age_ms=1000, max_bytes=10_000)
    assert [read(cache, key, 0) for key in ("a", "b", "a", "b", "c")] == [
        False, False, True, True, False,
    ]  # fmt: skip


def test_at_the_age_of_the_look_back_it_is_a_copy_and_beyond_it_is_new() -> None:
    for later_ms, is_copy in ((1000, True), (1001, False)):
        cache = DedupCache(max_age_ms=1000, max_bytes=10_000)
        read(cache, "a", 0)
        assert read(cache, "a", later_ms) is is_copy


def test_the_watermark_counts_and_not_the_copys_own_time() -> None:
    cache = DedupCache(max_age_ms=1000, max_bytes=10_000)
    read(cache, "a", 0)
    assert not read(cache, "a", 500, watermark_ms=1001)


def test_so_many_bytes_of_the_log_behind_it_is_a_copy_and_further_it_is_new() -> None:
    for between, is_copy in ((1, True), (2, False)):
        cache = DedupCache(max_age_ms=1000, max_bytes=2 * RECORD_BYTES)
        read(cache, "a", 0)
        for number in range(between):
            read(cache, f"other{number}", 0)
        assert read(cache, "a", 0) is is_copy


def test_a_copy_is_recognised_by_the_copy_before_it() -> None:
    cache = DedupCache(max_age_ms=1000, max_bytes=10_000)
    read(cache, "a", 0)
    assert read(cache, "a", 900)
    assert read(cache, "a", 1800)


def test_a_late_copy_does_not_turn_the_key_back() -> None:
    cache = DedupCache(max_age_ms=1000, max_bytes=10_000)
    read(cache, "a", 900)
    assert read(cache, "a", 0, watermark_ms=900)
    assert read(cache, "a", 1900)


def test_eviction_changes_no_answer_and_bounds_memory() -> None:
    kept, evicted = (DedupCache(max_age_ms=50, max_bytes=10_000) for _ in range(2))
    for number in range(500):
        key, time_ms = f"k{number % 7 if number % 3 else number}", number * 5
        evicted.evict(time_ms)
        assert read(evicted, key, time_ms) is read(kept, key, time_ms)
    assert len(evicted) <= 11 < len(kept)
