"""Who has a chDB folder open, told by the lock that ClickHouse takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.folder_holder import (
    holder_of,
    publish_address,
    withdraw_address,
)
from understudy.streams.clickhouse.sink_errors import SinkBusy

_LOCK = """
import fcntl, os, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
file.write(f"PID: {os.getpid()}\\nStarted at: now\\n")
file.flush()
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Another process locks the folder as ClickHouse does; yields its process id."""
    command = [sys.executable, "-c", _LOCK, str(folder / "status")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.communicate()


def test_a_folder_that_nobody_has_open(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    assert holder_of(tmp_path / "nowhere") is None
    (tmp_path / "status").write_text("PID: 1\n")
    assert holder_of(tmp_path) is None


def test_the_holder_is_named_with_its_command(tmp_path: Path) -> None:
    with held(tmp_path) as pid:
        holder = holder_of(tmp_path)
        assert holder is not None
        assert (holder.pid, holder.port) == (pid, None)
        assert str(holder).startswith(f"process {pid} (python")
    assert holder_of(tmp_path) is None


def test_an_address_counts_only_while_its_process_holds_the_folder(tmp_path: Path) -> None:
    with held(tmp_path) as pid:
        publish_address(tmp_path, 8123)  # of this process, which does not hold it
        holder = holder_of(tmp_path)
        assert holder is not None
        assert holder.port is None
        (tmp_path / "understudy-http.json").write_text(f'{{"pid": {pid}, "port": 9}}')
        served = holder_of(tmp_path)
        assert served is not None
        assert served.port == 9
        (tmp_path / "understudy-http.json").write_text("{")
        assert holder_of(tmp_path) == holder


def test_an_address_is_withdrawn(tmp_path: Path) -> None:
    publish_address(tmp_path, 1)
    withdraw_address(tmp_path)
    withdraw_address(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_connecting_says_who_has_it_open(create: bool, tmp_path: Path) -> None:
    with held(tmp_path) as pid:
        with pytest.raises(SinkBusy, match=rf"is open in process {pid} \(python.*stop it first"):
            connect(f"chdb://{tmp_path}", create=create)
        (tmp_path / "understudy-http.json").write_text(f'{{"pid": {pid}, "port": 9}}')
        with pytest.raises(SinkBusy, match=r"127\.0\.0\.1:9 answers questions"):
            connect(f"chdb://{tmp_path}")
