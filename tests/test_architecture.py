"""Rules that hold for the whole repository and that no linter knows.

Who may import whom is import-linter's business, in pyproject.toml; `make lint` runs it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "analyzers", "streams", "gateways")
IMPURE_CALLS = re.compile(
    r"\b(datetime|dt\.datetime|date)\.(now|utcnow|today)\b|\bdefault_rng\(\s*\)|(?<![\w.])open\("
    r"|(?<![\w.])print\("
)
TESTED_BY = {
    # What both followers of Kafka share.
    "gateways/compacted_topic.py": "tests/gateways/test_kafka_decisions.py",
    # Declarations and texts, held to what follows from them.
    "schemas/clickhouse/schema.py": "tests/schemas/clickhouse/test_ddl.py",
    "schemas/clickhouse/captures.py": "tests/streams/clickhouse/test_captured_pairs.py",
    "schemas/json_parts.py": "tests/schemas/test_json_schema.py",
    "analyzers/compare/measure_arrays.py": "tests/schemas/test_measure_records.py",
    "streams/evaluating/evaluation_log.py": "tests/streams/evaluating/test_evaluating_runner.py",
    "streams/evaluating/event_reader.py": "tests/streams/evaluating/test_evaluating_runner.py",
    "streams/evaluating/judge_model.py": "tests/streams/evaluating/test_asking.py",
    "streams/evaluating/live_policies.py": "tests/streams/evaluating/test_evaluating_runner.py",
    "streams/errors.py": "tests/streams/commands/test_failures.py",
    # Parts of the evaluator, which is tested on whole worlds of window rows.
    "analyzers/guardrails/decision_builder.py": "tests/analyzers/guardrails/test_evaluator.py",
    # Commands of a few lines, tested by what they share or start.
    "streams/commands/dead_letters.py": "tests/streams/commands/test_dead_letters_list.py",
    "streams/commands/demo.py": "tests/streams/demo/test_run.py",
    "streams/commands/rollout_kill.py": "tests/streams/commands/test_operator_command.py",
    "streams/commands/rollout_promote.py": "tests/streams/commands/test_operator_command.py",
    "streams/commands/rollout_resume.py": "tests/streams/commands/test_operator_command.py",
    "streams/commands/worker.py": "tests/streams/test_worker.py",
    "streams/dead_letters/reading.py": "tests/streams/commands/test_dead_letters_list.py",
    "streams/dead_letters/replaying.py": "tests/streams/commands/test_dead_letters_replay.py",
    # Edges that mean something only with a broker, a database or a server around them.
    "streams/alerting/decision_message.py": "tests/streams/alerting/test_end_to_end.py",
    "streams/clickhouse/read_connection.py": "tests/streams/clickhouse/test_evidence_history.py",
    "streams/deciding/faust_app.py": "tests/streams/deciding/test_runner.py",
    "streams/http/app.py": "tests/streams/http/test_server.py",
    "streams/http/context.py": "tests/streams/http/test_server.py",
    "streams/http/view_feed.py": "tests/streams/http/test_server.py",
    "streams/kafka/offsets.py": "tests/streams/kafka/test_topic_reader.py",
    "streams/pairing/assignment.py": "tests/faults/test_rebalances.py",
    "streams/pairing/kafka_results.py": "tests/integration/test_bad_input.py",
    "streams/pairing/rebuild.py": "tests/faults/test_retention.py",
    "streams/replay/into_clickhouse.py": "tests/streams/replay/test_replay_events.py",
    # Parts of the Router, which is tested as a whole on models that hang, fail and stream.
    "gateways/background_calls.py": "tests/gateways/test_router.py",
    "gateways/chat_routing.py": "tests/gateways/test_openai_client.py",
    "gateways/call_notes.py": "tests/gateways/test_router.py",
    "gateways/call_reader.py": "tests/gateways/test_chat_completions.py",
    "gateways/exchange.py": "tests/gateways/test_router.py",
    "gateways/model_call.py": "tests/gateways/test_router.py",
    "gateways/relayed_stream.py": "tests/gateways/test_router.py",
    "gateways/bounded_bodies.py": "tests/gateways/test_openai_client.py",
    # Parts of a partition's state, which is tested as a whole on logs of records.
    "streams/monitoring/pairing_snapshot.py": "tests/streams/monitoring/test_pairing_metrics.py",
    "streams/pairing/comparison.py": "tests/streams/pairing/test_event_partition.py",
}
"""Modules without a test file of their own, and the file that tests them."""
FORBIDDEN_WORDS = {
    "aside", "beside", "desk", "docket", "heard", "obey", "obeyed", "patience", "settle",
    "settled", "somebody", "succession", "telling", "told", "weighing", "whoever",
}  # fmt: skip
"""Words of our own for what the field has names for; docs/glossary.md has those."""
WRITING = re.compile(
    r"\b(click\.s?echo|sys\.(stdout|stderr)\.write)\b|(?<![\w.])(?<!def )(print|Console)\("
)
"""Calls that write past `streams/terminal/output.py`."""
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


def test_all_that_commands_write_passes_one_place() -> None:
    """It sees to it that nothing which others wrote acts on the terminal.

    The program's beginning says which package is missing; that place needs some itself.
    """
    inside = {ROOT / "streams/terminal" / name for name in ("output.py", "data_table.py")}
    inside.add(ROOT / "streams/commands/entry_point.py")
    for file in modules("streams"):
        found = WRITING.search(_without_text(file))
        assert file in inside or found is None, f"{file}: {found and found[0]}"


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


def has_logic(file: Path) -> bool:
    """Whether any function does something; protocols and tables of constants do nothing."""
    functions = (
        node
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return any(not _is_text(statement) for function in functions for statement in function.body)


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_every_module_has_a_test_file_of_its_name() -> None:
    without = {
        str(file.relative_to(ROOT))
        for package in present()
        for file in modules(package)
        if file.name != "__init__.py"
        and has_logic(file)
        and not (ROOT / "tests" / file.relative_to(ROOT).with_name(f"test_{file.name}")).exists()
    }
    new, stale = without - TESTED_BY.keys(), TESTED_BY.keys() - without
    assert not new, "write tests/<the same path>/test_<module>.py, or say what tests it"
    assert not stale, "no longer there, or tested by a file of their own"
    assert [test for test in TESTED_BY.values() if not (ROOT / test).is_file()] == []


@pytest.mark.parametrize("package", present())
def test_a_file_name_says_which_file(package: str) -> None:
    """Files of commands are named after their commands, whatever others are called."""
    names = Counter(
        file.name
        for file in modules(package)
        if file.name != "__init__.py" and file.parent.name != "commands"
    )
    assert [name for name, files in names.items() if files > 1] == []


@pytest.mark.parametrize("package", present())
def test_names_are_words_of_the_field(package: str) -> None:
    for file in modules(package):
        for name in set(defined(file)):
            words = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))
            assert not words & FORBIDDEN_WORDS, f"{file.relative_to(ROOT)}: {name}"


def defined(file: Path) -> Iterator[str]:
    """Names that a file gives to functions, classes, arguments, variables and attributes."""
    yield file.stem
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


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
