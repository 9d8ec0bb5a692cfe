"""JSON bodies of responses and their entity tags."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from understudy.streams.terminal.plain_text import with_escapes

_TAG_BYTES: Final = 12
"""96 bits: no two bodies of one address will ever share a tag by chance."""

VERSION_END: Final = "-"
"""Between the two parts of a tag. A rollout's body changes with every decision about it, so what
says whether its policy has changed, for `If-Match`, is the first part alone."""


@dataclass(frozen=True, slots=True)
class Body:
    """JSON and its entity tag: equal bytes have equal tags, whichever worker serves them."""

    payload: bytes
    tag: str

    @classmethod
    def of(cls, payload: bytes, version: str = "") -> Self:
        """The body with these bytes; its tag begins with the version of what it describes."""
        own = hashlib.blake2b(payload, digest_size=_TAG_BYTES).hexdigest()
        return cls(payload, f"{version}{VERSION_END}{own}" if version else own)


def body_of(record: Any, version: str = "") -> Body:
    """Encode a record as a body."""
    return Body.of(encoded(record), version)


def encoded(record: Any) -> bytes:
    """Encode a record as a line of JSON that any terminal can show.

    The newline keeps a terminal's prompt apart.
    """
    return with_escapes(msgspec.json.encode(record).decode()).encode() + b"\n"
