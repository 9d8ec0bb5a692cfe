"""How Python's cyclic garbage collector runs in a process of ours: for all its threads.

Events, requests and measures form no reference cycles, yet they are many. What makes cycles now and
then (exceptions, clients, event loops) needs a collector that always runs, whether or not messages
come. So it stays on, and what is permanent is taken out of its sight: some 100 000 objects of
imported modules, which each full collection would visit.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (50_000, 2, 10)
"""New objects until the young ones are visited, and how many such visits until the older ones are.

Fifty thousand are more than pairing makes while it compares some hundred requests and frees when it
has compared them: parsed JSON, mostly. After a thousand, most of that is visited first: all visits
took 4 % of pairing's time, 2 % after ten thousand, and now cannot be told from none. What has
survived is visited when a hundred thousand new ones have come: it waits for its other side, and is
no garbage.
"""


@contextmanager
def garbage_collection_of_a_worker() -> Iterator[None]:
    """Freeze what exists, unless the process has done so; to be entered when all is imported."""
    before = gc.get_threshold()
    is_frozen = gc.get_freeze_count() > 0
    if not is_frozen:
        gc.collect()
        gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if not is_frozen:
            gc.unfreeze()
