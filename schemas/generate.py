"""Writes every file that follows from the records and the measures.

`python -m understudy.schemas.generate` writes the JSON Schemas and the description of the HTTP
API (`schemas/json`), the DDL (`schemas/clickhouse`), and the records of measures in Python. With
`--check` it writes nothing and fails when a file differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from understudy.schemas import asyncapi, json_schema, measure_records
from understudy.schemas.clickhouse import ddl


def files() -> dict[Path, str]:
    """Every file and its text, by path."""
    return {**measure_records.files(), **ddl.files(), **json_schema.files(), **asyncapi.files()}


def outdated() -> list[Path]:
    """Files that are missing or differ from what they follow from."""
    return [path for path, text in files().items() if _written(path) != text]


def _written(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files or check them; the exit status."""
    parser = argparse.ArgumentParser(description="Write the files that follow from the records.")
    parser.add_argument("--check", action="store_true", help="report what differs, write nothing")
    if parser.parse_args(arguments).check:
        stale = outdated()
        for path in stale:
            print(f"{path.name} is out of date", file=sys.stderr)
        return 1 if stale else 0
    if _write(measure_records.files()):
        # JSON Schemas are made from the records, which this process has imported as they were.
        return subprocess.run([sys.executable, "-m", __spec__.name], check=False).returncode
    _write(files())
    return 0


def _write(some: Mapping[Path, str]) -> bool:
    """Whether a file differed and has been written."""
    stale = {path: text for path, text in some.items() if _written(path) != text}
    for path, text in stale.items():
        path.write_text(text, "utf-8")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
