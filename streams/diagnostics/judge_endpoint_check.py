"""Whether a judge that is configured can be asked: its endpoint, key, model, prices and rubrics.

It asks for the list of models, which costs nothing. Whether the model is fit to judge, says
`understudy judge-check`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import urllib3

from understudy.streams.diagnostics.findings import Finding, fail, ok, warn
from understudy.streams.errors import CommandError
from understudy.streams.evaluating.openai_judge import checked_endpoint
from understudy.streams.evaluating.prompts import PromptError, load_prompts
from understudy.streams.settings import EvaluatingSettings

JUDGE: Final = "judge"
TIMEOUT_S: Final = 5.0
"""A list of models comes at once, and a person waits for the doctor."""
_MAX_BYTES: Final = 4 * 1024 * 1024
"""Of the list: hubs have some thousand models."""
_REFUSED: Final = (401, 403)


def check_judge_endpoint(settings: EvaluatingSettings) -> list[Finding]:
    """Return what is found; nothing where no judge is configured."""
    if not settings.base_url:
        return []
    try:
        usable = checked_endpoint(settings)
    except CommandError as error:
        return [*_check_settings(settings), fail(JUDGE, str(error), "correct it")]
    return [*_check_settings(settings), _ask(usable)]


def _check_settings(settings: EvaluatingSettings) -> list[Finding]:
    findings = []
    if not settings.model:
        findings.append(fail(JUDGE, "no model is named", "set [evaluating] model"))
    if None in (settings.input_usd_per_million_tokens, settings.output_usd_per_million_tokens):
        findings.append(
            fail(
                JUDGE, "its prices are not set, so it is not asked",
                "set [evaluating] input_usd_per_million_tokens and output_usd_per_million_tokens, "
                "to 0 for a model of your own",
            )
        )  # fmt: skip
    try:
        load_prompts(settings.prompts)
    except PromptError as error:
        findings.append(fail(JUDGE, str(error), "mend the folder of rubrics"))
    return findings


def _ask(settings: EvaluatingSettings) -> Finding:
    """Ask for the list of models."""
    where = settings.base_url.rstrip("/")
    key = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
    try:
        response = urllib3.request(
            "GET", f"{where}/models", headers=key, timeout=TIMEOUT_S, retries=False,
            preload_content=False,
        )  # fmt: skip
        with response:
            body = response.read(_MAX_BYTES)
    except urllib3.exceptions.HTTPError as error:
        seen = f"{where} does not answer: {type(error).__name__}"
        return fail(JUDGE, seen, "start the model server, or correct base_url")
    if response.status in _REFUSED:
        return fail(JUDGE, f"{where} refuses the key",
                       "set UNDERSTUDY_EVALUATING_API_KEY")  # fmt: skip
    if response.status != 200:
        return warn(JUDGE, f"{where}/models answers {response.status}",
                       "some servers have no list of models; `understudy judge-check` asks "
                       "the model itself")  # fmt: skip
    return _check_model(where, settings.model, body)


def _check_model(where: str, model: str, body: bytes) -> Finding:
    names = _names(body)
    if names and model not in names:
        return fail(JUDGE, f"{where} has no model {model}",
                       f"it has {', '.join(sorted(names)[:5])}")  # fmt: skip
    return ok(JUDGE, f"{where} answers, with the model {model}" if names else f"{where} answers")


def _names(body: bytes) -> set[str]:
    """Return the names in a list of models; none where it is no such list."""
    try:
        document: Any = msgspec.json.decode(body)
        return {str(one["id"]) for one in document["data"]}
    except (msgspec.DecodeError, KeyError, TypeError, RecursionError):
        return set()
