"""Test cases as promptfoo, OpenAI's Evals and Langfuse read them: one JSON object a line. Pure.

Prompts come from users and models, and these tools do things with what they read: promptfoo renders
variables as Nunjucks templates, and loads files whose address a variable holds. Both are disarmed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

_TEMPLATE: Final = re.compile(r"\{[{%#]|#\}")
"""What opens an expression, a statement or a comment of a template, or ends a comment."""
_ADDRESS: Final = re.compile(r"\s*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
"""A scheme at the beginning, such as `file:` or `package:`."""


@dataclass(frozen=True, slots=True)
class TestCase:
    """A request with the answer that stable gave to it."""

    __test__ = False  # not a class of tests

    id: str
    """Says nothing about whose request it was."""
    prompt: str
    reference: str
    """Stable's text; empty where it gave none that is whole."""
    tool_calls: Any = None
    """Stable's, as a list of `name` and `arguments`."""
    expects_json: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


def promptfoo_case(case: TestCase) -> dict[str, Any]:
    """A test case for `tests: file://cases.jsonl`; prompts use `{{prompt}}`.

    Only what needs no other model is asserted: that JSON is JSON. `reference` is there for
    assertions of your own, such as `{type: similar, value: '{{reference}}'}`.
    """
    asserted = [{"type": "is-json"}] if case.expects_json else []
    variables = {"prompt": literal(case.prompt), "reference": literal(case.reference)}
    return {
        "description": case.id,
        "vars": variables,
        "assert": asserted,
        "metadata": {**case.metadata, **_expected_calls(case)},
    }


def literal(text: str) -> str:
    """A text that Nunjucks renders as it is, and that is no address of a file."""
    opened = _TEMPLATE.sub(lambda match: "{{ '" + match[0] + "' }}", text)
    return f" {opened}" if _ADDRESS.match(opened) else opened


def openai_case(case: TestCase) -> dict[str, Any]:
    """An item for a data source of the type `jsonl`: `{{item.input}}`, `{{item.ideal}}`.

    The item itself is a sample of the open-source `evals`: `jq -c .item` makes such a file.
    """
    item: dict[str, Any] = {
        "id": case.id,
        "input": [{"role": "user", "content": case.prompt}],
        "ideal": case.reference,
        **case.metadata,
        **_expected_calls(case),
    }
    return {"item": item}


def langfuse_case(case: TestCase) -> dict[str, Any]:
    """A dataset item as `create_dataset_item` and `POST /api/public/dataset-items` take it."""
    expected: Any = case.reference
    if case.tool_calls:
        expected = {"content": case.reference, "tool_calls": case.tool_calls}
    return {
        "id": case.id,
        "input": [{"role": "user", "content": case.prompt}],
        "expectedOutput": expected,
        "metadata": dict(case.metadata),
    }


def _expected_calls(case: TestCase) -> dict[str, Any]:
    return {"tool_calls": case.tool_calls} if case.tool_calls else {}


FORMATS: Final[Mapping[str, Callable[[TestCase], dict[str, Any]]]] = {
    "promptfoo": promptfoo_case,
    "openai-evals": openai_case,
    "langfuse": langfuse_case,
}
"""Format to what makes a line of it."""


def encode_case(case: TestCase, format_name: str) -> bytes:
    """One line, its end included. Raises KeyError for an unknown format."""
    return msgspec.json.encode(FORMATS[format_name](case)) + b"\n"
