"""Writing a report: to a file, to stdout, and where it cannot be written."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from understudy.schemas.manifests import read_policy
from understudy.streams.commands.html_report import html_option, policy_of_report, write_report
from understudy.streams.dashboard.report_page import ReportPage
from understudy.streams.errors import CommandError

PAGE = ReportPage(
    title="a report", verdict="hold", headline="Held.", facts=[], reasons=[], alerts=[]
)
POLICY = "rollout_id: a\nmodels: {stable: old, candidate: new}\n# as it was written\n"


@click.command()
@html_option(required=True)
def program(html_file: Path) -> None:
    write_report(PAGE, html_file)


def test_a_report_goes_to_a_file_and_its_size_to_stderr(tmp_path: Path) -> None:
    file = tmp_path / "out.html"
    done = CliRunner().invoke(program, ["--html", str(file)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"wrote {file} (" in done.stderr
    assert "<h1><bdi>a report</bdi></h1>" in file.read_text()


def test_a_report_goes_to_stdout_alone() -> None:
    done = CliRunner().invoke(program, ["--html", "-"])
    assert done.stdout.startswith("<!doctype html>")
    assert done.stderr == ""


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        write_report(PAGE, tmp_path / "no folder" / "out.html")


def test_a_policy_is_shown_as_written_and_a_default_one_is_called_so(tmp_path: Path) -> None:
    file, rollout = tmp_path / "policy.yaml", read_policy(POLICY.encode(), "policy.yaml")
    file.write_text(POLICY)
    assert policy_of_report(rollout, file) == POLICY
    default = policy_of_report(rollout, None)
    assert "No --policy was given" in default
    assert "error_rate, " in default
