"""Queries: what is answered, what is refused, and that nothing else happens."""

from __future__ import annotations

import contextlib
import math
import re
import time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from understudy.streams.http.instant_query import MAX_CHARACTERS, BadQuery, answer, written
from understudy.streams.http.rollout_series import Sample

NOW_S = 1_772_452_800.25


def sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(name, labels, value, "")


SAMPLES = [
    sample("harm", 0.25, rollout_id="a", slice="all"),
    sample("harm", -3.0, rollout_id="a", slice="language:ja"),
    sample("harm", 1e-7, rollout_id="b.2", slice='"q"\\'),
    sample("latched", 1.0, rollout_id="a"),
    sample("odd", math.nan, rollout_id="a"),
    sample("odd", math.inf, rollout_id="b.2"),
]


def values(query: str) -> list[str]:
    data = answer(query, SAMPLES, NOW_S)
    assert data["resultType"] == "vector"
    assert all(one["value"][0] == NOW_S for one in data["result"])
    return [one["value"][1] for one in data["result"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("vector(1)", ["1"]),
        ("vector( -1.5e3 )", ["-1500"]),
        ("harm", ["0.25", "-3", "1e-07"]),
        (" harm { } ", ["0.25", "-3", "1e-07"]),
        ('harm{rollout_id="a", slice="all"}', ["0.25"]),
        ('harm{rollout_id="a",slice="all",}', ["0.25"]),
        ("harm{rollout_id='a',slice!=`all`}", ["-3"]),
        ('{rollout_id="a"}', ["0.25", "-3", "1", "NaN"]),
        ('{__name__="latched"}', ["1"]),
        ('{__name__=~"harm|latched",rollout_id="a"}', ["0.25", "-3", "1"]),
        (r'harm{slice="\"q\"\\"}', ["1e-07"]),
        (r'harm{rollout_id=~"b\\.2"}', ["1e-07"]),
        (r"harm{rollout_id=~`b\.2`}", ["1e-07"]),
        ('harm{slice=~"language:.+"}', ["-3"]),
        ('harm{slice!~"language:.+|all"}', ["1e-07"]),
        ('harm{slice=~"(all|language:[a-z]{2})"}', ["0.25", "-3"]),
        ('harm{slice=~"ALL"}', []),
        ('harm{slice=~"(?i)ALL"}', ["0.25"]),
        ('harm{absent=""}', ["0.25", "-3", "1e-07"]),
        ('harm{absent!=""}', []),
        ("nothing", []),
        ("odd", ["NaN", "+Inf"]),
        ("max(harm)", ["0.25"]),
        ('min(harm{rollout_id="a"})', ["-3"]),
        ('sum(harm{rollout_id="a"})', ["-2.75"]),
        ("count({__name__=~`.+`})", ["6"]),
        ("max(odd)", ["+Inf"]),
        ("min(odd)", ["+Inf"]),
        ("max(nothing)", []),
    ],
)
def test_vectors(query: str, expected: list[str]) -> None:
    assert values(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [("1", "1"), ("1+1", "2"), ("2 - 3 + .5", "-0.5"), ("-1", "-1"), ("Inf", "+Inf"),
     ("-inf", "-Inf"), ("NaN", "NaN"), ("1e-3", "0.001")],
)  # fmt: skip
def test_scalars(query: str, expected: str) -> None:
    assert answer(query, SAMPLES, NOW_S) == {"resultType": "scalar", "result": [NOW_S, expected]}


def test_a_series_has_its_name_among_its_labels_and_an_aggregate_has_none() -> None:
    (one,) = answer("latched", SAMPLES, NOW_S)["result"]
    assert one == {"metric": {"__name__": "latched", "rollout_id": "a"}, "value": [NOW_S, "1"]}
    (all_of_them,) = answer("count(harm)", SAMPLES, NOW_S)["result"]
    assert all_of_them["metric"] == {}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("", "name a series"),
        ("{}", "name a series"),
        ('{absent=""}', "name a series"),
        ('{slice=~".*"}', "name a series"),
        ("rate(harm[5m])", r"\[5m\]"),
        ("harm > 1", "> 1"),
        ("harm + 1", "cannot answer"),
        ("harm offset 5m", "cannot answer"),
        ("sum by (slice) (harm)", "cannot answer"),
        ("rate(harm)", "known here are vector, max, min, sum, count"),
        ("harm or vector(0)", "cannot answer"),
        ("vector(harm)", "expected a number"),
        ("1 +", "expected a number, not the end"),
        ("vector(1", "expected '\\)', not the end"),
        ("harm{", "expected a name, not the end"),
        ("harm{slice}", "expected one of = !="),
        ("harm{slice", "expected a sign, not the end"),
        ('harm{slice=="a"}', "expected a string"),
        ("harm{slice=all}", "expected a string"),
        ('harm{slice="all"', "expected ','"),
        ('harm{slice="all}', "cannot answer"),
        ('harm{a:b="c"}', "not the name of a label"),
        (r'harm{slice="\d"}', "unknown escape"),
        ('harm{slice=~"[a"}', "invalid regular expression: missing ]: "),
        (r"harm{slice=~`(a)\1`}", "invalid regular expression: invalid escape"),
        ("10m", "cannot answer"),
        ("a" * (MAX_CHARACTERS + 1), "longer than"),
    ],
)
def test_what_is_refused_says_why(query: str, problem: str) -> None:
    with pytest.raises(BadQuery, match=problem):
        answer(query, SAMPLES, NOW_S)


WORDS = st.sampled_from(
    ["harm", "max", "vector", "(", ")", "{", "}", "=", "=~", "!", ",", "+", "-", "1", ".", "e",
     '"a"', '".*|b"', "'", '"', "`", "\\", " ", "\n", "[", "inf", "NaN", "slice", "#", "é"]
)  # fmt: skip


@given(st.one_of(st.lists(WORDS, max_size=20).map("".join), st.text(max_size=40)))
def test_a_query_is_answered_or_refused(query: str) -> None:
    try:
        data = answer(query, SAMPLES, NOW_S)
    except BadQuery:
        return
    assert data["resultType"] in ("scalar", "vector")
    msgspec.json.encode(data)


@given(st.text(), st.sampled_from(['"', "'", "`"]))
def test_a_value_once_quoted_is_found(value: str, quote: str) -> None:
    labelled = [sample("harm", 1.0, slice=value), sample("harm", 2.0, slice=value + "x")]
    if quote == "`":
        if "`" in value:
            return
        written_as = value
    else:
        written_as = value.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n")
    data = answer(f"harm{{slice={quote}{written_as}{quote}}}", labelled, NOW_S)
    assert [one["value"][1] for one in data["result"]] == ["1"]


@given(st.floats())
def test_numbers_are_read_as_they_are_written(value: float) -> None:
    read = float(written(value))
    assert read == value or (math.isnan(read) and math.isnan(value))


LETTERS = "ab.-:é\n"
PIECES = st.sampled_from(
    ["a", "b", "é", "-", ":", "\n", ".", ".*", ".+", "|", r"\.", r"\*", r"\\", r"\|", r"\(",
     "a?", "[ab]", "[^a]", "(a|b)", "b{2}"]
)  # fmt: skip
PATTERNS = st.lists(PIECES, max_size=10).map("".join)


@given(PATTERNS, st.text(LETTERS + r"*\|(", max_size=12))
@example("", "")
@example("a|", "")
@example(".+.+", "ab")
@example(".*ab.*ab", "abab")
@example("a.*a", "a")
@example(".*a.*a.*", "ba")
def test_a_pattern_matches_the_whole_value_as_in_other_engines(pattern: str, value: str) -> None:
    wanted = re.fullmatch(pattern, value, re.DOTALL) is not None
    for written_as in (pattern, f"({pattern})"):
        data = answer(f"harm{{slice=~`{written_as}`}}", [sample("harm", 1.0, slice=value)], NOW_S)
        assert bool(data["result"]) == wanted


def test_no_query_takes_long() -> None:
    hard = [
        "vector(" + " " * 4_000,
        "harm{" + 'a="b",' * 600,
        "harm{a=" + '"' + "\\\\" * 2_000,
        "1" * 4_000 + "x",
        "-" * 4_000 + "x",
        'harm{slice=~"' + ".*a" * 1_300 + 'b"}',
        'harm{slice=~"' + ".*" * 2_000 + 'b"}',
        'harm{slice=~"' + "|".join([".*a.*b"] * 500) + '"}',
        'harm{slice=~"(a*)*b"}',
    ]
    many = [sample("harm", 1.0, slice=f"{number % 60}" + "a" * 250) for number in range(5_000)]
    before_s = time.perf_counter()
    for query in hard:
        with contextlib.suppress(BadQuery):
            answer(query, many, NOW_S)
    assert time.perf_counter() - before_s < 3.0
