"""`understudy judge-check` against an endpoint at this machine."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from tests.streams.evaluating.scripted_judge import JudgeServer, Responder, refusal, scripted
from tests.streams.evaluating.test_judge_check import obedient, right
from understudy.streams.commands.main import main

pytestmark = pytest.mark.embedded
pytest.importorskip("openai", reason="needs the extra evaluating")


def run(responder: Responder, *arguments: str) -> Result:
    with JudgeServer(responder) as server:
        environment = {
            "UNDERSTUDY_EVALUATING_BASE_URL": server.base_url,
            "UNDERSTUDY_EVALUATING_MODEL": "m",
            "UNDERSTUDY_EVALUATING_INPUT_USD_PER_MILLION_TOKENS": "1",
            "UNDERSTUDY_EVALUATING_OUTPUT_USD_PER_MILLION_TOKENS": "1",
        }
        return CliRunner().invoke(main, ["judge-check", *arguments], env=environment)


def test_a_judge_that_is_fit() -> None:
    result = run(scripted(right))
    assert result.exit_code == 0, result.output
    assert "64 of 64" in result.output
    assert "The judge is fit." in result.output
    document = json.loads(run(scripted(right), "--json").output)
    assert document["is_fit"] is True
    assert document["cost_usd"] == pytest.approx(64 * 120 / 1e6)


def test_a_judge_that_obeys_answers() -> None:
    result = run(scripted(obedient))
    assert result.exit_code == 1
    assert "The judge is not fit" in result.output


def test_a_judge_that_does_not_answer() -> None:
    async def refuse(*_: object) -> object:
        return refusal(401, "Incorrect API key provided")

    result = run(refuse)  # type: ignore[arg-type]
    assert result.exit_code == 3
    assert "401: HTTP 401 Unauthorized" in result.output, "the provider's words may hold the key"
    assert "nothing can be said of it" in result.output


def test_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["judge-check"])
    assert "no judge is configured" in result.output
    result = CliRunner().invoke(main, ["judge-check", "--evaluator", "tone@9"])
    assert "there is no rubric tone@9.md" in result.output
