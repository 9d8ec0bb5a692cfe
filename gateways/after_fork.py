"""What becomes of clients of librdkafka when a process forks.

Their threads exist in the parent alone. To destroy such a client in a child hangs or crashes, and
so does to use it: a child leaves it alone, and makes one of its own when it needs one.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Final, Protocol


class BeginsInChild(Protocol):
    """Holds clients of librdkafka, threads or locks."""

    def begin_in_child(self) -> None:
        """Forget the parent's; called in the child, where no other thread runs."""


_registered: Final[weakref.WeakSet[BeginsInChild]] = weakref.WeakSet()


def begin_after_forks(holder: BeginsInChild) -> None:
    """Have `begin_in_child` called in every child of this process, while the holder lives."""
    _registered.add(holder)


def leave_to_parent(client: object) -> None:
    """Never destroy a client: one reference more than there are keeps Python from it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def _begin_all() -> None:
    for holder in list(_registered):
        holder.begin_in_child()


os.register_at_fork(after_in_child=_begin_all)
