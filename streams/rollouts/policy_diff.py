"""What applying a policy would change: read from files, held against what is in force."""

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

from understudy.analyzers.guardrails.explanations import printable
from understudy.schemas.api import Effect
from understudy.schemas.manifests import ManifestError, read_both
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import (
    PolicyError,
    Rollout,
    RolloutManifest,
    compile_manifest,
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
class Outcome:
    """What applying does to one rollout; `lines` are the difference, `-` before and `+` after."""

    rollout_id: str
    effect: Effect
    lines: tuple[str, ...] = ()
    note: str = ""


def read_policy_files(paths: Sequence[Path]) -> list[PolicyFile]:
    """All policies, or none: raises `UnusablePolicy` at the first that cannot be applied."""
    files: list[PolicyFile] = []
    for path in paths:
        source, text = _read(path)
        for document in documents(text):
            file = _usable(document, source)
            _refuse_twins(file, files)
            files.append(file)
    return files


def documents(text: bytes) -> Iterator[bytes]:
    """The YAML documents of a file, each with as many empty lines before it as it had lines.

    So whoever reads one counts lines as the file does. A file with nothing in it is one document.
    """
    starts = [0, *(found.start() for found in _SEPARATOR.finditer(text))]
    told = False
    for start, end in pairwise([*starts, len(text)]):
        if not _NOTHING.fullmatch(text[start:end].removeprefix(b"---")):
            told = True
            yield b"\n" * text.count(b"\n", 0, start) + text[start:end]
    if not told:
        yield b""


def _refuse_twins(file: PolicyFile, others: Sequence[PolicyFile]) -> None:
    rollout_id = file.rollout.rollout_id
    for other in others:
        if other.rollout.rollout_id == rollout_id:
            where = "twice" if other.source == file.source else f"and {other.source}"
            raise UnusablePolicy(f"{file.source}: a policy for {rollout_id} stands here {where}")


def _read(path: Path) -> tuple[str, bytes]:
    """A file's name for people, and what is in it."""
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
    """One policy. Raises `ManifestError`."""
    return PolicyFile(source, *read_both(text, source))


def outcome(found: RolloutRecord | None, file: PolicyFile) -> Outcome:
    """What applying the file does to the record in force."""
    rollout_id = file.rollout.rollout_id
    if found is None:
        return Outcome(rollout_id, "created", note="judged from the next windows on")
    if found.manifest == file.manifest:
        return Outcome(rollout_id, "unchanged")
    try:
        before = compile_manifest(found.manifest)
    except PolicyError as error:
        note = f"the policy in force cannot be used by this release: {error.problem}"
        return Outcome(rollout_id, "changed", note=note)
    if policy_hash(before) == policy_hash(file.rollout):
        return Outcome(rollout_id, "reworded", note="it means the same; the evidence is kept")
    lines = tuple(_difference(before, file.rollout, file.source))
    return Outcome(rollout_id, "changed", lines, _begins_anew(before, file.rollout))


def _begins_anew(before: Rollout, after: Rollout) -> str:
    """What a changed meaning does to a rollout under way."""
    kept = {stage.name for stage in after.stages}
    gone = [stage.name for stage in before.stages if stage.name not in kept]
    moved = f" (from {', '.join(gone)}: at {after.stages[0].name})" if gone else ""
    return f"the evidence begins anew, at the stage of the same name{moved}; a rollback stays"


def _difference(before: Rollout, after: Rollout, source: str) -> Iterator[str]:
    """A unified diff without the numbers of lines that nobody wrote.

    A stage or guardrail that comes or goes is one line, one that changes a line for each value.
    """
    old, new = _by_name(before), _by_name(after)
    shared = old.keys() & new.keys()
    before_lines, after_lines = _lines_of(old, shared), _lines_of(new, shared)
    for line in difflib.unified_diff(
        before_lines, after_lines, _IN_FORCE, source, n=0, lineterm=""
    ):
        if not line.startswith("@@"):
            yield printable(line)


def _by_name(rollout: Rollout) -> dict[str, Any]:
    """The policy's parts by the way to them; stages and guardrails go by their own names."""
    parts: dict[str, Any] = {}
    for key, value in msgspec.to_builtins(rollout).items():
        if key in ("stages", "guardrails"):
            parts |= {f"{key}.{inner['name']}": inner for inner in value}
        else:
            parts[key] = value
    return parts


def _lines_of(parts: dict[str, Any], shared: Set[str]) -> list[str]:
    lines: list[str] = []
    for path, value in parts.items():
        if path in shared:
            lines += _leaves(value, path)
        else:
            lines.append(f"{path}: {', '.join(_leaves(_telling(value), ''))}")
    return lines


def _telling(value: dict[str, Any]) -> dict[str, Any]:
    """Without what stands in the line already, and what is off or not given."""
    return {
        key: _telling(inner) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if key != "name" and inner not in (None, False, (), [])
    }


def _leaves(value: Any, path: str) -> Iterator[str]:
    """One value each, with the way to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield f"{path}: {_written(value)}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
