"""No codec unpacks more than the limit, and all unpack what the ordinary ones do."""

from __future__ import annotations

import resource
from collections.abc import Callable

import pytest
from aiokafka import codec

from understudy.streams.deciding.faust_patches import unpack_limit
from understudy.streams.deciding.faust_patches.unpack_limit import RECORD_MODULES, TooMuch
from understudy.streams.kafka.client_config import MAX_UNPACKED_BYTES

CODECS = ("gzip", "snappy", "lz4", "zstd")
Code = Callable[[bytes], bytes]


def encoder(name: str) -> Code:
    encode: Code = getattr(codec, f"{name}_encode")
    return encode


def decoder(name: str) -> Code:
    decode: Code = getattr(unpack_limit, f"{name}_decode")
    return decode


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(
    "content", [b"x", b'{"a": 1}' * 50_000, bytes(range(256)) * 300, b"0" * MAX_UNPACKED_BYTES]
)
def test_what_was_packed_is_unpacked(name: str, content: bytes) -> None:
    packed = encoder(name)(content)
    assert decoder(name)(packed) == content
    assert decoder(name)(memoryview(packed)) == content  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["gzip", "lz4", "zstd"])
def test_several_frames_are_one_batch(name: str) -> None:
    packed = encoder(name)(b"one") + encoder(name)(b"two")
    assert decoder(name)(packed) == b"onetwo"


def test_raw_snappy_of_other_clients_is_unpacked() -> None:
    packed = bytes(codec.snappy_encode(b"abc" * 1000, xerial_compatible=False))
    assert decoder("snappy")(packed) == b"abc" * 1000


@pytest.mark.parametrize("name", CODECS)
def test_more_than_the_limit_is_refused_before_it_is_unpacked(name: str) -> None:
    packed = encoder(name)(b"0" * (8 * MAX_UNPACKED_BYTES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooMuch, match="unpacks to more than 32 MiB"):
        decoder(name)(packed)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert 1024 * grown_kib < 3 * MAX_UNPACKED_BYTES


@pytest.mark.parametrize("name", CODECS)
def test_damage_is_an_error(name: str) -> None:
    packed = encoder(name)(b'{"a": 1}' * 50_000)
    with pytest.raises(Exception, match=r"."):
        decoder(name)(packed[: len(packed) // 2])


def test_aiokafka_unpacks_by_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in RECORD_MODULES:
        for name in CODECS:
            if hasattr(module, f"{name}_decode"):
                monkeypatch.setattr(module, f"{name}_decode", None)
    unpack_limit.limit_unpacking()
    assert [getattr(RECORD_MODULES[0], f"{name}_decode") for name in CODECS] == [
        decoder(name) for name in CODECS
    ]
