"""What tests of `understudy rollout …` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]
"""`understudy rollout` with these arguments; the fixture `run`."""


def written(name: str, text: str) -> str:
    Path(name).write_text(text, "utf-8")
    return name


def ended(result: Result, code: int, *words: str) -> str:
    """What was printed, held against what is wanted of it."""
    assert result.exit_code == code, result.output + repr(result.exception)
    for word in words:
        assert word in result.output
    return result.output
