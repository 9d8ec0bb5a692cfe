"""Rules that hold for the whole repository: who may import what, and what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "schemas": set[str](),
    "analyzers": {"schemas"},
    "streams": {"schemas", "analyzers"},
    "gateways": {"schemas"},
}
"""Each package, and which others of ours it may import."""
EDGE_ONLY = {
    "confluent_kafka", "clickhouse_connect", "chdb", "faust", "httpx", "requests", "aiohttp",
    "urllib3", "urllib.request", "http", "http.client", "http.server", "starlette", "uvicorn",
}  # fmt: skip
"""Only `streams` and `gateways` talk to the world."""
IMPURE = EDGE_ONLY | {
    "time", "socket", "os", "subprocess", "threading", "asyncio", "random", "secrets", "tempfile",
    "shutil", "io", "logging", "structlog", "sys",
}  # fmt: skip
IMPURE_CALLS = re.compile(
    r"\b(datetime|dt\.datetime|date)\.(now|utcnow|today)\b|\bdefault_rng\(\s*\)|(?<![\w.])open\("
    r"|(?<![\w.])print\("
)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
MACHINE_PATH = re.compile(
    r"/" r"(work|root|home/\w+|Users/\w+)/[\w.]" + r"|[.]{2}/" + r"shared/", re.IGNORECASE
)


def tracked() -> list[Path]:
    """Files that are in the repository, or about to be."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout.decode()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git here")
    files = [ROOT / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            yield node.module


def present() -> list[str]:
    return [package for package in PACKAGES if (ROOT / package).is_dir()]


@pytest.mark.parametrize("package", present())
def test_packages_import_only_what_lies_below(package: str) -> None:
    allowed = PACKAGES[package] | {package}
    for file in modules(package):
        for name in imports(file):
            top, _, rest = name.partition(".")
            if top == "understudy":
                assert rest.partition(".")[0] in allowed, f"{file.name} imports {name}"
            assert top not in PACKAGES, f"{file.name}: say understudy.{name}"
            assert top != "tests", f"{file.name} imports {name}"


@pytest.mark.parametrize("package", ["schemas", "analyzers"])
def test_only_the_edge_talks_to_the_world(package: str) -> None:
    for file in modules(package):
        for name in imports(file):
            assert not {name, name.partition(".")[0]} & EDGE_ONLY, f"{file.name} imports {name}"


def test_analyzers_are_pure() -> None:
    for file in modules("analyzers"):
        for name in imports(file):
            assert name.partition(".")[0] not in IMPURE, f"{file.name} imports {name}"
        code = _without_text(file)
        found = IMPURE_CALLS.search(code)
        assert found is None, f"{file.name}: {found and found[0]}"


def _without_text(file: Path) -> str:
    """The code of a file without comments and docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    return "\n".join(
        ast.unparse(node)
        for node in tree.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )


def test_the_rules_would_notice(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from understudy.streams import cli\n    import time\n")
    assert list(imports(bad)) == ["understudy.streams", "time"]
    assert IMPURE_CALLS.search("x = dt.datetime.now(dt.UTC)")
    assert IMPURE_CALLS.search("with open(path) as f")
    assert not IMPURE_CALLS.search("self.open(path); reopen(x)")
    assert MACHINE_PATH.search("see /ro" + "ot/notes.md")
    assert not MACHINE_PATH.search("POST /api/root and $HOME/work")


def test_pyproject_lists_the_folders_that_there_are() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    tracked_files = set(tracked())
    folders = {
        "understudy." + ".".join(file.parent.relative_to(ROOT).parts)
        for package in present()
        for file in modules(package)
        if file in tracked_files
    }
    assert set(setuptools["packages"]) == folders
    assert set(setuptools["package-dir"]) == {f"understudy.{package}" for package in present()}
    for package in present():
        assert (ROOT / package / "py.typed").exists(), package


def test_every_package_folder_says_what_it_is_for() -> None:
    for package in present():
        for file in modules(package):
            assert ast.get_docstring(ast.parse(file.read_text("utf-8"))), f"{file} has no docstring"
            assert (file.parent / "__init__.py").exists(), f"{file.parent} is no package"


def test_no_file_has_a_name_that_says_nothing() -> None:
    for file in tracked():
        names = {part.removesuffix(".py") for part in file.relative_to(ROOT).parts}
        assert not names & VAGUE_NAMES, file


def test_no_file_names_a_place_on_some_machine() -> None:
    for file in tracked():
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found = MACHINE_PATH.search(text)
        assert found is None, f"{file.relative_to(ROOT)}: {found and found[0]}"


def test_no_large_files() -> None:
    """Recordings and model outputs stay out of the repository."""
    for file in tracked():
        assert file.stat().st_size < 500_000 or file.suffix in {".svg", ".png", ".gif"}, file
        assert not file.name.endswith((".ndjson", ".ndjson.gz", ".ndjson.zst", ".csv.gz")), file
