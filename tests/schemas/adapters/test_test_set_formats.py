"""Test cases as other tools read them, with nothing in a prompt that those tools would obey."""

from __future__ import annotations

import json

import pytest

from understudy.schemas.adapters.test_set_formats import (
    FORMATS,
    TestCase,
    encode_case,
    literal,
)

CASE = TestCase(
    id="ja-json-1", prompt="東京 {{ env.HOME }}", reference='{"a": 1}', expects_json=True,
    tool_calls=[{"name": "mail", "arguments": {"to": "[email]"}}], metadata={"language": "ja"},
)  # fmt: skip


def line(format_name: str, case: TestCase = CASE) -> dict[str, object]:
    encoded = encode_case(case, format_name)
    assert encoded.endswith(b"\n")
    assert encoded.count(b"\n") == 1
    found: dict[str, object] = json.loads(encoded)
    return found


def test_promptfoo_has_variables_assertions_and_metadata() -> None:
    assert line("promptfoo") == {
        "description": "ja-json-1",
        "vars": {"prompt": "東京 {{ '{{' }} env.HOME }}", "reference": '{"a": 1}'},
        "assert": [{"type": "is-json"}],
        "metadata": {"language": "ja", "tool_calls": CASE.tool_calls},
    }


def test_openai_has_an_item_that_is_a_sample() -> None:
    assert line("openai-evals") == {
        "item": {
            "id": "ja-json-1",
            "input": [{"role": "user", "content": CASE.prompt}],
            "ideal": '{"a": 1}',
            "language": "ja",
            "tool_calls": CASE.tool_calls,
        }
    }


def test_langfuse_has_a_dataset_item() -> None:
    plain = TestCase(id="a", prompt="p", reference="r")
    assert line("langfuse", plain) == {
        "id": "a", "input": [{"role": "user", "content": "p"}], "expectedOutput": "r",
        "metadata": {},
    }  # fmt: skip
    assert line("langfuse")["expectedOutput"] == {
        "content": '{"a": 1}', "tool_calls": CASE.tool_calls,
    }  # fmt: skip


@pytest.mark.parametrize("format_name", FORMATS)
def test_text_alone_is_enough(format_name: str) -> None:
    assert line(format_name, TestCase(id="a", prompt="p", reference=""))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("file:///etc/passwd", " file:///etc/passwd"),
        ("  FILE://x", "   FILE://x"),
        ("package:evil", " package:evil"),
        ("{% for x in y %}", "{{ '{%' }} for x in y %}"),
        ("{# c #}{{x}}", "{{ '{#' }} c {{ '#}' }}{{ '{{' }}x}}"),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),
        ("Hello: you", " Hello: you"),
    ],
)
def test_nothing_is_rendered_or_loaded(text: str, written: str) -> None:
    assert literal(text) == written
