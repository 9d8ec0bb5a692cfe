"""Copies of arguments: what one model's client or the caller does to them, no other call sees.

A caller often appends the answer to its list of messages at once, while a mirrored call has not
been sent yet. Only the containers of JSON are copied; the rest is shared.
"""

from __future__ import annotations

from typing import Any, Final

_MOST_LEVELS: Final = 16
"""Deeper than any request; it also ends a structure that holds itself."""


def copy_of(value: Any, levels: int = _MOST_LEVELS) -> Any:
    """Return a value whose lists and dictionaries are copies."""
    if levels == 0:
        return value
    if type(value) is dict:
        return {key: copy_of(one, levels - 1) for key, one in value.items()}
    if type(value) is list:
        return [copy_of(one, levels - 1) for one in value]
    if type(value) is tuple:
        return tuple([copy_of(one, levels - 1) for one in value])
    return value
