"""Slices: their names, and the weights that their evidence gets."""

from __future__ import annotations

import pytest

from tests.analyzers.guardrails.world import World
from understudy.analyzers.guardrails.slices import (
    ALL,
    MAX_ARRIVALS,
    Arrivals,
    is_mirrored,
    kinds_of,
    mirrored,
    slice_name,
    slice_title,
    unmirrored,
    whole_of,
)
from understudy.schemas.rollouts import SliceChoice, SliceManifest

ROW = World().messages(1, 1)[0].rows[0]


def choice(
    *, all: bool = True, each_language: bool = False, each_workflow: bool = False,
    named: tuple[SliceManifest, ...] = (),
) -> SliceChoice:  # fmt: skip
    return SliceChoice(all, each_language, each_workflow, named)


def test_names_and_titles_say_what_a_slice_is() -> None:
    assert slice_name() == ALL
    assert slice_name("ja", "extract") == "language:ja,workflow:extract"
    assert slice_title("language:ja,workflow:extract") == "ja, workflow extract"


def test_half_goes_to_all_languages_together() -> None:
    named = (SliceManifest(language="en"), SliceManifest(language="de"))
    weights = Arrivals().weights(choice(named=named))
    assert weights == {ALL: 0.5, "language:en": 0.25, "language:de": 0.25}


@pytest.mark.parametrize("languages", [0, 1, 5, 16, 17, 200])
def test_weights_never_sum_to_more_than_one(languages: int) -> None:
    arrivals = Arrivals([f"l{n}" for n in range(languages)], ["chat"])
    for every in ({"each_language": True}, {"each_language": True, "each_workflow": True}):
        assert sum(arrivals.weights(choice(**every)).values()) <= 1.0 + 1e-12


def test_a_newcomer_takes_nothing_from_those_before_it() -> None:
    before = Arrivals(["en", "de"]).weights(choice(each_language=True))
    after = Arrivals(["en", "de", "ja"]).weights(choice(each_language=True))
    assert {name: after[name] for name in before} == before


def test_languages_that_were_not_named_get_nothing() -> None:
    named = (SliceManifest(language="en"), SliceManifest(language="de"))
    assert "language:xx" not in Arrivals(["en", "xx"]).weights(choice(named=named))


def test_a_row_belongs_to_the_slices_that_have_arrived() -> None:
    arrivals = Arrivals()
    assert arrivals.slices_by_kind("en", "chat") == (ALL, None, None, None)
    assert arrivals.note(ROW.language, ROW.workflow)
    assert not arrivals.note(ROW.language, ROW.workflow)
    assert arrivals.slices_by_kind("en", "chat") == (
        ALL, "language:en", "workflow:chat", "language:en,workflow:chat",
    )  # fmt: skip
    assert arrivals.slices_by_kind("en", "other") == (ALL, "language:en", None, None)


def test_kinds_are_those_that_a_guardrail_can_cover() -> None:
    both = SliceManifest(language="ja", workflow="extract")
    assert kinds_of(choice(each_language=True)) == (0, 1)
    assert kinds_of(choice(all=False, named=(both, SliceManifest(workflow="chat")))) == (2, 3)


def test_hostile_names_cannot_grow_the_state() -> None:
    arrivals = Arrivals()
    for number in range(MAX_ARRIVALS + 10):
        arrivals.note(f"x{number}", ROW.workflow)
    assert len(arrivals.languages) == MAX_ARRIVALS


def test_mirrored_slices_are_twins() -> None:
    assert [mirrored(name) for name in (ALL, "language:ja")] == ["mirrored", "mirrored,language:ja"]
    assert [unmirrored(mirrored(name)) for name in (ALL, "language:ja")] == [ALL, "language:ja"]
    assert is_mirrored("mirrored,workflow:a")
    assert not is_mirrored("language:mirrored")
    assert [whole_of(name) for name in ("language:ja", "mirrored,language:ja")] == [ALL, "mirrored"]
    assert slice_title("mirrored,language:ja") == "mirrored, ja"
