"""What applying a policy changes: policies are read from files and compared with those in force."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from understudy.analyzers.guardrails.formatting import printable
from understudy.schemas.api import Effect
from understudy.schemas.manifests import ManifestError, read_both
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import (
    PolicyError,
    Rollout,
    RolloutManifest,
    compile_manifest,
    evaluation_sampling,
    policy_hash,
)

STDIN: Final = Path("-")
_IN_FORCE: Final = "in force"
_SEPARATOR: Final = re.compile(rb"^---(?=\s|$)", re.MULTILINE)
"""YAML lets nothing else begin a line like this, not even a text of several lines."""
_NOTHING: Final = re.compile(rb"(?:\s|#[^\n]*|^\.\.\.$)*", re.MULTILINE)


class UnusablePolicy(ValueError):
    """A file that cannot be applied; the message points at the line."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy as written and spelled out."""

    source: str
    manifest: RolloutManifest
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """What applying a policy does to its rollout; `lines` are `-` before and `+` after."""

    rollout_id: str
    effect: Effect
    lines: tuple[str, ...] = ()
    note: str = ""


def policy_changes(record: RolloutRecord, text: str) -> list[str]:
    """Return the lines in which a policy differs from a record's, all defaults filled in.

    Empty where they mean the same, and where either cannot be used.
    """
    try:
        before, after = compile_manifest(record.manifest), read_both(text)[1]
    except (PolicyError, ManifestError):
        return []
    after = msgspec.structs.replace(after, rollout_id=before.rollout_id)
    if policy_hash(before) == policy_hash(after):
        return []
    return list(_difference(_by_name(before), _by_name(after), "tried"))


def read_policy_files(paths: Sequence[Path]) -> list[PolicyFile]:
    """Read all policies. Raises `UnusablePolicy` at the first that cannot be applied."""
    files: list[PolicyFile] = []
    for path in paths:
        source, text = _read(path)
        for document in documents(text):
            file = _usable(document, source)
            _check_distinct(file, files)
            files.append(file)
    return files


def documents(text: bytes) -> Iterator[bytes]:
    """Yield the YAML documents of a file, each after as many empty lines as precede it there.

    So errors in a document name the lines of the file. An empty file is one empty document.
    """
    starts = [0, *(found.start() for found in _SEPARATOR.finditer(text))]
    is_empty = True
    for start, end in pairwise([*starts, len(text)]):
        if not _NOTHING.fullmatch(text[start:end].removeprefix(b"---")):
            is_empty = False
            yield b"\n" * text.count(b"\n", 0, start) + text[start:end]
    if is_empty:
        yield b""


def _check_distinct(file: PolicyFile, others: Sequence[PolicyFile]) -> None:
    """Raise `UnusablePolicy` for a second policy of the same rollout."""
    rollout_id = file.rollout.rollout_id
    for other in others:
        if other.rollout.rollout_id == rollout_id:
            where = "twice here" if other.source == file.source else f"in {other.source}, too"
            raise UnusablePolicy(f"{file.source}: there is a policy for {rollout_id} {where}")


def _read(path: Path) -> tuple[str, bytes]:
    """Return a file's name for messages, and its bytes."""
    try:
        if path == STDIN:
            return "stdin", sys.stdin.buffer.read()
        return str(path), path.read_bytes()
    except OSError as error:
        raise UnusablePolicy(f"{path}: {error.strerror}") from None


def _usable(text: bytes, source: str) -> PolicyFile:
    try:
        return policy_file(text, source)
    except ManifestError as error:
        raise UnusablePolicy(str(error)) from None


def policy_file(text: bytes, source: str) -> PolicyFile:
    """Read one policy. Raises `ManifestError`."""
    return PolicyFile(source, *read_both(text, source))


def diff_policy(found: RolloutRecord | None, file: PolicyFile) -> PolicyDiff:
    """Return what applying the file changes in the record in force."""
    rollout_id = file.rollout.rollout_id
    if found is None:
        note = "a first decision follows at once; evidence begins with the next windows"
        return PolicyDiff(rollout_id, "created", note=note)
    if found.manifest == file.manifest:
        return PolicyDiff(rollout_id, "unchanged")
    try:
        before = compile_manifest(found.manifest)
    except PolicyError as error:
        note = f"this release cannot use the policy in force: {error.problem}"
        return PolicyDiff(rollout_id, "changed", note=note)
    if policy_hash(before) == policy_hash(file.rollout):
        sampled = tuple(
            _difference(_by_evaluator(found.manifest), _by_evaluator(file.manifest), file.source)
        )
        note = "the meaning is the same; evidence is kept"
        return PolicyDiff(rollout_id, "reworded", sampled, note)
    lines = tuple(_difference(_by_name(before), _by_name(file.rollout), file.source))
    return PolicyDiff(rollout_id, "changed", lines, _restart_note(before, file.rollout))


def _restart_note(before: Rollout, after: Rollout) -> str:
    """Say what a changed meaning does to a rollout that is running."""
    names = {stage.name for stage in after.stages}
    gone = [stage.name for stage in before.stages if stage.name not in names]
    moved = f" (from {', '.join(gone)}: at {after.stages[0].name})" if gone else ""
    return f"evidence starts again, at the stage of the same name{moved}; a rollback stays"


def _difference(old: dict[str, Any], new: dict[str, Any], source: str) -> Iterator[str]:
    """Yield the lines of a unified diff of the parts of two policies, without hunk headers.

    A part that is added or removed is one line, one that changes a line per value.
    """
    shared = old.keys() & new.keys()
    before_lines, after_lines = _lines_of(old, shared), _lines_of(new, shared)
    for line in difflib.unified_diff(
        before_lines, after_lines, _IN_FORCE, source, n=0, lineterm=""
    ):
        if not line.startswith("@@"):
            yield printable(line)


def _by_name(rollout: Rollout) -> dict[str, Any]:
    """Return the policy's parts by their paths; stages and guardrails by their own names."""
    parts: dict[str, Any] = {}
    for key, value in msgspec.to_builtins(rollout).items():
        if key in ("stages", "guardrails"):
            parts |= {f"{key}.{inner['name']}": inner for inner in value}
        else:
            parts[key] = value
    return parts


def _by_evaluator(manifest: RolloutManifest) -> dict[str, Any]:
    """Return which pairs are judged, by evaluator: it is no part of a policy's meaning."""
    return {
        f"evaluate.{one.evaluator}": {
            key: value for key, value in msgspec.to_builtins(one).items() if key != "evaluator"
        }
        for one in evaluation_sampling(manifest)
    }


def _lines_of(parts: dict[str, Any], shared: Set[str]) -> list[str]:
    lines: list[str] = []
    for path, value in parts.items():
        if path in shared:
            lines += _leaves(value, path)
        else:
            lines.append(f"{path}: {', '.join(_leaves(_without_defaults(value), ''))}")
    return lines


def _without_defaults(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out the name, which the line has already, and what is off or not given."""
    return {
        key: _without_defaults(inner) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if key != "name" and inner not in (None, False, (), [])
    }


def _leaves(value: Any, path: str) -> Iterator[str]:
    """Yield a line for each value, with the path to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield f"{path}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
