"""Runs one workload through pairing whenever it is asked to, and says what an event cost.

Started by `before_after.py` with the code of one revision: `one_pass.py BENCHMARKS LOG`, where
BENCHMARKS is the revision's own folder of benchmarks, since its `pairing.py` knows its code. Each
line on stdin asks for a pass; the answer is its CPU time in µs an event.
"""

from __future__ import annotations

import gc
import pickle
import sys
import time
from contextlib import nullcontext
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    import pairing

    from understudy.streams.gc_control import garbage_collection_of_a_worker

    log = pairing.Log(*pickle.loads(Path(sys.argv[2]).read_bytes()))
    topic = pairing.Topic(len(log.payloads), sum(map(len, log.payloads)), log=log)
    run = pairing.Pairing(pairing.Partition, True, pairing.encode_only())
    # Entered once and not in every pass, of which there are many short ones.
    pairing.garbage_collection_of_a_worker = nullcontext  # type: ignore[assignment]
    run(topic)
    gc.collect()
    with garbage_collection_of_a_worker():
        print("ready", flush=True)
        for _ in sys.stdin:
            began_s = time.process_time()
            run(topic)
            print((time.process_time() - began_s) / topic.events * 1e6, flush=True)
