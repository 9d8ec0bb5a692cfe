"""`understudy dead-letters`: which commands it has, and the options by which they select."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from understudy.streams.commands.command_group import CommandGroup
from understudy.streams.commands.parameter_types import TimeType

COMMANDS: Final = {
    "list": "Count dead letters by reason, and list the newest",
    "replay": "Write dead letters to their topics again",
    "show": "Show one dead letter, and why it could not be used",
}


@click.group(cls=CommandGroup, summaries=COMMANDS, prefix="dead_letters_")
def command() -> None:
    """Handle dead letters: events and feedback that could not be used.

    Workers write them to a topic of their own, with the reason. Once the cause is gone, they can
    be replayed.

    \b
    What went wrong?     understudy dead-letters list --since 1h
    Look at one:         understudy dead-letters show understudy.events/3/1234
    Would a replay help? understudy dead-letters replay --all --dry-run
    """


def selection_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that filter dead letters: `reasons`, `rollout_id` and `since_ms`."""
    for option in (
        click.option("--since", "since_ms", metavar="WHEN", type=TimeType(),
                     help="Stored since then: an age (30m, 6h, 2d) or an ISO time, UTC."),
        click.option("--rollout", "rollout_id", metavar="ID", default="",
                     help="About this rollout."),
        click.option("--reason", "reasons", multiple=True, metavar="REASON",
                     help="With this reason; may be given several times."),
    ):  # fmt: skip
        function = option(function)
    return function
