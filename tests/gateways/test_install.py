"""A gateway needs four packages: `pip install understudy`, without any extra."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OWN_CLIENTS: Final = ("litellm", "openai")
"""What a gateway's own project has: a module that wraps one is imported by who uses it."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~; ]", one)[0].lower() for one in requirements}


def import_names(distributions: set[str]) -> list[str]:
    found = importlib.metadata.packages_distributions()
    return sorted(
        name
        for name, owners in found.items()
        if any(owner.lower() in distributions for owner in owners)
    )


def run_without(packages: list[str], script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a process in which these packages cannot be imported."""
    absent = f"import sys\nfor name in {packages!r}: sys.modules[name] = None\n"
    return subprocess.run(
        [sys.executable, "-c", absent + script], capture_output=True, text=True, check=False
    )


WORKERS_ONLY: Final = import_names(
    names(PROJECT["optional-dependencies"]["worker"]) - names(PROJECT["dependencies"])
)
EVERYTHING = f"""
import importlib, pkgutil
import understudy.gateways, understudy.schemas
for package in (understudy.gateways, understudy.schemas):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in {OWN_CLIENTS!r}:
                raise
"""


def test_the_extra_for_workers_is_known() -> None:
    assert {"numpy", "faust", "aiohttp", "clickhouse_connect", "click"} <= set(WORKERS_ONLY)
    assert not {"confluent_kafka", "msgspec", "yaml", "urllib3"} & set(WORKERS_ONLY)


def test_gateways_import_nothing_of_workers() -> None:
    ended = run_without(WORKERS_ONLY, EVERYTHING)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("package", ["click", "numpy", "clickhouse_connect"])
def test_command_without_the_extra_says_what_to_install(package: str) -> None:
    script = (
        "sys.argv = ['understudy', 'worker']\n"
        "from understudy.streams.commands.entry_point import run\n"
        "run()"
    )
    ended = run_without([package], script)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"Error: the package {package} is missing. `pip install understudy` alone is for gateways; "
        "commands and workers need `pip install 'understudy[worker]'`.\n"
    )
