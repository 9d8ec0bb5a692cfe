"""Cuts texts to a size in bytes. Pure, and apart from the rules, which take long to import."""

from __future__ import annotations


def first_bytes(text: str, max_bytes: int) -> str:
    """Return the characters that fit into so many bytes of UTF-8."""
    head = text[:max_bytes]
    encoded = head.encode("utf-8", "surrogatepass")
    return head if len(encoded) <= max_bytes else encoded[:max_bytes].decode("utf-8", "ignore")
