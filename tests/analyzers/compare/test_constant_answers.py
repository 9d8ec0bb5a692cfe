"""The same answer to different prompts: what counts, and what a service may repeat."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from understudy.analyzers.compare.constant_answers import (
    LOOKED_AT,
    Repeats,
    answer_hash,
    count_repeated,
    is_constant,
    is_short,
)
from understudy.schemas.events import Request, Response, ToolCall

REACH_MS, REACH_BYTES = 1_000, 10_000
NEITHER = Repeats.CHECKED


def found(
    stable: list[int],
    candidate: list[int],
    *,
    short: bool = False,
    alone: bool = False,
    **columns: list[int],
) -> list[int]:
    """What is found of answers with these hashes, one after the other, to prompts of their own."""
    n = len(stable)
    table = np.zeros((n, 5), dtype=np.int64)
    table[:, 0] = columns.get("request", range(n))
    table[:, 1] = columns.get("time_ms", [0] * n)
    table[:, 2] = columns.get("log_bytes", [0] * n)
    table[:, 3], table[:, 4] = stable, candidate
    group = np.array(columns.get("group", [0] * n))
    counted = count_repeated(table, group, np.ones(n, dtype=bool), REACH_MS, REACH_BYTES)
    told = []
    for row, seen in enumerate(counted.seen.tolist()):
        repeats = Repeats.CHECKED if seen else Repeats.NOTHING
        for place, side in enumerate((Repeats.STABLE, Repeats.CANDIDATE)):
            same, beyond = counted.same[place][row], counted.beyond[place][row]
            if is_constant(seen, same, beyond, short=short, alone=alone):
                repeats |= side
        told.append(int(repeats))
    return told


def test_the_first_answer_is_held_against_nothing() -> None:
    assert found([1], [1]) == [Repeats.NOTHING]


def test_one_text_for_every_prompt() -> None:
    assert found([1, 2, 3], [9, 9, 9])[1:] == [Repeats.CHECKED | Repeats.CANDIDATE] * 2
    assert found([9, 9, 9], [1, 2, 3])[1:] == [Repeats.CHECKED | Repeats.STABLE] * 2


def test_what_stable_repeats_as_well_is_no_fault() -> None:
    assert found([5, 5, 5], [9, 9, 9])[1:] == [NEITHER] * 2
    assert found([5, 6, 5, 6], [8, 9, 8, 9])[1:] == [NEITHER] * 3


def test_one_text_where_stable_has_a_few() -> None:
    stable = [number % 5 for number in range(40)]
    assert found(stable, [9] * 40)[-1] == Repeats.CHECKED | Repeats.CANDIDATE


@pytest.mark.parametrize(("every", "constant"), [(1, 16), (4, 4), (5, 3), (8, 0), (20, 0)])
def test_a_text_that_comes_often_enough(every: int, constant: int) -> None:
    """A fixed greeting or refusal now and then is none."""
    n = 64
    candidate = [1_000 if number % every == 0 else number for number in range(n)]
    told = found(list(range(n)), candidate)
    assert sum(one == NEITHER | Repeats.CANDIDATE for one in told[-16:]) == constant


def test_the_same_answer_to_the_same_prompt_is_none() -> None:
    assert found([1, 2, 3], [9, 9, 9], request=[7, 7, 7]) == [Repeats.NOTHING] * 3


def test_answers_too_far_back_do_not_count() -> None:
    assert found([1, 2], [9, 9], time_ms=[0, REACH_MS])[1] == NEITHER | Repeats.CANDIDATE
    assert found([1, 2], [9, 9], time_ms=[0, REACH_MS + 1])[1] == Repeats.NOTHING
    assert found([1, 2], [9, 9], time_ms=[REACH_MS + 1, 0])[1] == Repeats.NOTHING
    assert found([1, 2], [9, 9], log_bytes=[0, REACH_BYTES + 1])[1] == Repeats.NOTHING
    many = [9, *range(LOOKED_AT), 9]
    assert found(list(range(len(many))), many)[-1] == NEITHER


def test_groups_do_not_meet() -> None:
    assert found([1, 2], [9, 9], group=[0, 1]) == [Repeats.NOTHING] * 2


def test_a_short_answer_counts_once_there_is_hardly_another() -> None:
    n = 24
    told = found(list(range(n)), [9] * n, short=True)
    assert [one & Repeats.CANDIDATE for one in told[6:9]] == [0, 4, 4]
    assert found(list(range(n)), [number % 4 for number in range(n)], short=True)[-1] == NEITHER
    yes_or_no = [int(number % 4 == 0) for number in range(n)]
    assert found(list(range(n)), yes_or_no, short=True)[-1] == NEITHER


def test_labels_on_which_both_sides_agree_are_none() -> None:
    labels = [int(number % 10 == 0) for number in range(40)]
    assert set(found(labels, labels, short=True)[1:]) == {NEITHER}


def test_one_label_for_everything() -> None:
    labels = [int(number % 3 == 0) for number in range(40)]
    told = found(labels, [0] * 40, short=True)
    assert told[-1] == NEITHER | Repeats.CANDIDATE


def test_sides_that_are_alone_are_held_against_themselves() -> None:
    none = list(range(100, 124))
    assert found(none, [9] * 24, alone=True)[-1] == NEITHER | Repeats.CANDIDATE
    few = [number % 5 for number in range(24)]
    assert found(none, few, alone=True)[-1] == NEITHER
    assert found(none, [9] * 24, alone=True, short=True)[-1] == NEITHER


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, msgspec.Raw(msgspec.json.encode(arguments)))


def test_an_answer_is_text_and_tool_calls() -> None:
    assert answer_hash(Response(output="a")) == answer_hash(Response(output="a"))
    calls = [(), (call("f"),), (call("f", x=1),), (call("g"),), (call("f"), call("f"))]
    hashes = {answer_hash(Response(output="a", tool_calls=some)) for some in calls}
    assert len(hashes) == len(calls)
    assert answer_hash(Response(output=None, tool_calls=(call("f"),))) != 0


@pytest.mark.parametrize(
    "response",
    [
        None, Response(), Response(output=""), Response(output=" \n\t\u00a0"),
        Response(output="a", cache_hit=True),
    ],
)  # fmt: skip
def test_no_answer_of_the_model_has_no_hash(response: Response | None) -> None:
    assert answer_hash(response) == 0


@pytest.mark.parametrize(
    ("output", "short"),
    [
        ("No.", True),
        ("positive", True),
        ("Hello! How can I assist you today?", False),
        ("可以的。", True),
        ("您的訂單已經送出,預計明天下午之前會送達。", False),
        ("Да, можно.", True),
        ("Ваш заказ отправлен, спасибо.", False),
    ],
)
def test_words_and_labels_are_short(output: str, short: bool) -> None:
    assert is_short(Response(output=output), None) is short


def test_json_and_tool_calls_are_of_few_kinds_whatever_their_length() -> None:
    text = '{"category": "delivery", "priority": "high", "escalate": false}'
    assert is_short(Response(output=text), Request(expects="json"))
    assert not is_short(Response(output=text), Request())
    assert is_short(Response(output=None, tool_calls=(call("find", text=text),)), None)
    assert is_short(None, None)


def test_hashes_of_answers_are_equal_where_answers_are_and_their_length_says_nothing() -> None:
    hashed = Response(output="0123456789abcdef" * 4, output_form="hashed")
    assert answer_hash(hashed) == answer_hash(Response(output=hashed.output))
    assert is_short(hashed, None)


def test_equal_beginnings_are_no_equal_answers() -> None:
    assert answer_hash(Response(output="Sure, here is", output_form="truncated")) == 0
