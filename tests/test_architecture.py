"""Rules that hold for the whole repository and that no linter knows.

Who may import whom is import-linter's business, in pyproject.toml; `make lint` runs it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "analyzers", "streams", "gateways")
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


def present() -> list[str]:
    return [package for package in PACKAGES if (ROOT / package).is_dir()]


def imports(file: Path) -> Iterator[str]:
    """Names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("package", present())
def test_our_packages_go_by_their_installed_names(package: str) -> None:
    """The folders lie at the top, where Python finds them by a name that no wheel has."""
    for file in modules(package):
        for name in imports(file):
            top = name.partition(".")[0]
            assert top not in PACKAGES, f"{file}: say understudy.{name}"
            assert top != "tests", f"{file} imports {name}"


def test_analyzers_call_nothing_impure() -> None:
    for file in modules("analyzers"):
        found = IMPURE_CALLS.search(_without_text(file))
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
    bad.write_text("def f():\n    from streams import cli\n    import schemas.events\n")
    assert list(imports(bad)) == ["streams", "schemas.events"]
    assert IMPURE_CALLS.search("x = dt.datetime.now(dt.UTC)")
    assert IMPURE_CALLS.search("with open(path) as f")
    assert not IMPURE_CALLS.search("self.open(path); reopen(x)")
    assert MACHINE_PATH.search("see /ro" + "ot/notes.md")
    assert not MACHINE_PATH.search("POST /api/root and $HOME/work")


def test_pyproject_lists_the_folders_that_there_are() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    setuptools = tool["setuptools"]
    tracked_files = set(tracked())
    folders = {
        "understudy." + ".".join(file.parent.relative_to(ROOT).parts)
        for package in present()
        for file in modules(package)
        if file in tracked_files
    }
    names = {f"understudy.{package}" for package in present()}
    assert set(setuptools["packages"]) == folders
    assert set(setuptools["package-dir"]) == names
    assert set(tool["importlinter"]["root_packages"]) == names
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
