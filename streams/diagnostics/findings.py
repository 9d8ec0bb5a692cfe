"""A finding of the doctor: how bad it is, what was seen, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """Worth knowing; nothing is wrong yet."""
    FAIL = "fail"
    """An operator has to act."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen."""

    check: str
    level: Level
    seen: str
    advice: str = ""
    unreachable: bool = False
    """A service did not answer."""


def ok(check: str, seen: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, seen)


def warn(check: str, seen: str, advice: str) -> Finding:
    """Worth knowing."""
    return Finding(check, Level.WARN, seen, advice)


def fail(check: str, seen: str, advice: str) -> Finding:
    """Needs action."""
    return Finding(check, Level.FAIL, seen, advice)


def or_ok(check: str, findings: Iterable[Finding], seen: str) -> list[Finding]:
    """The findings, or that all is well when there are none."""
    return list(findings) or [ok(check, seen)]


def numbers(some: Iterable[int], most: int = 8) -> str:
    """A short list of numbers for people: `0, 3, 5 and 4 more`."""
    every = sorted(some)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(map(str, every[:most])) + rest
