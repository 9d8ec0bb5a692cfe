"""Options that several commands share."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from understudy.streams.commands.options import output_options


@click.command()
@output_options()
def command(output: str) -> None:
    click.echo(output)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), "table"), (("--json",), "json"), (("--csv",), "csv"), (("--json", "--csv"), "csv")],
)
def test_the_form_of_the_output(arguments: tuple[str, ...], expected: str) -> None:
    assert CliRunner().invoke(command, arguments).stdout == f"{expected}\n"
