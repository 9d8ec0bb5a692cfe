"""Faults of all kinds at random, from a seed: `python -m tests.faults.soak --seeds 200`.

A seed fixes the traffic, the faults and their order; how they meet is up to the machine. Each seed
has topics, a group and a database of its own, on one broker and one ClickHouse that are killed too.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.brokers.bomb import CODECS, bomb
from tests.brokers.choose import start_own_broker
from tests.brokers.contract import Broker
from tests.faults.clickhouse_server import OUTAGES, ClickHouseServer, Fault
from tests.faults.deciding import WINDOW_PARTITIONS
from tests.faults.harness import COMPLETE_S, Run
from tests.faults.processes import Killable, Worker, stop
from tests.faults.truth import Rules
from tests.faults.whole_path import WholePathRun
from tests.faults.workload import Message, Shape, Workload
from understudy.streams.errors import UNREACHABLE

MOST_WORKERS: Final = 3
LONGEST_WAIT_S: Final = 0.5
LONGEST_HANG_S: Final = 2.5


@dataclass
class Result:
    """What one seed did."""

    seed: int
    events: int = 0
    seconds: float = 0.0
    recovery_s: float = 0.0
    """From the last fault's end until everything was read, stored and committed."""
    faults: Counter[str] = field(default_factory=Counter)
    summary: str = ""
    failure: str = ""


class Soak:
    """One seed's run."""

    def __init__(self, seed: int, broker: Broker, clickhouse: ClickHouseServer) -> None:
        self._rng = rng = Random(seed)
        self._broker = broker
        self._clickhouse = clickhouse
        self._faults: Counter[str] = Counter()
        # Alone: a member that restarts under its name amid a cooperative rebalance can leave a
        # partition without an owner until the next one; Kafka's "consumer" protocol does not.
        self._static = rng.random() < 0.3
        self._instances = iter(range(10_000))
        self._names: dict[Killable, str] = {}
        self._is_deleted = self._is_reset = False
        self._unpackable: list[tuple[int, int]] = []
        """Partition and offset of records that are invalid, and in no dead letter of their own."""
        self.result = Result(seed, faults=self._faults)
        timeout_ms = rng.randrange(2000, 5001, 500)
        rules = Rules(
            window_ms=rng.choice((1000, 2000, 5000)),
            timeout_ms=timeout_ms,
            lateness_ms=timeout_ms + rng.randrange(0, 2001, 500),
            skew_ms=60_000,
            tolerance_ms=rng.choice((0, 200, 1000)),
            grace_ms=rng.choice((0, 300, 1500)),
        )
        self._run = self._make_run(
            broker,
            clickhouse,
            protocol="classic" if self._static else rng.choice(("classic", "consumer")),
            rules=rules,
            partitions=rng.randint(1, 4),
            pairing_batch_records=rng.choice((10, 40, 200, 10_000)),
            pairing_flush_interval_s=rng.choice((0.05, 0.1, 0.3)),
            clickhouse_buffer_bytes=rng.choice((400_000, 1_600_000, 50_000_000)),
        )
        self._shape = Shape(
            rate_per_s=rng.choice((5.0, 20.0, 60.0)),
            lost=rng.random() * 0.1,
            copied=rng.random() * 0.15,
            slow=rng.random() * 0.3,
            late=rng.random() * 0.1,
            garbage=rng.random() * 0.05,
            ahead=rng.random() * 0.03,
            disagreeing=rng.random() * 0.05,
            reused=rng.random() * 0.2,
            skewed=rng.random() * 0.3,
            retried=rng.random() * 0.2,
            pauses=rng.random() * 0.005,
        )
        self._workload = Workload(seed, rng.randint(300, 1500), self._shape)
        self._chunks = self._workload.chunks(rng.randint(4, 9))

    def _make_run(self, *args: Any, **settings: Any) -> Run:
        return Run(*args, **settings)

    def go(self) -> Result:
        """Publish with faults between, then let everything heal, and compare."""
        started = time.monotonic()
        with self._run as run:
            for _ in range(1 if self._static else self._rng.randint(1, 2)):
                self._start()
            self._begin()
            for chunk in self._chunks:
                self._publish(chunk)
                for _ in range(self._rng.randint(0, 2)):
                    self._something()
                time.sleep(self._rng.random() * LONGEST_WAIT_S)
            self.result.recovery_s = self._heal()
            run.stop_workers()
            self.result.summary = self._check()
            self.result.events = sum(run.ends().values())
        self.result.seconds = time.monotonic() - started
        return self.result

    def _begin(self) -> None:
        """What has to be there before the first event."""

    def _publish(self, chunk: list[Message]) -> None:
        self._run.publish(chunk)

    def _check(self) -> str:
        return self._run.summary(self._run.check(self._unpackable))

    def _heal(self) -> float:
        run = self._run
        run.fault(Fault.NONE)
        deadline = time.monotonic() + COMPLETE_S
        while True:
            self._supervise()
            try:
                return run.wait_until_complete()
            except AssertionError:
                if not self._gave_up() or time.monotonic() > deadline:
                    raise

    def _supervise(self) -> None:
        """Start again what ended because Kafka was away when it started, as a supervisor does."""
        for worker in self._gave_up():
            self._faults["worker started again: Kafka had been away"] += 1
            name = self._names[worker]
            self._run.workers.remove(worker)
            self._start(name or None)
        if not self._run.living:
            self._start()

    def _gave_up(self) -> list[Killable]:
        return [worker for worker in self._run.workers if worker.exit_code == UNREACHABLE]

    def _something(self) -> None:
        faults: list[tuple[Callable[[], None], int]] = [
            (self._kill, 8),
            (self._stop, 4),
            (self._add, 4),
            (self._hang, 2),
            (self._break_clickhouse, 6),
            (self._mend_clickhouse, 4),
            (self._pause_faults, 4),
            (self._retention, 1),
            (self._reset, 1),
            (self._compressed_poison, 1),
            (self._kill_clickhouse, 1),
            (self._end_broker, 1),
        ]
        fault = self._rng.choices([f for f, _ in faults], [weight for _, weight in faults])[0]
        fault()

    # Faults

    def _start(self, instance: str | None = None) -> None:
        if self._static and instance is None:
            instance = f"i{next(self._instances)}"
        worker = self._run.worker(instance)
        self._names[worker] = instance or ""

    def _some_worker(self) -> Worker | None:
        living = [w for w in self._run.living if isinstance(w, Worker)]
        return self._rng.choice(living) if living else None

    def _instance_of(self, worker: Worker) -> str | None:
        return self._names[worker] or None

    def _kill(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            self._faults["SIGKILL of a worker"] += 1
            worker.kill()
            if self._static or self._rng.random() < 0.9:
                self._start(self._instance_of(worker))

    def _stop(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            self._faults["SIGTERM of a worker"] += 1
            stop(worker)
            self._start(self._instance_of(worker))

    def _add(self) -> None:
        if len(self._run.living) < (1 if self._static else MOST_WORKERS):
            self._faults["worker added"] += 1
            self._start()

    def _hang(self) -> None:
        worker = self._some_worker()
        if worker is not None:
            self._faults["SIGSTOP of a worker"] += 1
            worker.pause()
            time.sleep(self._rng.random() * LONGEST_HANG_S)
            worker.go_on()

    def _break_clickhouse(self) -> None:
        fault = self._rng.choice((*OUTAGES, Fault.SLOW))
        self._faults[f"ClickHouse: {fault.value}"] += 1
        self._run.fault(fault)

    def _mend_clickhouse(self) -> None:
        self._run.fault(Fault.NONE)

    def _pause_faults(self) -> None:
        """Let everything be committed, so that the next fault meets the middle of the log."""
        self._heal()

    def _retention(self) -> None:
        """Never in a run that is reset: what it then cannot read is told, and left out of rows."""
        if not self._is_reset:
            self._faults["records deleted below the committed offset"] += 1
            self._run.delete_before({n: c.offset for n, c in self._run.committed().items()})
            self._is_deleted = True

    def _reset(self) -> None:
        """Read everything again: by the group at the earliest offsets, or by another one."""
        if self._is_deleted:
            return
        self._is_reset = True
        self._run.fault(Fault.NONE)
        self._run.stop_workers()
        if self._rng.random() < 0.5:
            self._faults["group set to the earliest offsets"] += 1
            self._run.reset_to_earliest()
        else:
            self._faults["another group"] += 1
            self._run.group += "-again"
        self._start()

    def _compressed_poison(self) -> None:
        """A batch that unpacks to more than a client takes."""
        self._faults["batch that cannot be unpacked"] += 1
        run, number = self._run, self._rng.randrange(self._run.partitions)
        offsets = bomb(self._broker.bootstrap_servers, run.topics.events.name, number, 2)
        self._unpackable += [(number, offset) for offset in offsets[1:]]

    def _kill_clickhouse(self) -> None:
        self._faults["SIGKILL of ClickHouse"] += 1
        self._clickhouse.kill()
        time.sleep(self._rng.random())
        self._clickhouse.start()

    def _end_broker(self) -> None:
        end = self._rng.choice(("stop", "kill"))
        self._faults["broker stopped" if end == "stop" else "SIGKILL of the broker"] += 1
        getattr(self._broker, end)()
        time.sleep(self._rng.random())
        self._broker.restart()


class WholePathSoak(Soak):
    """The same with workers of every role, ratings by users, and decisions."""

    _run: WholePathRun

    def _make_run(self, *args: Any, **settings: Any) -> Run:
        return WholePathRun(*args, **settings)

    def _start(self, instance: str | None = None) -> None:
        """A worker comes back as the member of the deciding group that it was."""
        known = instance or f"i{next(self._instances)}"
        worker = self._run.deciding_worker(known, pairing_instance=known if self._static else None)
        self._names[worker] = known

    def _begin(self) -> None:
        self._run.apply()
        self._ratings = self._workload.ratings(60 * len(self._chunks))

    def _publish(self, chunk: list[Message]) -> None:
        """Also ratings, and now and then a batch for deciding that cannot be unpacked."""
        super()._publish(chunk)
        self._run.rate(self._ratings[:60])
        del self._ratings[:60]
        if self._rng.random() < 0.05:
            self._faults["batch of windows that cannot be unpacked"] += 1
            codec = self._rng.choice(CODECS)
            number = self._rng.randrange(WINDOW_PARTITIONS)
            bomb(self._broker.bootstrap_servers, self._run.topics.windows.name, number, 2,
                 codec=codec)  # fmt: skip

    def _heal(self) -> float:
        took_s = super()._heal()
        self._run.wait_until_rated()
        return took_s

    def _check(self) -> str:
        """What was written last, when the workers stopped, is decided by another one."""
        self._run.deciding_worker("last", role="deciding")
        self._run.wait_until_decided()
        self._run.stop_workers()
        return self._run.check_whole(self._unpackable)


def soak(
    seed: int, broker: Broker, clickhouse: ClickHouseServer, kind: type[Soak] = Soak
) -> Result:
    """One seed; what went wrong stands in the result."""
    one = kind(seed, broker, clickhouse)
    try:
        return one.go()
    except Exception:
        one.result.failure = traceback.format_exc()
        return one.result


def main() -> None:
    """Run many seeds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--whole-path", action="store_true",
                        help="with deciding and feedback, not pairing alone")  # fmt: skip
    asked = parser.parse_args()
    kind = WholePathSoak if asked.whole_path else Soak
    broker, clickhouse = start_own_broker(), ClickHouseServer().start()
    results: list[Result] = []
    with suppress(KeyboardInterrupt):
        for seed in range(asked.first, asked.first + asked.seeds):
            results.append(soak(seed, broker, clickhouse, kind))
            _report(results[-1])
    broker.close()
    clickhouse.close()
    _summarise(results)
    sys.exit(any(result.failure for result in results))


def _report(result: Result) -> None:
    if result.failure:
        print(f"seed {result.seed} FAILED\n{result.failure}", flush=True)
        return
    faults = ", ".join(f"{count} {name}" for name, count in sorted(result.faults.items()))
    print(
        f"seed {result.seed}: {result.seconds:.1f} s, healed in {result.recovery_s:.1f} s; "
        f"{result.summary}; {faults or 'no faults'}",
        flush=True,
    )


def _summarise(results: list[Result]) -> None:
    faults: Counter[str] = Counter()
    for result in results:
        faults += result.faults
    failed = [result.seed for result in results if result.failure]
    healed = sorted(result.recovery_s for result in results if not result.failure)
    print(f"\n{len(results)} seeds, {sum(r.events for r in results)} events, failed: {failed}")
    if healed:
        print(f"healed in {healed[len(healed) // 2]:.1f} s (median), {healed[-1]:.1f} s (longest)")
    for name, count in sorted(faults.items()):
        print(f"{count:6} {name}")


if __name__ == "__main__":
    main()
