"""The order of a recording: sorted, and what it was like before."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.integration.bad_input import pair
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.replay.recordings import RecordingError, zstd
from understudy.streams.replay.replay_events import replay
from understudy.streams.replay.time_order import Disorder, Recording

POLICY = PairingPolicy()
NOW_MS = 1_800_000_000_000


def minutes(pair_id: int, seconds: int) -> list[bytes]:
    moment = f"2025-03-03T{12 + seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
    return [
        line.replace(b"2025-03-03T12:00:00.5Z", moment.encode()) for line in pair(f"p{pair_id}")
    ]


def recording(file: Path, lines: list[bytes], **limits: int) -> Recording:
    file.write_bytes(b"\n".join(lines))
    return Recording([file], join_timeout_ms=POLICY.join_timeout_ms, **limits)


def test_events_four_minutes_ahead_do_not_make_the_others_late(tmp_path: Path) -> None:
    seconds = [n + (240 if n % 100 == 50 else 0) for n in range(1200)]
    lines = [line for n, second in enumerate(seconds) for line in minutes(n, second)]
    read = recording(tmp_path / "events", lines)
    result = replay(read, POLICY, NOW_MS)
    assert (result.tally.pairs, result.tally.late, result.tally.unmatched) == (1200, 0, 0)
    as_it_is = replay(lines, POLICY, NOW_MS)
    assert read.disorder.late_as_recorded == as_it_is.tally.late > 2000
    assert read.disorder.first_ahead == (str(tmp_path / "events"), 102)


def test_a_recording_in_descending_order_loses_nothing(tmp_path: Path) -> None:
    lines = [line for n in range(1200) for line in minutes(n, 1200 - n)]
    read = recording(tmp_path / "events", lines)
    result = replay(read, POLICY, NOW_MS)
    assert (result.tally.pairs, result.tally.late) == (1200, 0)
    assert read.disorder.late_as_recorded == 2 * (1200 - 121)


def test_an_ordered_recording_is_given_out_as_it_is(tmp_path: Path) -> None:
    lines = [line for n in range(300) for line in minutes(n, n)]
    read = recording(tmp_path / "events", lines)
    assert list(read) == lines
    assert read.disorder == Disorder(lines=600)


def test_equal_times_and_lines_without_a_time_keep_their_place(tmp_path: Path) -> None:
    lines = [b"{", *minutes(1, 5), b"[]", *minutes(2, 5), *minutes(0, 3), b"nothing"]
    assert list(recording(tmp_path / "events", lines)) == [
        b"{", *minutes(0, 3), b"nothing", *minutes(1, 5), b"[]", *minutes(2, 5),
    ]  # fmt: skip


def test_beyond_memory_all_is_sorted_all_the_same(tmp_path: Path) -> None:
    lines = [line for n in range(1200) for line in minutes(n, 1200 - n)]
    read = recording(tmp_path / "events", lines, max_bytes=60_000)
    result = replay(read, POLICY, NOW_MS)
    assert (result.tally.pairs, result.tally.late) == (1200, 0)
    assert read.disorder.late_as_given == 0
    assert read.place(0) == (str(tmp_path / "events"), 2399)


def test_every_line_can_be_found_again(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"\n".join([*minutes(1, 9), *minutes(2, 2)]))
    two.write_bytes(b"\n\n" + b"\n".join(minutes(3, 4)))
    read = Recording([one, two], join_timeout_ms=120_000)
    files = {str(path): path.read_bytes().split(b"\n") for path in (one, two)}
    for index, line in enumerate(read):
        place = read.place(index)
        assert files[place.file][place.line - 1] == line


def test_what_could_be_read_comes_before_the_damage(tmp_path: Path) -> None:
    rng = random.Random(2)
    lines = [rng.randbytes(500).hex().encode() for _ in range(2000)]
    file = tmp_path / "events"
    file.write_bytes(zstd.compress(b"\n".join(lines))[:-10_000])
    got: list[bytes] = []
    with pytest.raises(RecordingError):
        got.extend(Recording([file], join_timeout_ms=1))
    assert got == lines[: len(got)]
    assert len(got) > 1000


def test_as_recorded_nothing_is_moved(tmp_path: Path) -> None:
    lines = [line for n in range(300) for line in minutes(n, 300 - n)]
    file = tmp_path / "events"
    file.write_bytes(b"\n".join(lines))
    read = Recording([file], join_timeout_ms=120_000, as_recorded=True)
    assert list(read) == lines
    assert read.disorder.late_as_given == read.disorder.late_as_recorded > 0


def test_progress_is_of_lines_that_were_given_out(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(b"\n".join(line for n in range(5000) for line in minutes(n, n)))
    reported: list[int] = []
    list(Recording([file], join_timeout_ms=1, progress=reported.append))
    assert min(reported) > 0
    assert 0.6 * file.stat().st_size < sum(reported) <= file.stat().st_size
