"""Answers as bytes, each with the tag that names exactly these bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import msgspec

_TAG_BYTES = 12


@dataclass(frozen=True, slots=True)
class Body:
    """JSON, and its entity tag: the same for the same bytes, whoever serves them."""

    payload: bytes
    tag: str

    @classmethod
    def of(cls, payload: bytes) -> Self:
        """Bytes as they are."""
        return cls(payload, hashlib.blake2b(payload, digest_size=_TAG_BYTES).hexdigest())


def body_of(record: Any) -> Body:
    """A record as JSON."""
    return Body.of(encoded(record))


def encoded(record: Any) -> bytes:
    """A record as JSON on a line, so that it reads well in a terminal."""
    return msgspec.json.encode(record) + b"\n"
