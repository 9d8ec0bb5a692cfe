import pytest

from understudy.analyzers.sequential.weights import ALL, arrival_share, slice_weights


def test_half_goes_to_all_languages_together():
    weights = slice_weights(4, ["en", "de"], named=["en", "de"])
    assert weights == {ALL: 0.125, "en": 0.0625, "de": 0.0625}


@pytest.mark.parametrize("languages", [0, 1, 5, 16, 17, 200])
@pytest.mark.parametrize("guardrails", [1, 5])
def test_weights_never_sum_to_more_than_one(languages, guardrails):
    arrived = [f"l{n}" for n in range(languages)]
    for named in ([], arrived):
        weights = slice_weights(guardrails, arrived, named=named)
        assert guardrails * sum(weights.values()) <= 1.0 + 1e-12


def test_a_newcomer_takes_nothing_from_those_before_it():
    before = slice_weights(2, ["en", "de"])
    after = slice_weights(2, ["en", "de", "ja"])
    assert {slice_: after[slice_] for slice_ in before} == before
    assert arrival_share(15) == 1 / 32
    assert arrival_share(16) == 1 / 64


def test_languages_that_were_not_named_get_nothing():
    assert slice_weights(1, ["en", "xx"], named=["en", "de"]) == {ALL: 0.5, "en": 0.25}


def test_impossible_input_is_an_error():
    with pytest.raises(ValueError, match="at least one guardrail"):
        slice_weights(0, [])
    with pytest.raises(ValueError, match="rank"):
        arrival_share(-1)
