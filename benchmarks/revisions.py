"""Code of another revision beside this one's, for benchmarks that compare the two in one run."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BASELINE: Final = "109a6db"
"""Before the measures of harm: what an event cost then is what it is to cost again."""
HERE: Final = "here"
REPOSITORY: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Code:
    """A revision's code in a folder."""

    name: str
    benchmarks: Path
    path: str | None
    """What Python has to search first; None for the code that is installed."""

    def environment(self) -> dict[str, str]:
        """Variables for processes that are to run this code."""
        return {} if self.path is None else {"PYTHONPATH": self.path}


THIS: Final = Code(HERE, REPOSITORY / "benchmarks", None)


@contextmanager
def code_of(revision: str) -> Iterator[Code]:
    """A folder that holds the package, benchmarks included, as it was at a revision."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "understudy"
        package.mkdir()
        archive = subprocess.run(
            ["git", "-C", str(REPOSITORY), "archive", revision], check=True, stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x", "-C", str(package)], input=archive.stdout, check=True)
        yield Code(revision, package / "benchmarks", folder)
