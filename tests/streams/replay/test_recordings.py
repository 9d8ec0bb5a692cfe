"""Recordings: the same lines from every format, merged by time, damage reported by name."""

from __future__ import annotations

import gzip
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.streams.replay.recordings import (
    MAX_LINE_BYTES,
    RecordingError,
    read_recordings,
    total_bytes,
    zstd,
)


def _stream_zst(content: bytes) -> bytes:
    """Frames without their size in the header, as a pipe writes them."""
    packer = zstd.ZstdCompressor()
    return packer.compress(content) + packer.flush()


def _halves(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Two members or frames, one after the other, as `cat a.gz b.gz` gives."""
    return lambda content: pack(content[: len(content) // 2]) + pack(content[len(content) // 2 :])


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": (".ndjson", bytes),
    "gz": (".ndjson.gz", gzip.compress),
    "gz, two members": (".gz", _halves(gzip.compress)),
    "zst": (".ndjson.zst", zstd.compress),
    "zst, streamed": (".zst", _stream_zst),
    "zst, two frames": (".zst", _halves(zstd.compress)),
}


def timed(second: int, name: str = "") -> bytes:
    moment = f"2025-01-01T00:{second // 60:02}:{second % 60:02}Z"
    return f'{{"request_time":"{moment}","n":"{name}"}}'.encode()


def payloads(*files: Path) -> list[bytes]:
    return [line.payload for line in read_recordings(files)]


@pytest.mark.parametrize(("ending", "pack"), PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("last", [b"\n", b""], ids=["ends with a line end", "without"])
def test_every_format_gives_the_same_lines(
    ending: str, pack: Callable[[bytes], bytes], last: bytes, tmp_path: Path
) -> None:
    rng = random.Random(1)
    lines = [rng.randbytes(rng.randrange(1, 3000)).hex().encode() for _ in range(300)]
    file = tmp_path / f"events{ending}"
    file.write_bytes(pack(b"\n".join(lines) + last))
    assert payloads(file) == lines
    assert total_bytes([file]) == file.stat().st_size


@given(st.binary(max_size=2000), st.integers(1, 60))
def test_frames_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    content = b'"' + data.replace(b"\r", b"").replace(b"\n", b" ")  # no format begins so
    lines = [content[start : start + cut] for start in range(0, len(content), cut)]
    packed = b"".join(zstd.compress(line + b"\n") for line in lines)
    file = tmp_path_factory.mktemp("zst") / "events.zst"
    file.write_bytes(packed)
    expected = [line.strip() for line in lines if line.strip()]
    assert payloads(file) == expected


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_file_that_breaks_off_is_reported_after_its_complete_lines(
    ending: str, share: float, tmp_path: Path
) -> None:
    rng = random.Random(2)
    lines = [rng.randbytes(500).hex().encode() for _ in range(400)]
    pack = gzip.compress if ending == ".gz" else zstd.compress
    packed = pack(b"\n".join(lines))
    file = tmp_path / f"events{ending}"
    file.write_bytes(packed[: int(share * len(packed))])
    got: list[bytes] = []
    with pytest.raises(RecordingError, match=rf"events\{ending}: "):
        got.extend(line.payload for line in read_recordings([file]))
    assert got == lines[: len(got)]
    assert len(got) > share * 350 or ending == ".zst"


def test_a_missing_file_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.ndjson"):
        list(read_recordings([tmp_path / "nowhere.ndjson"]))
    with pytest.raises(RecordingError, match=r"nowhere\.ndjson: No such file"):
        total_bytes([tmp_path / "nowhere.ndjson"])


def test_files_are_merged_by_request_time_and_keep_their_own_order(tmp_path: Path) -> None:
    stable, candidate = tmp_path / "stable.ndjson", tmp_path / "candidate.ndjson.gz"
    stable.write_bytes(b"\n".join(timed(s, "s") for s in (1, 4, 2, 9)))
    candidate.write_bytes(gzip.compress(b"\n".join(timed(s, "c") for s in (3, 5, 9, 70))))
    merged = payloads(stable, candidate)
    assert merged == [
        timed(1, "s"), timed(3, "c"), timed(4, "s"), timed(2, "s"),
        timed(5, "c"), timed(9, "s"), timed(9, "c"), timed(70, "c"),
    ]  # fmt: skip


def test_lines_without_a_time_stay_where_they_are(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    bad = [b"{", b'{"request_time":5}', b"\xff", b'{"request_time":"2025-01-01T00:00:01"}']
    one.write_bytes(b"\n".join([*bad[:2], timed(5), *bad[2:], timed(7)]))
    two.write_bytes(b"\n".join([timed(6), timed(8)]))
    assert payloads(one, two) == [
        *bad[:2], timed(5), *bad[2:], timed(6), timed(7), timed(8),
    ]  # fmt: skip


def test_an_offset_is_the_same_moment(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    later = b'{"request_time":"2025-01-01T02:00:02+02:00"}'
    one.write_bytes(later)
    two.write_bytes(timed(1) + b"\n" + timed(3))
    assert payloads(one, two) == [timed(1), later, timed(3)]


def test_the_same_file_twice_is_each_line_twice(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(b"\n".join(timed(s) for s in range(3)))
    assert payloads(file, file) == [timed(s) for s in (0, 0, 1, 1, 2, 2)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["plain", "gz", "zst"])
@pytest.mark.parametrize("name", ["events", "events.gz", "events.zst", "events.txt"])
def test_the_content_tells_what_a_file_is_not_its_name(
    pack: Callable[[bytes], bytes], name: str, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(pack(timed(1) + b"\n" + timed(2)))
    assert payloads(file) == [timed(1), timed(2)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_and_utf_16(
    encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    file = tmp_path / "events"
    lines = [timed(n, f"é日😀{n}") for n in range(2000)]
    file.write_bytes(pack(b"\n".join(lines).decode().encode(encoding)))
    assert payloads(file) == lines


def test_a_mark_between_files_that_were_put_together_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(b"\xef\xbb\xbf" + timed(1) + b"\n\xef\xbb\xbf" + timed(2))
    assert payloads(file) == [timed(1), timed(2)]


def test_half_a_character_of_utf_16_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(timed(1).decode().encode("utf-16")[:-1])
    with pytest.raises(RecordingError, match="truncated"):
        payloads(file)


@pytest.mark.parametrize(
    ("head", "name"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"PAR1", "Parquet")]
)
def test_a_format_that_is_not_read_is_named(head: bytes, name: str, tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_bytes(head + bytes(100))
    with pytest.raises(RecordingError, match=name):
        payloads(file)


def test_lines_know_their_numbers_empty_ones_counted(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"\n" + timed(1) + b"\n \n" + timed(3))
    two.write_bytes(timed(2))
    places = [(line.file, line.number) for line in read_recordings([one, two])]
    assert places == [(0, 2), (1, 1), (0, 4)]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "bomb"
    file.write_bytes(zstd.compress(bytes(3 * MAX_LINE_BYTES) + b"\n" + timed(1)))
    lines = payloads(file)
    assert [len(line) for line in lines] == [MAX_LINE_BYTES, len(timed(1))]


@pytest.mark.parametrize("chunks", [1, 3, 1000])
def test_a_pipe_is_read_as_it_comes(chunks: int, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    lines = [timed(n) for n in range(60)]
    content = gzip.compress(b"\n".join(lines))

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            for start in range(0, len(content), chunks):
                file.write(content[start : start + chunks])

    writer = threading.Thread(target=write)
    writer.start()
    assert payloads(pipe) == lines
    writer.join()
    assert total_bytes([pipe]) is None
