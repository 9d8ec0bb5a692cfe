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


class _Process:
    is_child = False
    """Whether it was forked since this module was imported."""


_process: Final = _Process()
_registered: Final[weakref.WeakSet[BeginsInChild]] = weakref.WeakSet()


def begin_after_forks(holder: BeginsInChild) -> None:
    """Have `begin_in_child` called in every child of this process, while the holder lives."""
    _registered.add(holder)


def leave_to_parent(client: object) -> None:
    """Never destroy a client: one reference more than there are keeps Python from it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))


def release(client: object) -> None:
    """Let go of a client that this process made.

    In a child of a process that had clients, to destroy even one of its own hangs now and then,
    waiting for a thread of it (8 of 600 children, librdkafka 2.16). There it lasts as long as the
    process.
    """
    if _process.is_child:
        leave_to_parent(client)


def _begin_all() -> None:
    _process.is_child = True
    for holder in list(_registered):
        holder.begin_in_child()


os.register_at_fork(after_in_child=_begin_all)
