"""The oracle itself, held against plainer computations and known values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.oracle import (
    canonical,
    dice,
    differences,
    hashed_grams,
    is_json,
    join,
    longest_common_subsequence,
    percentiles,
    plain_grams,
)
from tests.integration.topic_log import murmur2, partition_of

WORDS = st.text(alphabet="abcé日🙂 ", max_size=12)


def plain_lcs(left: str, right: str) -> int:
    """The textbook table."""
    above: Sequence[int] = [0] * (len(right) + 1)
    for a in left:
        row = [0]
        for place, b in enumerate(right):
            row.append(above[place] + 1 if a == b else max(above[place + 1], row[-1]))
        above = row
    return above[-1]


@given(WORDS, WORDS)
def test_bit_parallel_lcs_is_the_plain_one(left: str, right: str) -> None:
    assert longest_common_subsequence(left, right) == plain_lcs(left, right)


@given(st.text(max_size=300), st.text(max_size=300))
def test_hashing_grams_can_only_raise_the_similarity(left: str, right: str) -> None:
    hashed = dice(hashed_grams(left), hashed_grams(right))
    assert hashed >= dice(plain_grams(left), plain_grams(right)) - 1e-12


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], {"p50": None, "p95": None, "p99": None}),
        ([3.0], {"p50": 3.0, "p95": 3.0, "p99": 3.0}),
        ([2.0, 1.0], {"p50": 1.0, "p95": 2.0, "p99": 2.0}),
        ([float(n) for n in range(1, 101)], {"p50": 50.0, "p95": 95.0, "p99": 99.0}),
    ],
)
def test_percentiles_are_nearest_ranks(values: list[float], expected: dict[str, Any]) -> None:
    assert percentiles(values) == expected


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("{}", True), (" [1, 2.5e3]\n", True), ('"\\ud800"', True), ("null", True),
        ("1" * 5000, True), ("[" * 128 + "]" * 128, True),
        ("", False), (None, False), ("NaN", False), ("[1,]", False), ("'a'", False),
        ("\ufeff{}", False), ('"\t"', False), ("[" * 129 + "]" * 129, False),
        ("[" * 50_000, False), ("```json\n{}\n```", False), ("{} {}", False), ("01", False),
    ],
)  # fmt: skip
def test_json_by_the_rfc(text: str | None, valid: bool) -> None:
    assert is_json(text) is valid


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, 1.0, True),
        (1, True, False),
        ([False], [0], False),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (None, "None", False),
        ({}, [], False),
    ],
)
def test_equal_as_json_values(left: Any, right: Any, equal: bool) -> None:
    assert (canonical(left) == canonical(right)) is equal


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        # From Apache Kafka's own UtilsTest.testMurmur2.
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_has_the_java_clients_values(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32
    assert 0 <= partition_of(key, 12) < 12


def test_differences_name_the_figure() -> None:
    left = {"a": {"p50": 100.0, "n": 3, "x": None}, "rollouts": [{"rollout_id": "r", "pairs": 1}]}
    assert differences(left, json.loads(json.dumps(left))) == []
    assert differences(left, {**left, "a": {"p50": 100.9, "n": 3, "x": None}}) == []
    assert differences(left, {**left, "a": {"p50": 101.1, "n": 4, "x": 0.0}}) == [
        ".a.p50: 100.0 != 101.1",
        ".a.n: 3 != 4",
        ".a.x: None != 0.0",
    ]
    assert differences(left, {**left, "rollouts": [{"rollout_id": "q", "pairs": 1}]})


def event(side: str, at_s: int, pair_id: str = "a") -> bytes:
    return json.dumps(
        {
            "schema_version": 1, "rollout_id": "r", "pair_id": pair_id, "mode": "shadow",
            "side": side, "sides": ["stable", "candidate"],
            "request_time": f"2025-01-01T00:{at_s // 60:02}:{at_s % 60:02}Z",
        }
    ).encode()  # fmt: skip


def test_the_join_by_hand() -> None:
    account = join(
        [
            event("stable", 0), event("candidate", 0), event("stable", 0),
            event("stable", 10, "b"), event("stable", 130, "c"), event("candidate", 10, "b"),
            event("stable", 131, "d"), event("candidate", 9, "e"), event("candidate", 10, "b"),
            b"{", event("stable", 136, "c"), event("stable", 131, "c"),
        ]
    )  # fmt: skip
    assert len(account.pairs) == 2
    assert [e["pair_id"] for e, _ in account.unmatched] == ["c", "d"]
    assert [offset for _, offset in account.duplicate] == [2, 11]
    assert [offset for _, offset in account.late] == [7, 8]
    assert account.invalid == [("not_json", 9), ("disagrees", 10)]
    assert account.accounted() == account.read == 12


@pytest.mark.parametrize(
    ("text", "valid"),
    [('{"a": 1}', True), ('"yes"', True), ('"{\\"a\\": 1}"', False), ('" [1] "', False)],
)
def test_json_inside_a_json_string_is_not_what_was_expected(text: str, valid: bool) -> None:
    assert is_json(text) is valid
