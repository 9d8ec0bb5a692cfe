"""What an event, a core and a replay cost before and now, both revisions side by side in one run.

Four tables: CPU time of an event in full batches for all workloads of `pairing.py`; the share of a
core that a worker takes at the rates that people have (`live_rates.py`, on a real broker); a replay
of windows with few requests; the start of a replay. Both revisions take turns, or run at the same
time, so that other load on the machine falls on both: look at the ratios.

    python benchmarks/before_after.py [--against REVISION] [--plot docs/performance.svg]
        [--pairs 4000] [--repeat 5] [--rates 0 1 10 100 1000] [--partitions 1 12 64] [--json]

Without `--against` it is the newest tag, and where there is none the commit in `revisions.py`.
`--no-live` leaves the broker out.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

import live_rates
from bar_chart import Bars, Panel, drawing
from pairing import WORKLOADS, make_log
from revisions import BASELINE, REPOSITORY, THIS, Code, code_of
from rich.console import Console
from rich.table import Table

SPARSE_RATE_PER_S: Final = 7.0
"""Requests a second that leave three pairs in a row of a window of ten seconds."""
SPARSE_PAIRS: Final = 15_000
"""Half an hour: some seconds of CPU. The first tenth, in which detectors of languages are loaded,
is taken off."""
EVENT: Final = (
    b'{"schema_version":1,"rollout_id":"r","pair_id":"p","mode":"canary","side":"candidate",'
    b'"sides":["candidate"],"served":true,"request_time":"2026-11-02T00:00:00Z","language":"en"}'
)
"""A recording of one event without an answer: nearly all that its replay takes is the start."""


class Figure(NamedTuple):
    """What one thing cost before and now."""

    group: str
    """Title of its table, with the unit."""
    name: str
    before: float
    now: float


# --- full batches -----------------------------------------------------------------------------


def full_batches(codes: Sequence[Code], pairs: int, repeat: int) -> Iterator[Figure]:
    """Yield the CPU time of an event, of each workload; the revisions take turns."""
    for workload in WORKLOADS:
        log = make_log(workload, pairs, seed=1)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps((log.payloads, log.keys, log.timestamps_ms)))
            file.flush()
            figures = _passes(codes, file.name, repeat)
        yield Figure("full batches: CPU µs an event", workload, *figures)


def _passes(codes: Sequence[Code], log: str, repeat: int) -> list[float]:
    """Medians of passes of the revisions in turn."""
    with _children(codes, log) as children:
        costs: list[list[float]] = [[] for _ in children]
        for _ in range(repeat):
            for (stdin, stdout), own in zip(children, costs, strict=True):
                stdin.write("pass\n")
                stdin.flush()
                own.append(float(stdout.readline()))
    return [statistics.median(own) for own in costs]


@contextmanager
def _children(codes: Sequence[Code], log: str) -> Iterator[list[tuple[IO[str], IO[str]]]]:
    """A process for each revision, once it has run the workload and knows its languages."""
    script = str(THIS.benchmarks / "one_pass.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(code.benchmarks), log],
            env={**os.environ, **code.environment()}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for code in codes
    ]  # fmt: skip
    pipes = [(p.stdin, p.stdout) for p in processes if p.stdin and p.stdout]
    try:
        for code, (_, stdout) in zip(codes, pipes, strict=True):
            if stdout.readline() != "ready\n":
                raise RuntimeError(f"the code of {code.name} cannot run the workload")
        yield pipes
    finally:
        for process, (stdin, stdout) in zip(processes, pipes, strict=True):
            stdin.close()
            stdout.close()
            process.wait()


# --- replay -----------------------------------------------------------------------------------


class Used(NamedTuple):
    """What a process took."""

    cpu_s: float
    peak_mb: float


def replays(codes: Sequence[Code], repeat: int) -> Iterator[Figure]:
    """Yield what a replay takes to start, and what it takes where windows hold few requests."""
    with tempfile.TemporaryDirectory() as folder:
        one, part, whole = (Path(folder) / name for name in ("one", "part", "whole"))
        one.write_bytes(EVENT)
        events = make_log("as simulated", SPARSE_PAIRS, 2, SPARSE_RATE_PER_S).payloads
        part.write_bytes(b"\n".join(events[: len(events) // 10]))
        whole.write_bytes(b"\n".join(events))
        starts, parts, wholes = (_in_turns(codes, repeat, file) for file in (one, part, whole))
    starts_ms = [1e3 * used.cpu_s for used in starts]
    yield Figure("replay, start: CPU ms", "a file of one event", *starts_ms)
    more = len(events) - len(events) // 10
    each = [(w.cpu_s - p.cpu_s) / more * 1e6 for w, p in zip(wholes, parts, strict=True)]
    replayed = "three requests a window"
    yield Figure("replay: CPU µs an event, after the first tenth", replayed, *each)
    yield Figure("replay: most memory, MB", replayed, *(used.peak_mb for used in wholes))


def _in_turns(codes: Sequence[Code], repeat: int, file: Path) -> list[Used]:
    """Medians of what replays of the revisions use in turn."""
    found = [[_replay(code, file) for code in codes] for _ in range(repeat)]
    return [
        Used(*map(statistics.median, zip(*own, strict=True))) for own in zip(*found, strict=True)
    ]


def _replay(code: Code, file: Path) -> Used:
    """Run a replay in a process of its own."""
    return cpu_of([*replay_command(), str(file)], code.environment(), file.parent)


def replay_command() -> list[str]:
    """A replay of the recording whose path follows."""
    return [sys.executable, "-m", "understudy.streams.commands.main", "replay", "--json"]


def cpu_of(
    command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Used:
    """Run a command as a process of its own; raise RuntimeError when it fails."""
    process = subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} … ended with {process.returncode}")
    kilobyte = 1024 if sys.platform == "darwin" else 1
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024 / kilobyte)


# --- live -------------------------------------------------------------------------------------


def live(chosen: argparse.Namespace) -> Iterator[Figure]:
    """Yield the share of a core of a worker of each revision, at each rate."""
    with live_rates.broker("real") as servers:
        for partitions in chosen.partitions:
            by_rate: dict[float, dict[str, float]] = {}
            for row in live_rates.measure(chosen, partitions, servers):
                own = by_rate.setdefault(row["requests_per_s"], {})
                own[row["worker"]] = row["percent_of_a_core"]["all"]
            for rate, shares in by_rate.items():
                requests = f"{rate:g} request{'s' * (rate != 1)}/s" if rate else "idle"
                yield Figure(
                    "live, all roles: % of a core",
                    f"{requests}, {partitions} partition{'s' * (partitions > 1)}",
                    shares[chosen.against], shares[THIS.name],
                )  # fmt: skip


# --- the report -------------------------------------------------------------------------------


def show(console: Console, figures: Sequence[Figure], against: str) -> None:
    """Print a table for each group."""
    for group in dict.fromkeys(one.group for one in figures):
        table = Table(title=group, title_justify="left")
        table.add_column("")
        for name in (against, "now", "ratio"):
            table.add_column(name, justify="right")
        for one in figures:
            if one.group == group:
                ratio = f"{one.now / one.before:.2f}" if one.before else ""
                table.add_row(one.name, f"{one.before:.1f}", f"{one.now:.1f}", ratio)
        console.print(table)
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")


def plot(figures: Sequence[Figure], against: str) -> str:
    """Return the drawing of all groups."""
    panels = [
        Panel(group, [Bars(o.name, o.before, o.now) for o in figures if o.group == group])
        for group in dict.fromkeys(one.group for one in figures)
    ]
    return drawing(panels, (f"before ({against})", "now"))


def newest_tag() -> str:
    """Return the newest version's tag, or the commit of `revisions.py` where there is none."""
    found = subprocess.run(
        ["git", "-C", str(REPOSITORY), "describe", "--tags", "--abbrev=0", "--match", "v*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip() or BASELINE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--against", metavar="REVISION", default=newest_tag())
    parser.add_argument("--pairs", type=int, default=4_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 1.0, 10.0, 100.0, 1000.0])
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 12, 64])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each live rate")
    parser.add_argument("--no-live", action="store_true", help="leave the broker out")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write an SVG drawing, too")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(role="all")
    chosen = parser.parse_args()
    console = Console(stderr=chosen.json)
    with code_of(chosen.against) as before:
        codes = (before, THIS)
        figures = [*full_batches(codes, chosen.pairs, chosen.repeat), *replays(codes, 3)]
    if not chosen.no_live:
        figures += live(chosen)
    show(console, figures, chosen.against)
    if chosen.plot:
        chosen.plot.write_text(plot(figures, chosen.against))
    if chosen.json:
        print(json.dumps([one._asdict() for one in figures], indent=2))


if __name__ == "__main__":
    main()
