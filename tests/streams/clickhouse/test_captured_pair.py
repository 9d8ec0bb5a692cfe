"""The record of a captured pair."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import sys
import understudy.streams.pairing.event_partition
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_pairing_needs_no_client_of_clickhouse_to_make_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
    )
    assert "clickhouse_connect" not in done.stdout.split()
