"""Objects of Faust's classes without their connections: only what a patch touches."""

from __future__ import annotations

from typing import Any


def bare(owner: type, **attributes: Any) -> Any:
    """An instance whose `__init__` has not run, with these attributes."""
    instance = owner.__new__(owner)
    vars(instance).update(attributes)
    return instance
