"""Reading policies: YAML with errors that point at the line, the column and the nearest name.

Only what YAML 1.2's core schema defines is special: `no` stays the language Norwegian, `1:30` a
string. Aliases, tags and duplicate keys are errors. JSON is YAML, so JSON files can be read too;
`json_as_yaml` is for input that must be JSON.
"""

from __future__ import annotations

import json
import math
import re
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from understudy.schemas.manifest_hints import NOT_UTF_8, TABS, explained, not_a_list
from understudy.schemas.rollouts import (
    GuardrailManifest,
    Models,
    Path,
    PolicyError,
    Rollout,
    RolloutManifest,
    SliceManifest,
    StageManifest,
    compile_manifest,
    nearest,
)

MAX_MANIFEST_BYTES: Final = 65_536
"""The largest policy in use has a few kilobytes; YAML costs 10 s of CPU time per megabyte."""
_MAX_VALUES: Final = 10_000
"""Keys and values: a quarter second of CPU time, and several times the largest policy allowed."""
_MAX_DEPTH: Final = 16
"""A policy needs five levels; deeper input is an attack on the parser's stack."""
_MAX_DIGITS: Final = 18
"""Of a whole number; all limits on numbers lie far below."""
_MAX_PROBLEM_CHARACTERS: Final = 500
"""What is quoted in an error may be as long as the file."""
_PLACE: Final = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]")
_RECORDS: Final = (
    RolloutManifest, Models, StageManifest, GuardrailManifest, SliceManifest,
)  # fmt: skip


class ManifestError(ValueError):
    """A policy that cannot be read or used: `source:line:column: what to do`. Lines count from 1.

    `line` and `column` are 0 where the error has no position.
    """

    def __init__(self, problem: str, source: str, line: int = 0, column: int = 0) -> None:
        place = f"{source}:{line}:{column}" if line else source
        if len(problem) > _MAX_PROBLEM_CHARACTERS:
            problem = f"{problem[:_MAX_PROBLEM_CHARACTERS]}…"
        super().__init__(f"{place}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class _Loader(yaml.SafeLoader):
    """YAML without the surprises of version 1.1, and without what grows beyond its text.

    Aliases are refused as they make small files large, tags as they mean nothing here.
    """

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        problem = self._problem(event)
        if problem is not None:
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        self._values += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def _problem(self, event: yaml.Event) -> str | None:
        if isinstance(event, yaml.AliasEvent):
            return "aliases are not used in policies"
        tag = getattr(event, "tag", None)
        if tag is not None:
            return f"the tag {tag} is not used in policies"
        if self._depth > _MAX_DEPTH:
            return "nested too deeply"
        return "too many values for a policy" if self._values >= _MAX_VALUES else None


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false|True|False|TRUE|FALSE)$", "tfTF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+0123456789."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def read_policy(text: str | bytes, source: str = "policy") -> Rollout:
    """Return the compiled policy of a YAML text. Raises `ManifestError`."""
    return read_both(text, source)[1]


def read_manifest(text: str | bytes, source: str = "policy") -> RolloutManifest:
    """Return the policy as written, checked for types and names only. Raises `ManifestError`."""
    return _Reader(source).manifest(text)


def read_both(text: str | bytes, source: str = "policy") -> tuple[RolloutManifest, Rollout]:
    """Return the policy as written and compiled. Raises `ManifestError`."""
    return _Reader(source).compiled(text)


def json_as_yaml(text: bytes, source: str = "policy") -> bytes:
    """Return JSON as the YAML reader accepts it, with all positions unchanged.

    Tabs between tokens become spaces, since YAML forbids them; JSON strings contain none. Raises
    `ManifestError`.
    """
    _check_size(text, source)
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ManifestError(_lower(error.msg), source, error.lineno, error.colno) from None
    except UnicodeDecodeError as error:
        raise ManifestError(str(error), source, *_place(text, error.start)) from None
    except RecursionError:
        raise ManifestError("nested too deeply", source, 1, 1) from None
    except ValueError:  # Python converts no longer ones
        raise ManifestError("a number has thousands of digits", source, 1, 1) from None
    return text.replace(b"\t", b" ")


class _Reader:
    """Reads one text and remembers the position of each value."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._places: dict[Path, tuple[int, int]] = {}
        self._keys: dict[Path, tuple[int, int]] = {}

    def compiled(self, text: str | bytes) -> tuple[RolloutManifest, Rollout]:
        manifest = self.manifest(text)
        try:
            return manifest, compile_manifest(manifest)
        except PolicyError as error:
            raise self._error(error.problem, error.path) from None

    def manifest(self, text: str | bytes) -> RolloutManifest:
        document = self._document(text)
        self._check_keys(document, RolloutManifest, ())
        try:
            return msgspec.convert(document, RolloutManifest)
        except msgspec.ValidationError as error:
            problem, path = _split(str(error))
            raise self._error(explained(problem, path, document), path) from None

    def _document(self, text: str | bytes) -> Any:
        _check_size(text, self._source)
        try:
            loader = _Loader(text)
            try:
                node = loader.get_single_node()
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            problem = error.problem or error.context or "no YAML"
            problem = TABS if "'\\t'" in problem else problem
            raise ManifestError(problem, self._source, line, column) from None
        except yaml.reader.ReaderError as error:
            raise self._unreadable(error, text) from None
        except (yaml.YAMLError, ValueError, IndexError, OverflowError, RecursionError) as error:
            # What PyYAML raises beside its own errors names no place.
            raise ManifestError(f"no YAML: {error}", self._source, 1, 1) from None
        if node is None:
            raise ManifestError("the policy is empty", self._source, 1, 1)
        return self._value(node, ())

    def _unreadable(self, error: yaml.reader.ReaderError, text: str | bytes) -> ManifestError:
        """Return the error about bytes that are no text, or about a character that YAML forbids."""
        problem, position = str(error).splitlines()[0], error.position
        try:
            _ = text if isinstance(text, str) else text.decode()
        except UnicodeDecodeError as wrong:
            problem, position = NOT_UTF_8, wrong.start
        return ManifestError(problem, self._source, *_place(text, position))

    def _value(self, node: Node, path: Path) -> Any:
        self._places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if len(path) > _MAX_DEPTH:
            raise self._error("nested too deeply", path)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, place)) for place, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, ScalarNode) else ""
            inner = (*path, key)
            self._keys[inner] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, ScalarNode):
                raise self._error("a key must be a name", inner, at_key=True)
            if key in values:
                raise self._error(f"{key} is given twice", inner, at_key=True)
            values[key] = self._value(value_node, inner)
        return values

    def _scalar(self, node: Node, path: Path) -> Any:
        kind = node.tag.rpartition(":")[2]
        text = str(node.value)
        if kind == "bool":
            return text.lower() == "true"
        if kind == "null":
            return None
        if kind in ("int", "float"):
            return self._number(text, path, is_whole=kind == "int")
        try:
            return _joined(text)
        except UnicodeDecodeError:
            raise self._error(
                "half a character: a surrogate without its other half", path
            ) from None

    def _number(self, text: str, path: Path, *, is_whole: bool) -> int | float:
        if is_whole and len(text) <= _MAX_DIGITS:
            return int(text)
        number = float(text)
        if is_whole or not math.isfinite(number):
            raise self._error("no policy needs so large a number", path)
        return number

    def _check_keys(self, value: Any, annotation: Any, path: Path) -> None:
        """Report an unknown key at its own position, which msgspec does not give."""
        record = _record(annotation)
        if isinstance(value, dict) and record is None and _item(annotation) is not None:
            raise self._error(not_a_list(path), path, at_key=True)
        if isinstance(value, list):
            for place, item in enumerate(value):
                self._check_keys(item, _item(annotation), (*path, place))
        elif isinstance(value, dict) and record is not None:
            hints = get_type_hints(record)
            for key, inner in value.items():
                if key not in hints:
                    hint = nearest(key, hints)
                    raise self._error(f"unknown key {key}{hint}", (*path, key), at_key=True)
                self._check_keys(inner, hints[key], (*path, key))

    def _error(self, problem: str, path: Path, *, at_key: bool = False) -> ManifestError:
        """Return the error at the position of `path`, or of its nearest known parent."""
        places = self._keys if at_key else self._places
        while path and path not in places:
            path = path[:-1]
        line, column = places.get(path, (0, 0))
        return ManifestError(problem, self._source, line, column)


def _check_size(text: str | bytes, source: str) -> None:
    if len(text) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"larger than {MAX_MANIFEST_BYTES} bytes", source, 1, 1)


def _place(text: str | bytes, position: int) -> tuple[int, int]:
    """Line and column of a position, which PyYAML gives in characters, or in bytes of no UTF-8."""
    if isinstance(text, bytes):
        try:
            before = text.decode()[:position]
        except UnicodeDecodeError:
            before = text[:position].decode("latin-1")
    else:
        before = text[:position]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _record(annotation: Any) -> type[msgspec.Struct] | None:
    """The record in an annotation such as `str | StageManifest | None`."""
    if annotation in _RECORDS:
        return annotation  # type: ignore[no-any-return]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        found = (_record(part) for part in get_args(annotation))
        return next((record for record in found if record is not None), None)
    return None


def _item(annotation: Any) -> Any:
    """The entries' type in an annotation such as `list[StageManifest] | None`; None for no list."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        found = (_item(part) for part in get_args(annotation))
        return next((item for item in found if item is not None), None)
    return get_args(annotation)[0] if get_origin(annotation) is list else None


def _joined(text: str) -> str:
    """Join surrogate pairs: JSON writes a character beyond U+FFFF as two escapes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def _split(message: str) -> tuple[str, Path]:
    """Split msgspec's message into the problem and the path."""
    match = _PLACE.match(message)
    if match is None:
        return message, ()
    steps = _STEP.finditer(match["path"] or "")
    path = tuple(int(s["index"]) if s["index"] else s["key"] for s in steps)
    return _lower(match["problem"]).replace("`", ""), path


def _lower(problem: str) -> str:
    return problem[:1].lower() + problem[1:]
