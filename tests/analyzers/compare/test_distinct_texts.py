"""Each different text once, and what was found of it on every row that has it."""

from __future__ import annotations

import numpy as np

from understudy.analyzers.compare.distinct_texts import distinct_texts

OUTPUTS = ["yes", None, "no", "", "yes", "naïve", "no"]


def test_each_text_is_kept_once_and_null_counts_as_empty() -> None:
    found = distinct_texts(OUTPUTS)
    assert found.texts == ["", "yes", "no", "naïve"]
    assert found.coded == [b"", b"yes", b"no", "naïve".encode()]
    assert [found.texts[place] for place in found.place.tolist()] == [one or "" for one in OUTPUTS]


def test_what_was_found_of_the_texts_is_spread_over_the_rows() -> None:
    found = distinct_texts(OUTPUTS)
    lengths = np.array(list(map(len, found.texts)))
    assert found.spread(lengths).tolist() == [len(one or "") for one in OUTPUTS]
    assert found.where([text == "no" for text in found.texts]).tolist() == [
        one == "no" for one in OUTPUTS
    ]


def test_halves_of_surrogate_pairs_are_kept_apart() -> None:
    found = distinct_texts(["a\ud83c", "a\ud83d"])
    assert found.coded[1:] == [b"a\xed\xa0\xbc", b"a\xed\xa0\xbd"]


def test_without_rows_there_is_the_empty_text_alone() -> None:
    found = distinct_texts([])
    assert found.texts == [""]
    assert found.spread(np.zeros(1)).shape == (0,)
