"""The whole path once: publish → Kafka → worker → ClickHouse, and all that it left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.brokers.contract import Broker
from tests.integration.oracle import Account, Invalid, Rules, join, read_event
from tests.integration.processes import (
    Worker,
    flushed_positions,
    report_of,
    settings,
    understudy,
    window_rows,
)
from tests.integration.topic_log import Record, ends_of, read_topic
from understudy.schemas.topics import Topics
from understudy.schemas.windows import WindowRow

CLOCK_SKEW_MS = 60_000
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class WholePath:
    """What came of a recording on its way through all parts."""

    lines: list[bytes]
    topics: Topics
    published: bytes
    """What `publish` printed."""
    publish_stderr: str
    exit_code: int
    worker_stdout: bytes
    log: list[list[Record]]
    """The events topic by partition."""
    dead_letters: list[Record]
    windows_topic: list[Record]
    windows: list[WindowRow]
    comparisons: Rows
    unmatched: Rows
    hashes: dict[str, int]
    """How many output hashes ClickHouse compared with its own, and how many were wrong."""
    replayed: dict[str, Any]
    """The report of `replay --json` on the same file."""

    @cached_property
    def accounts(self) -> list[Account]:
        """Where the oracle puts the events of each partition."""
        return [account_of(records) for records in self.log]

    @property
    def account(self) -> Account:
        """The same, partitions taken together."""
        return sum(self.accounts[1:], start=self.accounts[0])


def account_of(records: Sequence[Record]) -> Account:
    """The oracle on one partition's log, which goes on after its last record."""
    rules = Rules(latest_ms=lambda at: records[at].timestamp_ms + CLOCK_SKEW_MS, ends=False)
    return join([record.value for record in records], rules)


def run_whole_path(
    lines: list[bytes], broker: Broker, topics: Topics, folder: Path, *, refuses: bool = False
) -> WholePath:
    """Take lines all the way; the worker is stopped once everything has been stored.

    `refuses` when there are lines that no broker takes.
    """
    file = folder / "events.ndjson"
    file.write_bytes(b"\n".join(lines) + b"\n")
    environment = settings(broker, topics)
    published = understudy("publish", "--as-recorded", file, folder=folder, environment=environment)
    assert published.returncode == int(refuses), published.stderr.decode()
    ends = ends_of(broker, topics.events.name)
    with running(folder, environment) as worker:
        group_id = environment["UNDERSTUDY_KAFKA_GROUP_ID"]
        worker.wait_until(
            lambda: flushed_positions(broker, topics.events, group_id) == ends, f"positions {ends}"
        )
        exit_code = worker.terminate()
        stdout = worker.stdout
    assert exit_code == 0, worker.log
    outputs = _write_outputs(lines, folder)
    return WholePath(
        lines=lines,
        topics=topics,
        published=published.stdout,
        publish_stderr=published.stderr.decode(),
        exit_code=exit_code,
        worker_stdout=stdout,
        log=read_topic(broker, topics.events.name),
        dead_letters=_flat(read_topic(broker, topics.dead_letters.name)),
        windows_topic=_flat(read_topic(broker, topics.windows.name)),
        windows=window_rows(worker.rows("SELECT * FROM windows FINAL")),
        comparisons=worker.rows("SELECT * FROM comparisons FINAL"),
        unmatched=worker.rows("SELECT * FROM unmatched FINAL"),
        hashes=worker.rows(_HASHES.format(file=outputs))[0],
        replayed=report_of(file, folder=folder),
    )


@contextmanager
def running(folder: Path, environment: dict[str, str], name: str = "worker") -> Iterator[Worker]:
    """A worker that lives in a folder below `folder`."""
    own = folder / name
    own.mkdir()
    with Worker(own, environment) as worker:
        yield worker


_HASHES = """
SELECT count() AS compared, countIf(told != xxHash64(o.output)) AS wrong
FROM (
    SELECT rollout_id, pair_id, 'stable' AS side, stable_output_hash AS told
    FROM comparisons FINAL WHERE has_stable
    UNION ALL
    SELECT rollout_id, pair_id, 'candidate' AS side, candidate_output_hash AS told
    FROM comparisons FINAL WHERE has_candidate
) AS c
JOIN (
    SELECT DISTINCT * FROM file(
        '{file}', JSONEachRow, 'rollout_id String, pair_id String, side String, output String'
    )
) AS o USING (rollout_id, pair_id, side)
"""
"""ClickHouse hashes the outputs itself and counts the rows that say otherwise."""


def _write_outputs(lines: list[bytes], folder: Path) -> Path:
    """Outputs of all sides that answered with text, for ClickHouse to read."""
    file = folder / "outputs.ndjson"
    with file.open("w") as rows:
        for line in lines:
            try:
                event = read_event(line)
            except Invalid:
                continue
            output = (event.get("response") or {}).get("output")
            if output and not event.get("error"):
                names = {name: event[name] for name in ("rollout_id", "pair_id", "side")}
                rows.write(json.dumps({**names, "output": output}) + "\n")
    return file


def _flat(logs: list[list[Record]]) -> list[Record]:
    return [record for log in logs for record in log]
