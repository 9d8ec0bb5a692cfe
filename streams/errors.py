"""Failures of a command: a message for people, an exit code for scripts."""

from __future__ import annotations

from typing import Final

import click

FAILED: Final = 1
WRONG_USAGE: Final = 2
UNREACHABLE: Final = 3
VERDICT: Final = 4
"""The command worked; the verdict is what it was told to fail on."""
INTERRUPTED: Final = 130
"""By Ctrl-C: 128 and the number of the signal, as shells report it."""


class CommandError(click.ClickException):
    """Ends the command with its message on stderr and its exit code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc, unused-ignore]
