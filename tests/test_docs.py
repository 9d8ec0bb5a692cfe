"""The documentation names everything there is, and nothing that is not there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import operator
import re
import shlex
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args, get_type_hints

import click
import clickhouse_connect
import msgspec
import pytest

from understudy.schemas.evaluations import Evaluation, decode_evaluation
from understudy.schemas.events import Event, InvalidReason, decode_event
from understudy.schemas.feedback import Feedback, decode_feedback
from understudy.schemas.topics import understudy_topics
from understudy.schemas.windows import SECTIONS, WindowRow, WindowsMessage
from understudy.streams.clickhouse.connect import OPTIONS
from understudy.streams.clickhouse.migrations import migrate, migrations
from understudy.streams.commands.main import main as command
from understudy.streams.http.rollout_series import series_names
from understudy.streams.monitoring.metric_catalogue import METRICS
from understudy.streams.pairing.join import UnmatchedReason
from understudy.streams.settings import known_keys

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "tests" / "README.md"])
SHELLS: Final = ("sh", "console", "bash")


def _load_tables() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tables", DOCS / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tables = _load_tables()
COMMANDS: Final[dict[str, click.Command]] = dict(tables.subcommands(command))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


_FENCED: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Block]:
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in pages
        for text in [page.read_text("utf-8")]
        for match in _FENCED.finditer(text)
        if match[1] in languages
    ]


def code(text: str) -> set[str]:
    """Everything between single backticks outside fenced blocks."""
    return set(re.findall(r"`([^`\n]+)`", _FENCED.sub("", text)))


def undocumented(names: set[str], *pages: str) -> set[str]:
    return names - set().union(*(code(text_of(page)) for page in pages))


# Everything is documented


def test_tables_are_what_the_code_says() -> None:
    assert tables.outdated() == [], "run python docs/tables.py"
    assert tables.missing() == set()


def test_settings_and_their_variables_are_documented() -> None:
    places = {(s, f) for s, f in known_keys().values() if f != "client"}
    names = {field for _, field in places}
    variables = {f"UNDERSTUDY_{s}_{f}".upper() for s, f in places}
    assert undocumented(names | variables | {"client"}, "settings.md") == set()


def test_variables_that_anything_mentions_are_documented() -> None:
    known = code(text_of("settings.md")) | code((ROOT / "tests" / "README.md").read_text("utf-8"))
    documented = {name.partition("=")[0] for name in known}
    files = [*sources("streams"), *sources("tests/brokers"), ROOT / "tests" / "conftest.py"]
    files += [ROOT / name for name in ("compose.yaml", "Dockerfile", "Makefile", ".ci/run")]
    mentioned = {
        name
        for file in files
        for name in re.findall(r"UNDERSTUDY_\w*[A-Z]\b", file.read_text("utf-8"))
        if not name.startswith("UNDERSTUDY_KAFKA_CLIENT_")
    }
    assert mentioned - documented == set()


def test_options_of_the_clickhouse_url_are_documented() -> None:
    assert undocumented(set(OPTIONS), "settings.md") == set()


def test_topics_are_documented() -> None:
    assert undocumented({spec.name for spec in understudy_topics()}, "topics.md") == set()


def test_columns_are_documented() -> None:
    assert undocumented(columns("windows"), "windows.md") == set()
    for table in ("comparisons", "unmatched", "accounting", "decisions"):
        assert undocumented(columns(table), "clickhouse.md") == set()


def test_the_columns_of_windows_are_those_of_a_window_row() -> None:
    measures = {
        f"{section}_{field}"
        for section, record in SECTIONS.items()
        for field in record.__struct_fields__
    }
    identity = set(WindowRow.__struct_fields__) - SECTIONS.keys()
    assert columns("windows") == measures | identity | {"loaded_at"}


def test_tables_and_views_are_documented() -> None:
    made = {
        name
        for migration in migrations()
        for name in re.findall(r"CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)", migration.sql)
    }
    assert made
    assert undocumented(made, "clickhouse.md") == set()


def test_functions_are_documented() -> None:
    made = {
        name
        for migration in migrations()
        for name in re.findall(r"CREATE FUNCTION IF NOT EXISTS (\w+)", migration.sql)
    }
    shown = {name.partition("(")[0] for name in code(text_of("windows.md"))}
    assert made - shown == set()


def test_event_fields_are_documented() -> None:
    assert undocumented(set(fields_of(Event)), "events.md") == set()
    assert undocumented(set(fields_of(Feedback)), "events.md") == set()
    assert undocumented(set(fields_of(Evaluation)), "evaluations.md") == set()


def test_reasons_are_documented() -> None:
    assert undocumented({reason.value for reason in InvalidReason}, "events.md") == set()
    assert undocumented({reason.value for reason in UnmatchedReason}, "clickhouse.md") == set()


def test_commands_and_options_are_documented() -> None:
    text = text_of("commands.md")
    headings = re.findall(r"^### `understudy ([a-z -]+?)(?: [A-Z./\[\]]+)*`$", text, re.MULTILINE)
    assert set(headings) == COMMANDS.keys()
    options = {
        option
        for some in [command, *COMMANDS.values()]
        for parameter in some.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert undocumented(options, "commands.md") == set()


def test_metrics_are_documented() -> None:
    assert undocumented({spec.name for spec in METRICS}, "operations.md") == set()


def test_series_are_documented() -> None:
    assert undocumented(set(series_names()), "integrations.md") == set()


def test_log_events_are_documented() -> None:
    assert logged()
    assert undocumented(logged(), "operations.md") == set()


def test_log_events_are_dotted_names() -> None:
    """`area.what_happened`, so that they can be searched for and counted."""
    assert {event for event in logged() if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", event)} == set()


def logged() -> set[str]:
    """All events that the service logs."""
    return {
        event
        for file in sources("streams")
        for event in re.findall(
            r"log\.(?:info|warning|error|exception)\(\s*\"([^\"]+)\"", file.read_text("utf-8")
        )
    }


def test_dependencies_are_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    dependencies = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    names = {re.split(r"[\[<>=~ ]", dependency)[0] for dependency in dependencies}
    assert undocumented(names, "decisions/0009-dependencies.md") == set()


def test_decisions_are_listed() -> None:
    listed = text_of("decisions/README.md")
    records = {file.name for file in (DOCS / "decisions").glob("0*.md")}
    assert {name for name in records if f"({name})" not in listed} == set()


def test_code_that_the_glossary_names_exists() -> None:
    """Each term says where it lives: in a module, as attributes of that module."""
    rows = re.findall(r"^\| \*\*(.+?)\*\* \|.*\| (.+?) \|$", text_of("glossary.md"), re.MULTILINE)
    assert len(rows) > 30
    for term, cell in rows:
        links = re.findall(r"\[([^\]]+)\]\(\.\./([\w/]+)\.py\)", cell)
        assert links, f"{term}: no module"
        for names, path in links:
            module = importlib.import_module(f"understudy.{path.replace('/', '.')}")
            assert module.__doc__
            for name in code(names) - {path.rpartition("/")[2]}:
                operator.attrgetter(name)(module)


def test_every_page_is_in_the_index() -> None:
    listed = re.findall(r"\]\(([\w/]+\.md)[)#]", text_of("README.md"))
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert pages - set(listed) == set()


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def columns(table: str) -> set[str]:
    return {column.name for column in tables.table_columns(table)}


def fields_of(record: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Dotted names of all leaves, through options and lists."""
    for name, hint in get_type_hints(record).items():
        inner = struct_in(hint)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from fields_of(inner, f"{prefix}{name}.")


def struct_in(hint: object) -> type[msgspec.Struct] | None:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    return next((found for part in get_args(hint) if (found := struct_in(part))), None)


# Nothing is documented that is not there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = _FENCED.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        for heading in headings
    }


def test_settings_and_log_events_named_exist() -> None:
    """`section.key` on any page is a setting or a log event; decision records may name old ones."""
    sections = {section for section, _ in known_keys().values()} | {"worker"}
    literals = {
        literal
        for file in sources("streams")
        for literal in re.findall(r"\"(\w+\.\w+)\"", file.read_text("utf-8"))
    }
    known = known_keys().keys() | literals
    for page in PAGES:
        named = {
            name
            for name in code(page.read_text("utf-8"))
            if re.fullmatch(rf"({'|'.join(sections)})\.[a-z_]+", name) and not name.endswith(".py")
        }
        assert page.parent.name == "decisions" or named - known == set(), page.name


def test_variables_named_exist() -> None:
    known = {f"UNDERSTUDY_{section}_{field}".upper() for section, field in known_keys().values()}
    for page in PAGES:
        named = set(re.findall(r"UNDERSTUDY_\w*[A-Z]\b", page.read_text("utf-8")))
        settings = {name for name in named if not re.match(r"\w+_(TEST|KAFKA_CLIENT)_", name)}
        assert settings - known == set(), page.name


def test_metrics_and_functions_named_exist() -> None:
    functions = {name.partition("(")[0] for name in code(text_of("windows.md"))}
    files = {"mirrored"}
    known = {spec.name for spec in METRICS} | set(series_names()) | functions | files
    for page in PAGES:
        named = {
            name
            for text in code(page.read_text("utf-8"))
            for name in re.findall(r"\bunderstudy_\w*[a-z]\b", text)
        }
        assert named - known == set(), page.name


def test_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {words[1] for words in commands_shown() if words[0] == "make"}
    assert {"demo", "test"} <= named
    assert named <= targets


def test_commands_shown_are_accepted() -> None:
    shown = [words[1:] for words in commands_shown() if words[0] == "understudy"]
    assert shown
    for words in shown:
        name, some = command_of(words)
        known = {o for p in [*command.params, *some.params] for o in p.opts} | {"--help"}
        assert {w for w in words if w.startswith("--")} <= known, f"understudy {name}"


def command_of(words: list[str]) -> tuple[str, click.Command]:
    """The command that a line calls; the group itself where it names none."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, COMMANDS[name]
    assert words[0].startswith("--"), f"understudy {' '.join(words)}"
    return "", command


def test_files_that_commands_run_exist() -> None:
    for words in commands_shown():
        benchmark = next((w.removeprefix("BENCH=") for w in words if w.startswith("BENCH=")), None)
        if benchmark:
            assert (ROOT / "benchmarks" / f"{benchmark}.py").exists()
        if words[:2] == ["python", "-m"]:
            path = words[2].removeprefix("understudy.").replace(".", "/")
            assert (ROOT / path).with_suffix(".py").exists(), words[2]
        elif words[0] == "python":
            assert (ROOT / words[1]).exists(), words[1]


def commands_shown() -> list[list[str]]:
    """The words of each command in shell blocks and of `make …`, `understudy …` in text."""
    lines = [line for block in blocks(*SHELLS) for line in block.text.splitlines()]
    lines += [
        text
        for page in PAGES
        for text in code(page.read_text("utf-8"))
        if re.match(r"(make|understudy|python) [a-z/-]+", text) and "…" not in text
    ]
    split = (shlex.split(part, comments=True) for line in lines for part in line.split(" | "))
    return [words for words in split if len(words) > 1]


def test_examples_of_events_decode() -> None:
    shown = blocks("json", pages=[README, DOCS / "events.md"])
    assert len(shown) > 3
    for block in shown:
        decode = decode_feedback if "feedback_time" in block.text else decode_event
        assert decode(block.text.encode()) is not None, str(block)
    (windows,) = blocks("json", pages=[DOCS / "windows.md"])
    assert len(msgspec.json.decode(windows.text, type=WindowsMessage).rows) == 2
    (evaluation,) = blocks("json", pages=[DOCS / "evaluations.md"])
    assert decode_evaluation(evaluation.text.encode()).preferences


def test_settings_shown_are_known() -> None:
    shown = blocks("toml")
    assert shown
    for block in shown:
        for section, keys in tomllib.loads(block.text).items():
            for key in keys:
                assert f"{section}.{key}" in known_keys(), str(block)


def test_queries_run(clickhouse_database: str, clickhouse_url: str) -> None:
    """Each statement is accepted by tables of this release, empty as they are."""
    from understudy.streams.clickhouse.connect import connect

    client = connect(clickhouse_url, database=clickhouse_database)
    try:
        migrate(client)
        for where, sql in statements():
            try:
                client.query(sql)
            except clickhouse_connect.driver.exceptions.ClickHouseError as error:
                pytest.fail(f"{where}: {error}")
    finally:
        client.close()


def statements() -> list[tuple[str, str]]:
    """SQL of blocks, and what `understudy query` is given in shell blocks."""
    found = [(str(block), block.text) for block in blocks("sql")]
    found += [("understudy query", words[-1]) for words in commands_shown() if words[1] == "query"]
    return [(where, sql) for where, sql in found if re.match(r"(SELECT|SHOW)\b", sql)]


@pytest.mark.parametrize("page", ["gateways.md", "privacy.md"])
def test_python_shown_imports_what_there_is(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks may use names that the page explains, and `await` as in a coroutine."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import asks the network
    blocks = re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL)
    assert blocks
    for block in blocks:
        parsed = compile(block, page, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(parsed):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("understudy"):
                assert_imports(node)


def assert_imports(node: ast.ImportFrom) -> None:
    """Nothing is asserted where a package is missing that only some gateways have."""
    try:
        module = importlib.import_module(node.module or "")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("understudy"):
            raise
        return
    for alias in node.names:
        assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"
