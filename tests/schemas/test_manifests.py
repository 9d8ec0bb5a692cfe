"""Hostile policies: whatever is in a file, the reader says where it is wrong, and soon."""

from __future__ import annotations

import json
import random
import re
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.schemas.examples import policies
from understudy.schemas.manifests import (
    MAX_MANIFEST_BYTES,
    ManifestError,
    json_as_yaml,
    read_manifest,
    read_policy,
)
from understudy.schemas.rollouts import MAX_GUARDRAILS, MAX_REQUESTS

HEAD = "rollout_id: checkout\nmodels: {stable: a, candidate: b}\n"
EXAMPLES = [text.encode() for text in policies().values()]
PIECES = [
    b"!!int ", b"!!float ", b"!!bool ", b"!!null ", b"!!binary ", b"!!set ", b"!!timestamp ",
    b"!!python/object:os.system ", b"! ", b"!<x> ", b"&a ", b"*a", b"<<: ", b"? ", b": ", b"- ",
    b"[", b"]", b"{", b"}", b"|\n", b">-\n", b"'", b'"', b"\\ud800", b"\\x00", b"%YAML 9.9\n",
    b"---\n", b"...\n", b"#", b"\t", b"\r", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"\xe2\x80\xa8", b"\xc2\x85", b"9" * 400, b"-", b"1e999", b"0x10", b"1_000", b".nan", b".inf",
    b"9" * 400 + b"ms", b"9" * 400 + b"%", b"9" * 400 + b"d", b"1e-320", b"~", b"null", b"@", b"`",
]  # fmt: skip


def error_of(text: str | bytes) -> ManifestError:
    with pytest.raises(ManifestError) as raised:
        read_policy(text)
    return raised.value


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("min_requests: !!int x", "the tag tag:yaml.org,2002:int is not used in policies"),
        ("min_requests: !!float x", "the tag"),
        ("min_requests: !!int 5", "the tag"),
        ("independent_requests: !!bool perhaps", "the tag"),
        ("min_requests: *a", "aliases are not used"),
        (f"min_requests: {'9' * 310}", "no policy needs so large a number"),
        (f"min_requests: {'9' * 5_000}", "no policy needs so large a number"),
        (f"false_rollback: {'9' * 400}", "no policy needs so large a number"),
        (f"false_rollback: {'9' * 400}.0", "no policy needs so large a number"),
        (f"min_requests: {MAX_REQUESTS + 1}", "must be at most 1000000000"),
        ("false_rollback: 1e-320", "is too small"),
        (f"min_duration: {'9' * 400}d", "is longer than a year"),
        ("min_duration: 367d", "367d is longer than a year"),
        (f"max_late_share: {'9' * 400}%", "is no share"),
        ("min_duration: -1", "must not be negative"),
        ("min_duration: 1e300", "1e+300 is longer than a year"),
        ("stages: [1e-300%]", "the share of a stage must lie above 0"),
        ("stages: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", "nested too deeply"),
        ("? [a, [b]]\n: c", "a key must be a name"),
        ('min_requests: "\\ud800"', "half a character"),
        ('min_requests: "\\U00110000"', "no YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(line: str, problem: str) -> None:
    error = error_of(HEAD + line)
    assert problem in error.problem
    assert error.line == 3 or error.problem.startswith("no YAML"), "its own line"


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ("{metric: duration_p95, max: 99999999s}", "is more than any limit on duration_p95 can be"),
        (f"{{metric: duration_p95, max: {'9' * 400}ms}}", "is more than any limit"),
        ("{metric: duration_p95, max_increase: 100001%}", "is more than any limit"),
        ("{metric: cost_usd, max: 1e7}", "is more than any limit"),
        (f"{{metric: cost_usd, max: {'9' * 400}}}", "no policy needs so large a number"),
        ("{metric: error_rate, max: 1e-300}", "cannot be told from 0"),
        ("{metric: error_rate, max_increase: 1e-300pp}", "cannot be told from 0"),
    ],
)
def test_a_limit_that_no_request_can_meet_is_refused(limit: str, problem: str) -> None:
    error = error_of(f"{HEAD}guardrails:\n  - {limit}\n")
    assert problem in error.problem
    assert error.line == 4


def test_lists_are_bounded() -> None:
    lines = [f"  - {{metric: error_rate, max: 1%, name: n{n}}}\n" for n in range(MAX_GUARDRAILS)]
    most = "".join(lines)
    assert len(read_policy(f"{HEAD}guardrails:\n{most}").guardrails) == MAX_GUARDRAILS
    error = error_of(f"{HEAD}guardrails:\n{most}  - {{metric: error_rate, max: 1%, name: more}}\n")
    assert (error.problem, error.line) == ("expected array of length <= 100", 4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"a: b\nc: \x00\n", 2), (b"a: b\n\nc: \xff\n", 3), ("a: b\nc: \x1b[2J", 2),
        ("é: b\nc: \x00", 2), ("é: b\nc: \x00".encode(), 2), (b"", 1), (b"\xff\xfe", 1),
    ],
)  # fmt: skip
def test_what_is_no_text_has_a_line(text: str | bytes, line: int) -> None:
    assert error_of(text).line == line


def test_an_error_quotes_no_whole_file() -> None:
    assert len(str(error_of(f"{'k' * 60_000}: 1"))) < 1_000


@pytest.mark.parametrize(
    "text",
    [
        "a: b\n" * 13_000,
        "[" + "1," * 32_000 + "]",
        "[" * 65_000,
        "- " * 32_000,
        " ?" * 32_000,
        "{" + ",".join("a" for _ in range(32_000)) + "}",
        "".join(f"k{n}: 1\n" for n in range(7_000)),
        "".join(" " * n + "a:\n" for n in range(360)),
        "x" * (MAX_MANIFEST_BYTES + 1),
        "a: b\n" * 10**6,
    ],
)
def test_no_policy_takes_long(text: str) -> None:
    started_s = time.process_time()
    error_of(text)
    assert time.process_time() - started_s < 5.0, "a tenth of it when the machine is idle"


@pytest.mark.parametrize(
    "text", [b"[" * 50_000, b'{"a": ' + b"9" * 5_000 + b"}", b'{"a": 1', b"\xff", b" " * 70_000]
)
def test_json_fails_in_the_same_way(text: bytes) -> None:
    with pytest.raises(ManifestError):
        json_as_yaml(text)


def checked(text: str | bytes) -> None:
    """Reads it, or fails as it should; then what was read is written and read again."""
    try:
        manifest, policy = read_manifest(text), read_policy(text)
    except ManifestError as error:
        failure: ManifestError | None = error
    else:
        failure = None
        assert read_policy(json_as_yaml(msgspec.json.encode(manifest))) == policy
        json.dumps(msgspec.to_builtins(policy), allow_nan=False)
    if failure is not None:
        assert failure.line >= 1
        assert re.fullmatch(r"policy:\d+:\d+: (?s:.+)", str(failure))


def mutated(rng: random.Random) -> bytes:
    """An example with a few pieces put in, cut out, or taken from another one."""
    text = rng.choice(EXAMPLES)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        match rng.randrange(4):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + rng.randint(1, 12) :]
            case 2:
                other = rng.choice(EXAMPLES)
                start = rng.randrange(len(other))
                text = text[:at] + other[start : start + 40] + text[at:]
            case _:
                # the value of a line
                lines = text.split(b"\n")
                place = rng.randrange(len(lines))
                key, colon, _ = lines[place].partition(b":")
                lines[place] = key + colon + b" " + rng.choice(PIECES)
                text = b"\n".join(lines)
    return text


def test_mutated_policies_fail_as_they_should() -> None:
    rng = random.Random(14)
    for _ in range(1_500):
        checked(mutated(rng))


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_text_fails_as_it_should(text: str | bytes) -> None:
    checked(text)
    checked(HEAD.encode() + text if isinstance(text, bytes) else HEAD + text)
