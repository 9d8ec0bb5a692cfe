"""Each different text once, and what was found of it on every row that has it."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.compare.distinct_texts import distinct_texts

OUTPUTS = ["yes", None, "no", "", "yes", "naïve", "no"]


def test_each_text_is_kept_once_and_null_counts_as_empty() -> None:
    found = distinct_texts(OUTPUTS)
    assert found.texts == ["", "yes", "no", "naïve"]
    assert list(found.coded()) == [[b"", b"yes", b"no", "naïve".encode()]]
    assert [found.texts[place] for place in found.place.tolist()] == [one or "" for one in OUTPUTS]


def test_texts_of_ascii_alone_come_first() -> None:
    found = distinct_texts(["é", "b", "ü", "a", "é"])
    assert found.texts == ["", "b", "a", "é", "ü"]
    assert found.place.tolist() == [3, 1, 4, 2, 3]


def test_what_was_found_of_the_texts_is_spread_over_the_rows() -> None:
    found = distinct_texts(OUTPUTS)
    lengths = np.array(list(map(len, found.texts)))
    assert found.spread(lengths).tolist() == [len(one or "") for one in OUTPUTS]
    assert found.where([text == "no" for text in found.texts]).tolist() == [
        one == "no" for one in OUTPUTS
    ]


def test_halves_of_surrogate_pairs_are_kept_apart() -> None:
    found = distinct_texts(["a\ud83c", "a\ud83d"])
    assert list(found.coded()) == [[b"", b"a\xed\xa0\xbc", b"a\xed\xa0\xbd"]]


def test_many_texts_are_coded_a_few_at_a_time_in_their_order() -> None:
    found = distinct_texts(["half \ud83c", *map(str, range(300))])
    parts = list(found.coded())
    assert max(map(len, parts)) < 100
    assert [one.decode("utf-8", "surrogatepass") for some in parts for one in some] == found.texts


def test_without_rows_there_is_the_empty_text_alone() -> None:
    found = distinct_texts([])
    assert found.texts == [""]
    assert found.spread(np.zeros(1)).shape == (0,)
