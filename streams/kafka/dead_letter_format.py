"""How a dead letter is written: the message as it was, with its place and the reason in headers."""

from __future__ import annotations

from typing import Final

Headers = list[tuple[str, str | bytes | None]]

MAX_DEAD_LETTER_BYTES: Final = 4 * 1024 * 1024
"""Of a larger value the beginning is kept: compression lets through more than the topic takes."""
MAX_KEY_BYTES: Final = 64 * 1024
"""A larger key is left out: the beginning of a key would be another key."""
MAX_DETAIL_CHARACTERS: Final = 1000
"""Enough for a reason; what a parser quotes of a message can be as long as the message."""


def dead_letter_headers(
    reason: str, detail: str, topic: str, partition: int, offset: int, value: bytes | None
) -> Headers:
    """Why a message could not be used, and where it was read."""
    headers: Headers = [
        ("reason", reason.encode()),
        ("detail", detail[:MAX_DETAIL_CHARACTERS].encode("utf-8", "replace")),
        ("topic", topic.encode()),
        ("partition", str(partition).encode()),
        ("offset", str(offset).encode()),
    ]
    if value is not None and len(value) > MAX_DEAD_LETTER_BYTES:
        headers.append(("cut_from_bytes", str(len(value)).encode()))
    return headers


def shortened(key: bytes | None, value: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Key and value of a dead letter, no larger than its topic takes."""
    kept_key = key if key is None or len(key) <= MAX_KEY_BYTES else None
    return kept_key, value if value is None else value[:MAX_DEAD_LETTER_BYTES]
