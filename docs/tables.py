"""Tables of the documentation that the code knows better than a writer.

`python docs/tables.py` writes each table between its markers, `<!-- table: NAME -->` and
`<!-- end -->`; with `--check` it writes nothing and fails when one differs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, get_type_hints

import click
import msgspec

from understudy.analyzers.compare.finish_reasons import VENDOR_REASONS
from understudy.schemas.clickhouse.analyst_views import ANALYST_VIEWS
from understudy.schemas.clickhouse.relations import RELATIONS
from understudy.schemas.clickhouse.schema import Column, Table
from understudy.schemas.measure_kinds import Better
from understudy.schemas.measures import SIDE, SUMS
from understudy.schemas.rollout_metrics import METRICS as GUARDRAIL_METRICS
from understudy.schemas.rollout_metrics import Kind, Metric, Unit
from understudy.schemas.topics import understudy_topics
from understudy.streams.commands.main import main as command
from understudy.streams.http.rollout_series import series_names
from understudy.streams.monitoring.metric_catalogue import METRICS
from understudy.streams.settings import ENVIRONMENT_PREFIX, Settings

FOLDER: Final = Path(__file__).parent

Row = tuple[str, ...]

_MARKED: Final = re.compile(r"(<!-- table: ([\w.-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_COLUMN_HEAD: Final = ("column", "type", "meaning")
_MIB: Final = 1_048_576
_DAY_MS: Final = 86_400_000


def table_columns(name: str) -> list[Column]:
    """All columns of a table or view, those that ClickHouse fills in among them."""
    made = RELATIONS[name]
    return [*made.columns, *(made.materialized if isinstance(made, Table) else ())]


def _settings() -> list[str]:
    lines: list[str] = []
    for section in msgspec.structs.fields(Settings):
        lines += [f"### `[{section.name}]`", "", f"{section.type.__doc__}", ""]
        hints = get_type_hints(section.type, include_extras=True)
        rows = [
            (
                _code(field.name),
                _default(field.default),
                _code(_variable(section.name, field.name)),
                _description(hints[field.name]),
            )
            for field in msgspec.structs.fields(section.type)
        ]
        lines += [*_table(("key", "default", "environment variable", "what it does"), rows), ""]
    return lines[:-1]


def _variable(section: str, field: str) -> str:
    name = f"{ENVIRONMENT_PREFIX}{section}_{field}".upper()
    return f"{name}_…" if field == "client" else name


def _description(hint: Any) -> str:
    """What the outermost annotation says."""
    return next(m.description for m in hint.__metadata__ if getattr(m, "description", None))


def _default(value: Any) -> str:
    if value is msgspec.NODEFAULT or value in ("", {}, ()):
        return "–"
    if isinstance(value, bool):
        return _code(str(value).lower())
    if isinstance(value, int) and value >= _MIB and value % _MIB == 0:
        return f"{_code(str(value))} ({value // _MIB} MiB)"
    return _code(f"{value:g}" if isinstance(value, float) else str(value))


def _topics() -> list[str]:
    rows = [
        (
            _code(spec.name),
            str(spec.partitions),
            spec.cleanup_policy,
            "for ever" if spec.retention_ms < 0 else f"{spec.retention_ms // _DAY_MS} days",
            spec.timestamp_type,
            f"{spec.max_message_bytes // _MIB} MiB",
        )
        for spec in understudy_topics()
    ]
    return _table(
        ("topic", "partitions", "cleanup policy", "kept for", "timestamps", "largest batch"), rows
    )


def _metrics() -> list[str]:
    rows = [
        (_code(spec.name), spec.kind, ", ".join(map(_code, spec.labels)) or "–", spec.meaning)
        for spec in METRICS
    ]
    return _table(("metric", "kind", "labels", "meaning"), rows)


def _series() -> list[str]:
    """Those that differ by their unit alone in one row."""
    names: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, described in series_names().items():
        names.setdefault(described, []).append(_code(name))
    rows = [
        (" ".join(some), ", ".join(map(_code, labels)), meaning)
        for (labels, meaning), some in names.items()
    ]
    return _table(("series", "labels", "meaning"), rows)


def _commands() -> list[str]:
    lines = [_help_of(command), "", *_parameters(command)]
    for name, sub in subcommands(command):
        lines += ["", f"### `{' '.join(['understudy', name, *_arguments(sub)])}`"]
        lines += ["", _help_of(sub)]
        lines += ["", *parameters] if (parameters := _parameters(sub)) else []
    return lines


def subcommands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """All commands that do something, with their names as typed, in alphabetical order."""
    context = click.Context(group)
    for name in group.list_commands(context):
        sub = group.get_command(context, name)
        assert sub is not None
        if isinstance(sub, click.Group):
            yield from subcommands(sub, f"{above}{name} ")
        else:
            yield f"{above}{name}", sub


def _arguments(some: click.Command) -> list[str]:
    context = click.Context(some)
    return [p.make_metavar(context) for p in some.params if isinstance(p, click.Argument)]


def _help_of(some: click.Command) -> str:
    """The first paragraphs, without examples."""
    text = _escaped((some.help or "").partition("\b")[0])
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _parameters(some: click.Command) -> list[str]:
    options = [p for p in some.params if isinstance(p, click.Option)]
    rows = [
        (
            ", ".join(_code(name) for name in option.opts),
            _option_default(option),
            _escaped((option.help or "").strip()),
        )
        for option in options
    ]
    return _table(("option", "default", "what it does"), rows) if rows else []


def _option_default(option: click.Option) -> str:
    return _code(str(option.default)) if option.show_default else "–"


def _section(name: str) -> Callable[[], list[str]]:
    """Measures of a window row: of both sides in one table, since they are the same."""
    sections = (name, name.replace("stable", "candidate")) if "stable" in name else (name,)

    def build() -> list[str]:
        rows = [
            (
                " ".join(_code(f"{section}_{one.name}") for section in sections),
                _code(one.clickhouse_type),
                one.description,
            )
            for one in SUMS[name]
        ]
        return _table(("column", "type", "meaning"), rows)

    return build


def _identity() -> list[str]:
    measured = {f"{section}_{one.name}" for section, sums in SUMS.items() for one in sums}
    return _columns(one for one in table_columns("windows") if one.name not in measured)


def _comparisons() -> list[str]:
    """Both sides in one row."""
    sides = {f"stable_{one.name}": one for one in SIDE}
    others = {f"candidate_{one.name}" for one in SIDE}
    rows: list[Row] = []
    for one in table_columns("comparisons"):
        if one.name in sides:
            side = sides[one.name]
            names = f"{_code(one.name)} {_code(f'candidate_{side.name}')}"
            rows.append((names, _type(one.type), side.description))
        elif one.name not in others:
            rows.append((_code(one.name), _type(one.type), one.comment))
    return _table(_COLUMN_HEAD, rows)


def _type(kind: str) -> str:
    """Enums as their names."""
    names = re.findall(r"'(\w+)' =", kind)
    return " ".join(map(_code, names)) if names else _code(kind)


def _plain(name: str) -> Callable[[], list[str]]:
    """All columns of a table or view, as they are."""
    return lambda: _columns(table_columns(name))


def _columns(some: Iterable[Column]) -> list[str]:
    return _table(_COLUMN_HEAD, [(_code(one.name), _type(one.type), one.comment) for one in some])


def _guardrails() -> list[str]:
    """The metrics that a guardrail can name; the quantiles of a measure in one row."""
    names: dict[str, list[Metric]] = {}
    for metric in GUARDRAIL_METRICS.values():
        names.setdefault(metric.measure or metric.name, []).append(metric)
    rows = [
        (
            ", ".join(_code(metric.name) for metric in some),
            ", ".join(map(_code, some[0].limits)),
            *_WRITTEN[some[0].kind, some[0].unit, some[0].better],
            some[0].harm,
        )
        for some in names.values()
    ]
    return _table(("metric", "limits", "written as", "test", "what counts as harm"), rows)


_WRITTEN: Final[dict[tuple[Kind, Unit, Better], tuple[str, str]]] = {
    ("rate", "share", "lower"): ("`1%`; `0.5pp`, `3x`", "exact"),
    ("lost", "share", "lower"): ("`1%`; `0.5pp`, `3x`", "exact"),
    ("rate", "share", "higher"): ("`99%`, `0.5pp`", "exact"),
    ("agreement", "share", "higher"): ("`95%`, `2pp`", "exact"),
    ("quantile", "ms", "lower"): ("`8s`; `20%`, `500ms`", "exact, as exceedance"),
    ("mean", "usd", "lower"): ("`0.02`; `10%`, `0.001`", "means; approximate"),
    ("mean", "tokens", "neither"): ("`400`; `20%`, `50`", "means; approximate"),
    ("mean", "characters", "neither"): ("`2000`; `20%`, `500`", "means; approximate"),
    ("excess", "share", "lower"): ("`5pp`", "means; approximate"),
    ("accounting", "share", "lower"): ("`2%`", "exact"),
    ("quality", "share", "higher"): ("`2pp`", "exact"),
}
"""How limits are written, as an example, and what kind of test they get."""


def _finish_reasons() -> list[str]:
    """One row a state, the words by vendor."""
    rows = [
        (
            _code(state.name.lower()),
            "; ".join(
                f"{vendor}: {' '.join(map(_code, reasons))}" for vendor, reasons in vendors.items()
            ),
        )
        for state, vendors in VENDOR_REASONS.items()
    ]
    return _table(("state", "written by"), rows)


def _escaped(text: str) -> str:
    """Not to be taken for HTML."""
    return text.replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: Row, rows: Iterable[Row]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines]


TABLES: Final[dict[str, Callable[[], list[str]]]] = {
    "settings": _settings,
    "topics": _topics,
    "commands": _commands,
    "metrics": _metrics,
    "series": _series,
    "guardrails": _guardrails,
    "finish_reasons": _finish_reasons,
    "comparisons": _comparisons,
    "unmatched": _plain("unmatched"),
    "accounting": _plain("accounting"),
    "captured_pairs": _plain("captured_pairs"),
    "worst_pairs": _plain("worst_pairs"),
    "decisions": _plain("decisions"),
    **{view.name: _plain(view.name) for view in ANALYST_VIEWS if not view.name.endswith("_daily")},
    "evaluations": _plain("evaluations"),
    "answer_quality": _plain("answer_quality"),
    "explanations": _plain("explanations"),
    "judged_pairs": _plain("judged_pairs"),
    "windows.identity": _identity,
    "windows.events": _section("events"),
    "windows.sides": _section("stable"),
    "windows.pair": _section("pair"),
    "windows.control": _section("control"),
    "windows.turns": _section("turns"),
    "windows.side_turns": _section("stable_turns"),
    "windows.quality": _section("quality"),
    "windows.noise": _section("noise"),
    "windows.unresolved": _section("unresolved"),
}


def written(text: str) -> str:
    """The text with all its tables as the code has them. Raises KeyError for an unknown name."""

    def fill(match: re.Match[str]) -> str:
        return "\n".join((match[1], *TABLES[match[2]](), "", match[3]))

    return _MARKED.sub(fill, text)


def pages() -> list[Path]:
    """All pages of the documentation."""
    return sorted(FOLDER.rglob("*.md"))


def outdated() -> list[str]:
    """Names of the pages in which a table differs from the code."""
    return [page.name for page in pages() if written(_read(page)) != _read(page)]


def missing() -> set[str]:
    """Names of tables that no page shows."""
    shown = {name for page in pages() for _, name, _ in _MARKED.findall(_read(page))}
    return TABLES.keys() - shown


def _read(page: Path) -> str:
    return page.read_text("utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables or check them; the exit status."""
    parser = argparse.ArgumentParser(description="Write the tables of the documentation.")
    parser.add_argument("--check", action="store_true", help="report what differs, write nothing")
    if parser.parse_args(arguments).check:
        for name in outdated():
            print(f"{name} differs from the code", file=sys.stderr)
        return 1 if outdated() else 0
    for page in pages():
        text = _read(page)
        page.write_text(written(text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
