"""The option `--html`, and writing what it asks for: a report as one file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from understudy.streams.dashboard.pair_filter import REPORT_PAIRS
from understudy.streams.errors import CommandError
from understudy.streams.terminal.output import say, say_raw

if TYPE_CHECKING:  # templates are imported only where a report is asked for
    from understudy.schemas.rollouts import Rollout
    from understudy.streams.dashboard.report_page import ReportPage
    from understudy.streams.pairing.pairing_policy import PairingPolicy
    from understudy.streams.replay.report_pairs import ReportPairs

Function = TypeVar("Function", bound=Callable[..., Any])
STDOUT: Final = Path("-")


def html_option(*, required: bool = False) -> Callable[[Function], Function]:
    """`--html FILE`, as the argument `html_file`."""
    return click.option(
        "--html", "html_file", metavar="FILE", required=required,
        type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
        help="Write a report to this file, to attach to a change request: one file that needs no "
        "network; - for stdout.",
    )  # fmt: skip


def pairs_option() -> Callable[[Function], Function]:
    """`--pairs NUMBER`, as the argument `most_pairs`."""
    return click.option(
        "--pairs", "most_pairs", metavar="NUMBER", type=click.IntRange(0, 50), default=REPORT_PAIRS,
        show_default=True, help="How many of the worst pairs a report shows; their texts are "
        "redacted and cut. 0 shows none.",
    )  # fmt: skip


def pairs_of_report(policy: PairingPolicy) -> tuple[ReportPairs, PairingPolicy]:
    """Return what gathers the pairs of a report, and a policy by which pairs are captured."""
    from understudy.streams.replay.report_pairs import ReportPairs, capturing

    return ReportPairs(), capturing(policy)


def policy_of_report(rollout: Rollout, policy_file: Path | None) -> str:
    """Return the policy as its file says it; where there is none, that it is the default one.

    Raises `CommandError`.
    """
    if policy_file is None:
        names = ", ".join(guardrail.name for guardrail in rollout.guardrails)
        return f"# No --policy was given: these are the default guardrails.\nguardrails: {names}\n"
    try:
        return policy_file.read_text("utf-8")
    except OSError as error:
        raise CommandError(f"{policy_file}: {error.strerror}") from None


def write_report(page: ReportPage, file: Path) -> None:
    """Write a report. Raises `CommandError` where the file cannot be written."""
    from importlib.metadata import version

    from understudy.streams.dashboard.pages import render_report

    release = version("understudy")
    text = render_report(page, dt.datetime.now(dt.UTC), release).encode()
    if file == STDOUT:
        say_raw(text)
        return
    try:
        file.write_bytes(text)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    say(f"wrote {file} ({len(text) / 1000:,.0f} kB)", err=True)
