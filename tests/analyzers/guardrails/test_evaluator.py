"""Verdicts on made-up worlds: each metric, each mode, latching, stages, quality, determinism."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import msgspec
import pytest

from tests.analyzers.guardrails.world import Harm, World, edited, message, replaced
from understudy.analyzers.guardrails.checks import checks_of
from understudy.analyzers.guardrails.evaluator import CommandRejected, RolloutEvaluator
from understudy.analyzers.guardrails.state import STATE_VERSION, decode_state
from understudy.schemas.decisions import Decision, decode_decision, encode_decision
from understudy.schemas.manifests import read_policy
from understudy.schemas.rollouts import Rollout
from understudy.schemas.window_measures import ControlSums, EventCounts, PairSums, SideSums
from understudy.schemas.windows import WindowRow, WindowsMessage, windows_message


def policy(
    guardrails: str, *, stages: str = "[shadow]", mode: str = "shadow", rest: str = ""
) -> Rollout:
    """Return a policy for the requests of `World`, of which no two are related."""
    return read_policy(
        f"""
rollout_id: helpdesk
models: {{stable: a, candidate: b}}
mode: {mode}
min_requests: 1500
min_duration: 2m
stages: {stages}
guardrails: [{guardrails}]
independent_requests: true
{rest}
"""
    )


def evaluated(
    rollout: Rollout, messages: list[WindowsMessage]
) -> tuple[RolloutEvaluator, list[Decision]]:
    """Return the evaluator after all messages, and its decisions without the refreshes."""
    evaluator = RolloutEvaluator(rollout)
    decisions = [evaluator.take(one) for one in messages]
    return evaluator, [one for one in decisions if one is not None and not one.is_refresh]


def verdict_of(rollout: Rollout, world: World, windows: int = 45, seed: int = 5) -> Decision:
    evaluator, _ = evaluated(rollout, world.messages(seed, windows))
    return evaluator.decision()


BAD = {
    "{metric: error_rate, max: 3%}": (Harm(bad={"error": 0.06}), "error rate"),
    "{metric: error_rate, max_increase: 2pp}": (Harm(bad={"error": 0.06}), "error rate"),
    "{metric: fallback_rate, max_increase: 2pp}": (Harm(bad={"fallback": 0.08}), "fallback rate"),
    "{metric: truncation_rate, max: 5%}": (Harm(bad={"truncated": 0.1}), "truncation rate"),
    "{metric: json_valid_rate, max_drop: 2pp}": (Harm(bad={"json_valid": 0.1}), "JSON validity"),
    "{metric: json_valid_rate, min: 95%}": (Harm(bad={"json_valid": 0.1}), "JSON validity"),
    "{metric: json_schema_valid_rate, max_drop: 2pp}": (
        Harm(bad={"json_schema_valid": 0.1}), "JSON Schema validity",
    ),
    "{metric: language_match_rate, max_drop: 2pp}": (
        Harm(bad={"language_match": 0.1}), "answers in the request's language",
    ),
    "{metric: duration_p95, max_increase: 20%}": (Harm(slower=2.0), "duration p95"),
    "{metric: duration_p99, max_increase: 300ms}": (Harm(slower=2.5), "duration p99"),
    "{metric: duration_p95, max: 4s}": (Harm(slower=3.0), "duration p95"),
    "{metric: time_to_first_token_p50, max_increase: 20%}": (
        Harm(slower=2.0), "time to first token p50",
    ),
    "{metric: cost_usd, max_increase: 10%}": (Harm(dearer=1.5), "mean cost"),
    "{metric: cost_usd, max_increase: 0.0005}": (Harm(dearer=2.0), "mean cost"),
    "{metric: cost_usd, max: 0.003usd}": (Harm(dearer=2.5), "mean cost"),
    "{metric: output_tokens, max_increase: 20%}": (Harm(longer=1.6), "mean output tokens"),
    "{metric: output_tokens, max_drop: 20%}": (Harm(longer=0.5), "mean output tokens"),
    "{metric: output_tokens, min: 180}": (Harm(longer=0.5), "mean output tokens"),
}  # fmt: skip
PAIRED_ONLY = {
    "{metric: tool_call_match, max_drop: 10pp}": (Harm(bad={"tool_calls": 0.3}), "tool call"),
    "{metric: tool_call_match, min: 70%}": (Harm(bad={"tool_calls": 0.3}), "tool call match"),
    "{metric: similarity_excess, max: 5pp}": (Harm(disagreement=0.2), "disagreement"),
    "{metric: unmatched_share, max: 2%}": (Harm(lost=0.1), "unmatched share"),
}


@pytest.mark.parametrize(
    ("mode", "guardrail"),
    [(mode, one) for mode in ("shadow", "canary") for one in BAD]
    + [("shadow", one) for one in PAIRED_ONLY],
)
def test_each_metric_separates_harm_from_health(mode: str, guardrail: str) -> None:
    harm, title = {**BAD, **PAIRED_ONLY}[guardrail]
    stages = "[shadow]" if mode == "shadow" else "[{share: 40%}]"
    rollout = policy(guardrail, stages=stages, mode=mode)
    bad = verdict_of(rollout, World(mode=mode, share=0.4, harm=harm))
    assert bad.verdict == "rollback"
    assert bad.reasons[0].startswith(title)
    assert any(one.status == "breach" for one in bad.evidence)
    healthy = verdict_of(rollout, World(mode=mode, share=0.4))
    assert healthy.verdict in ("hold", "promote")
    assert healthy.log_evidence["rollback"] < 0.0


def test_the_reason_names_metric_language_amount_and_limit() -> None:
    rollout = policy("{metric: json_valid_rate, max_drop: 0.5pp}")
    harm = Harm(bad={"json_valid": 0.08}, languages=("ja",))
    decision = verdict_of(rollout, World(harm=harm, languages=("en", "ja", "de")))
    words = decision.reasons[0]
    assert words.startswith("JSON validity in `ja` fell ")
    assert re.search(r", limit 0\.5 points; [\d,]+ pairs(; also in all requests)?$", words), words
    assert decision.candidate_share == 0.0


def test_the_reason_for_a_late_regression_also_says_what_came_late() -> None:
    """Over all requests it is within the limit, which would be no reason."""
    rollout = policy("{metric: error_rate, max_increase: 1pp, slices: [all]}")
    healthy = World().messages(1, 150)
    harm = World(harm=Harm(bad={"error": 0.08})).messages(2, 15, first=150)
    evaluator, decisions = evaluated(rollout, healthy + harm)
    words = evaluator.decision().reasons[0]
    assert decisions[-1].verdict == "rollback"
    assert float(words.split("rose ")[1].split(" ")[0]) < 1.0, words
    since, _, now = words.partition("; since ")[2].partition(" UTC ")
    begun = dt.datetime.fromisoformat(f"{since}+00:00")
    newest = decisions[-1].windows_until
    assert newest is not None
    assert dt.timedelta(minutes=1) <= newest - begun <= dt.timedelta(minutes=2), words
    assert float(now.split(" → ")[1].split(" ")[0]) > 3.0, words


def test_a_small_language_with_harm_of_its_own_blocks_promotion() -> None:
    """Its weight would take long to earn a rollback, and waiting needs none."""
    rollout = policy("{metric: json_valid_rate, max_drop: 2pp}")
    harm = Harm(bad={"json_valid": 0.1}, languages=("nl",))
    healthy = World(languages=("en", "de"), requests=400, harm=harm).messages(5, 20)
    small = World(languages=("nl",), requests=3, harm=harm).messages(6, 20)
    both = [
        message([*a.rows, *b.rows], version=a.version) for a, b in zip(healthy, small, strict=True)
    ]
    evaluator, _ = evaluated(rollout, both)
    decision = evaluator.decision()
    assert (decision.verdict, decision.missing) == (
        "hold", ["suspected_harm/json_valid_rate/language:nl"],
    )  # fmt: skip
    assert decision.reasons[0].startswith("harm is suspected: JSON validity in `nl` fell ")


def test_promotion_takes_requests_time_and_every_required_guardrail() -> None:
    rollout = policy(
        "{metric: error_rate, max_increase: 2pp}, {metric: cost_usd, max_increase: 20%}"
    )
    evaluator = RolloutEvaluator(rollout)
    seen = {}
    for place, one in enumerate(World().messages(3, 60)):
        evaluator.take(one)
        seen[place] = evaluator.decision()
    assert seen[3].verdict == "hold"
    assert {"requests", "duration"} <= set(seen[3].missing)
    assert "800 of 1,500 requests" in seen[3].reasons[0]
    assert seen[59].verdict == "promote"
    first = min(place for place, decision in seen.items() if decision.verdict == "promote")
    assert seen[first].stage.requests >= 1_500
    assert seen[first].stage.duration_s >= 120
    assert all(e.status == "pass" for e in seen[first].evidence if e.required)


def test_what_was_invalid_before_any_watermark_makes_no_stage_longer() -> None:
    """It counts in the window of 1970, which closes like any other."""
    rollout = policy("{metric: error_rate, max_increase: 2pp}")
    row = WindowRow(
        rollout_id="helpdesk",
        mode="shadow",
        language="und",
        window_start=dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        window_s=10,
        partition=0,
        version=1,
        closed=True,
        events=EventCounts(invalid=1),
    )
    early = windows_message([row], rollout_id="helpdesk", partition=0, version=1)
    evaluator, _ = evaluated(rollout, [early, *World(requests=500).messages(3, 4, first=1)])
    stage = evaluator.decision().stage
    assert (stage.requests, stage.duration_s) == (4_000, 40.0)


def test_early_rows_roll_back_and_never_promote() -> None:
    def still_open(messages: list[WindowsMessage]) -> list[WindowsMessage]:
        opened = [
            [msgspec.structs.replace(row, closed=False) for row in one.rows] for one in messages
        ]
        return [replaced(one, rows) for one, rows in zip(messages, opened, strict=True)]

    rollout = policy("{metric: error_rate, max_increase: 2pp}")
    harm = World(harm=Harm(bad={"error": 0.1}))
    assert evaluated(rollout, still_open(harm.messages(1, 40)))[0].decision().verdict == "rollback"
    decision = evaluated(rollout, still_open(World().messages(1, 80)))[0].decision()
    assert decision.verdict == "hold"
    assert decision.stage.requests == 0


def test_rollback_latches_until_an_operator_resumes() -> None:
    rollout = policy("{metric: error_rate, max_increase: 1pp}")
    evaluator, decisions = evaluated(rollout, World(harm=Harm(bad={"error": 0.1})).messages(1, 30))
    reasons = decisions[-1].reasons
    for one in World().messages(2, 60, first=30):
        later = evaluator.take(one)
        assert later is None or later.is_refresh
    latched = evaluator.decision()
    assert (latched.verdict, latched.is_latched, latched.reasons) == ("rollback", True, reasons)
    resumed = evaluator.resume()
    assert resumed is not None
    assert resumed.verdict == "hold"
    assert not resumed.is_latched
    assert "other arm" not in " ".join(resumed.reasons), "both sides were there"
    for one in World(harm=Harm(bad={"error": 0.1})).messages(4, 40, first=90):
        evaluator.take(one)
    assert evaluator.decision().verdict == "rollback"


def test_numbers_are_refreshed_once_a_minute() -> None:
    evaluator = RolloutEvaluator(policy("{metric: error_rate, max_increase: 1pp}"))
    taken = [evaluator.take(one) for one in World(requests=5).messages(1, 30)]
    first, *later = [decision for decision in taken if decision is not None]
    assert not first.is_refresh
    assert all(one.is_refresh and one.verdict == "hold" for one in later)
    after_s = [(one.decided_at - first.decided_at).total_seconds() for one in later]
    assert after_s == [60.0, 120.0, 180.0, 240.0]
    units = [decision.evidence[0].units for decision in (first, *later)]
    assert units == sorted(set(units)), "each has counted more"


def test_an_operator_can_kill() -> None:
    evaluator = RolloutEvaluator(policy("{metric: error_rate, max_increase: 1pp}"))
    killed = evaluator.kill("paged at three")
    assert killed is not None
    assert (killed.verdict, killed.reasons) == ("rollback", ["paged at three"])
    assert evaluator.kill("again") is None


def test_there_is_something_to_resume() -> None:
    """Or the evidence that has been gathered would begin anew for nothing."""
    broken = policy("{metric: error_rate, max_increase: 1pp, action: pause}")
    evaluator, _ = evaluated(broken, World(harm=Harm(bad={"error": 0.1})).messages(1, 30))
    assert evaluator.decision().is_paused
    with pytest.raises(CommandRejected, match="the rollout is paused; resume it first"):
        evaluator.promote()
    evaluator.resume()
    before = evaluator.encode_state()
    with pytest.raises(CommandRejected, match="neither rolled back nor paused"):
        evaluator.resume()
    assert evaluator.encode_state() == before


def test_a_pause_stops_promotion_and_an_alert_does_not() -> None:
    harm = World(harm=Harm(bad={"error": 0.1}))
    extra = "{metric: cost_usd, max_increase: 20%, slices: [all]}"
    pausing = policy("{metric: error_rate, max_increase: 1pp, action: pause}, " + extra)
    paused = verdict_of(pausing, harm)
    assert (paused.verdict, paused.is_paused, paused.is_latched) == ("hold", True, False)
    assert paused.reasons[0].startswith("paused: error rate")
    alerting = policy("{metric: error_rate, max_increase: 1pp, action: alert}, " + extra)
    alerted = verdict_of(alerting, harm)
    assert alerted.verdict == "promote"
    assert alerted.alerts[0].sentence.startswith("error rate")


def test_a_warn_margin_alerts_before_the_limit_is_reached() -> None:
    rollout = policy("{metric: error_rate, max_increase: 6pp, warn_margin: 1pp, slices: [all]}")
    decision = verdict_of(rollout, World(harm=Harm(bad={"error": 0.04})), windows=100)
    assert decision.verdict != "rollback"
    assert "limit 1 point;" in decision.alerts[0].sentence
    assert decision.is_within_tolerance


def test_missing_sides_hold_a_rollout_that_would_be_promoted() -> None:
    """Evicted or in another partition: no side's failure, and no random sample either."""
    rollout = policy("{metric: error_rate, max_increase: 2pp}")
    decision = verdict_of(rollout, World(harm=Harm(evicted=0.1)))
    assert decision.verdict == "hold"
    assert decision.quality.breaches == ["unmatched_share"]
    (alert,) = decision.alerts
    assert (alert.kind, alert.name) == ("data_quality", "unmatched_share")
    assert re.fullmatch(
        r"[\d.]+ % of the requests lack a side, limit 5 %: [\d.]+ % lack a side for another reason",
        alert.sentence,
    ), alert.sentence


def test_sides_that_never_came_are_named_in_data_quality() -> None:
    rollout = policy("{metric: error_rate, max_increase: 30pp}")
    decision = verdict_of(rollout, World(harm=Harm(lost=0.1)))
    assert decision.verdict == "hold"
    (alert,) = decision.alerts
    assert alert.sentence.endswith(" % of the candidate's sides never came")


def test_late_events_are_found_in_windows_that_never_close() -> None:
    """An old recording beside newer events: all of it counts where the watermark stands."""
    rollout = policy("{metric: error_rate, max_increase: 1pp, slices: [all]}")
    healthy = World().messages(1, 150)
    evaluator, _ = evaluated(rollout, healthy)
    before = evaluator.decision()
    assert (before.verdict, before.quality.breaches) == ("promote", [])
    row = msgspec.structs.replace(
        next(row for row in healthy[-1].rows if not row.closed or row.mode),
        window_start=healthy[-1].rows[0].window_start + dt.timedelta(hours=1),
        events=EventCounts(late=4_000), closed=False, version=10**9,
        stable=SideSums(), candidate=SideSums(), control=ControlSums(), pair=PairSums(),
    )  # fmt: skip
    evaluator.take(message([row], version=10**9))
    held = evaluator.decision()
    assert (held.verdict, held.quality.breaches) == ("hold", ["late_share"])
    assert any("of the events arrive late, limit 5 %" in reason for reason in held.reasons)
    share = held.quality.late_share
    again = msgspec.structs.replace(row, events=EventCounts(late=4_001), version=10**9 + 1)
    evaluator.take(message([again], version=10**9 + 1))
    assert 0 < evaluator.decision().quality.late_share - share < 1e-4
    closed = msgspec.structs.replace(again, closed=True, version=10**9 + 2)
    now = evaluator.decision().quality.late_share
    evaluator.take(message([closed], version=10**9 + 2))
    assert evaluator.decision().quality.late_share == now


def test_shares_not_as_planned_hold_a_canary() -> None:
    rollout = policy("{metric: error_rate, max_increase: 3pp, slices: [all]}",
                     stages="[{share: 50%}]", mode="canary")  # fmt: skip
    assert verdict_of(rollout, World(mode="canary"), windows=100).verdict == "promote"
    skewed = verdict_of(rollout, World(mode="canary", share=0.4), windows=100)
    assert skewed.verdict == "hold"
    assert skewed.quality.breaches == ["sample_ratio"]
    assert any("instead of the planned 50 %" in alert.sentence for alert in skewed.alerts)


def test_stages_move_by_hand_or_by_themselves() -> None:
    guardrail = "{metric: error_rate, max_increase: 3pp, slices: [all]}"
    stages = "[shadow, 50%, 100%]"
    by_hand, decisions = evaluated(policy(guardrail, stages=stages), World().messages(1, 60))
    assert [d.verdict for d in decisions] == ["hold", "promote"]
    moved = by_hand.promote()
    assert moved is not None
    assert (moved.verdict, moved.stage.stage.name, moved.candidate_share) == ("hold", "50%", 0.5)
    alone, decisions = evaluated(
        policy(guardrail, stages=stages, rest="promotion: automatic"),
        World().messages(1, 40) + World(mode="canary").messages(2, 90, first=40),
    )
    assert [(d.verdict, d.stage.stage.name) for d in decisions] == [
        ("hold", "shadow"), ("promote", "shadow"), ("hold", "50%"), ("promote", "50%"),
        ("hold", "100%"),
    ]  # fmt: skip
    assert alone.decision().reasons == ["the candidate has all requests; there is no further stage"]
    with pytest.raises(ValueError, match="last stage"):
        alone.promote()


def test_required_none_never_blocks_and_every_always_does() -> None:
    extra = "{metric: error_rate, max_increase: 3pp, slices: [all]}"
    undecided = (
        "{metric: json_valid_rate, max_drop: 2pp, slices: [all, each language], required: %s}"
    )
    at_margin = World(harm=Harm(bad={"json_valid": 0.02}))
    free = verdict_of(policy(extra + ", " + undecided % "none"), at_margin)
    assert free.verdict == "promote"
    bound = verdict_of(policy(extra + ", " + undecided % "every"), at_margin)
    assert bound.verdict == "hold"
    assert any(name.startswith("json_valid_rate/language:") for name in bound.missing)


def test_a_guardrail_that_measures_nothing_blocks_unless_the_policy_says_otherwise() -> None:
    extra = "{metric: error_rate, max_increase: 3pp, slices: [all]}, "
    silent = "{metric: tool_call_match, max_drop: 5pp, slices: [all]%s}"
    world = World(mode="canary", requests=150)
    kwargs = {"stages": "[{share: 50%}]", "mode": "canary"}
    held = verdict_of(policy(extra + silent % "", **kwargs), world)
    assert held.verdict == "hold"
    assert any("nothing measured yet" in reason for reason in held.reasons)
    free = verdict_of(policy(extra + silent % ", required: if_measured", **kwargs), world)
    assert free.verdict == "promote"


SAFE = "{metric: error_rate, max_increase: 3pp, slices: [all]}"


@pytest.mark.parametrize("slices", ["each language", "{language: ja}", "each workflow"])
def test_a_guardrail_without_all_requests_together_can_promote_by_its_slices(slices: str) -> None:
    one = verdict_of(policy(SAFE.replace("all", slices)), World(requests=150))
    assert (one.verdict, one.missing) == ("promote", [])
    assert {entry.required for entry in one.evidence} == {True}


@pytest.mark.parametrize(
    ("slices", "missing"),
    [
        ("each language", ["json_valid_rate/language:en", "json_valid_rate/language:ja"]),
        ("{language: ja}", ["json_valid_rate/language:ja"]),
        ("{language: xx}", ["json_valid_rate/language:xx"]),
    ],
)
def test_a_guardrail_without_all_requests_together_holds_by_its_slices(
    slices: str, missing: list[str]
) -> None:
    undecided = f"{{metric: json_valid_rate, max_drop: 2pp, slices: [{slices}]}}"
    world = World(requests=150, harm=Harm(bad={"json_valid": 0.02}))
    held = verdict_of(policy(f"{SAFE}, {undecided}"), world)
    assert (held.verdict, held.missing) == ("hold", missing)


@pytest.mark.parametrize(
    ("required", "verdict"), [("all", "hold"), ("every", "hold"), ("if_measured", "promote")]
)
def test_a_guardrail_whose_slices_never_turn_up_holds_if_it_is_required(
    required: str, verdict: str
) -> None:
    silent = "{metric: json_valid_rate, max_drop: 2pp, slices: [each workflow]"
    silent = f"{silent}, required: {required}}}"
    one = verdict_of(policy(f"{SAFE}, {silent}"), World(requests=150, workflow=""))
    assert one.verdict == verdict
    if verdict == "hold":
        assert one.missing == ["json_valid_rate/any slice"]
        assert one.reasons == [
            "not yet shown to be within its limit: JSON validity: none of its slices has turned "
            "up yet"
        ]


def test_a_stray_language_does_not_hold_a_rollout_for_ever() -> None:
    messages = World(requests=150).messages(5, 45)
    stray = World(requests=1, languages=("xx",)).messages(5, 1)[0].rows
    messages[0] = replaced(messages[0], rows=[*messages[0].rows, *stray])
    evaluator, _ = evaluated(policy(SAFE.replace("all", "each language")), messages)
    assert evaluator.decision().verdict == "promote"


MANY = (
    "{metric: error_rate, max_increase: 1pp, warn_margin: 0.5pp}, "
    "{metric: duration_p95, max_increase: 20%}, {metric: cost_usd, max_increase: 10%}, "
    "{metric: similarity_excess, max: 5pp}, {metric: unmatched_share, max: 2%, action: pause}"
)


def test_the_same_messages_give_the_same_bytes_also_through_a_table() -> None:
    rollout = policy(MANY)
    messages = World(harm=Harm(bad={"error": 0.01})).messages(9, 50)
    straight = RolloutEvaluator(rollout)
    state = RolloutEvaluator(rollout).encode_state()
    for one in messages:
        decided = straight.take(one)
        revived = RolloutEvaluator(rollout, state)
        assert revived.take(one) == decided
        state = revived.encode_state()
        assert state == straight.encode_state()
    assert encode_decision(straight.decision()) == encode_decision(revived.decision())
    again, _ = evaluated(rollout, messages)
    payload = encode_decision(again.decision())
    assert payload == encode_decision(straight.decision())
    assert decode_decision(payload) == straight.decision()


def test_state_of_another_policy_is_refused() -> None:
    state = RolloutEvaluator(policy(MANY)).encode_state()
    with pytest.raises(ValueError, match="another policy"):
        RolloutEvaluator(policy("{metric: error_rate, max: 2%}"), state)
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(state) | {"version": STATE_VERSION - 1})
    with pytest.raises(ValueError, match="another policy or release"):
        RolloutEvaluator(policy(MANY), older)
    with pytest.raises(ValueError, match="no stage 7"):
        RolloutEvaluator(policy(MANY), stage=7)


def test_state_stays_small() -> None:
    languages = tuple(f"l{n}" for n in range(20))
    world = World(languages=languages, requests=5)
    rollout = policy(MANY)
    evaluator, _ = evaluated(rollout, world.messages(1, 12))
    state = msgspec.msgpack.decode(evaluator.encode_state())
    sizes = {name: len(msgspec.msgpack.encode(part)) for name, part in state.items()}
    assert sizes["evidence"] + sizes["tail_thresholds"] < 150_000, sizes
    assert sizes["status"] + sizes["stage"] + sizes["arrivals"] < 2_000, sizes
    hostile = World(languages=tuple(f"x{n}" for n in range(100)), requests=3)
    for one in hostile.messages(2, 2, first=12):
        evaluator.take(one)
    known = decode_state(rollout, checks_of(rollout), evaluator.encode_state())
    assert len(known.arrivals.languages) == 64


def test_the_decision_records_what_it_rests_on() -> None:
    rollout = policy(MANY)
    decision = verdict_of(rollout, World(), windows=40)
    assert decision.partitions == {0: 40}
    assert len(decision.policy_hash) == 64
    assert decision.thresholds.log_rollback == pytest.approx(4.60517)
    error = next(e for e in decision.evidence if (e.guardrail, e.slice) == ("error_rate", "all"))
    counts = error.statistics
    assert counts["pairs"] == error.units == 40 * 200
    assert error.harm == pytest.approx(
        (counts["candidate_only_rollback"] - counts["stable_only_rollback"]) / counts["pairs"]
    )
    low, high = error.interval
    assert low is not None
    assert high is not None
    assert low < error.harm < high
    assert sum(e.weight for e in decision.evidence if e.action == "rollback") <= 1.0


def without_price(side: str, messages: list[WindowsMessage]) -> list[WindowsMessage]:
    """The same traffic where the calls of one side cost 0."""

    def unpriced(row: WindowRow) -> None:
        own = getattr(row, side)
        own.unpriced, own.cost_usd_count = own.cost_usd_count, 0
        own.cost_usd_sum = own.cost_usd_squares = 0.0
        for name in row.pair.__struct_fields__:
            if name.startswith("cost_usd_"):
                setattr(row.pair, name, type(getattr(row.pair, name))())

    return [edited(one, unpriced) for one in messages]


ERRORS = "{metric: error_rate, max_increase: 2pp}"
DEARER = f"{ERRORS}, {{metric: cost_usd, max_increase: 0.0005, required: if_measured}}"
RELATIVELY_DEARER = f"{ERRORS}, {{metric: cost_usd, max_increase: 25%, required: if_measured}}"


def policy_with_free(side: str, guardrails: str) -> Rollout:
    rollout = policy(guardrails)
    models = msgspec.structs.replace(rollout.models, free=(side,))
    return msgspec.structs.replace(rollout, models=models)


def decided(rollout: Rollout, side: str, mode: str = "shadow") -> Decision:
    messages = without_price(side, World(mode=mode).messages(5, 45))
    return evaluated(rollout, messages)[0].decision()


@pytest.mark.parametrize("guardrails", [DEARER, RELATIVELY_DEARER])
def test_a_cost_of_0_is_no_price_unless_the_policy_says_so(guardrails: str) -> None:
    decision = decided(policy(guardrails), "candidate")
    assert (decision.verdict, decision.not_measured) == ("promote", ["cost_usd"])
    decision = decided(policy_with_free("candidate", guardrails), "candidate")
    assert (decision.verdict, decision.not_measured) == ("promote", [])
    (cost,) = (
        one for one in decision.evidence if (one.guardrail, one.slice) == ("cost_usd", "all")
    )
    assert cost.units > 0
    assert cost.candidate == 0.0


def test_a_candidate_that_costs_something_where_stable_is_free() -> None:
    decision = decided(policy_with_free("stable", DEARER), "stable")
    assert decision.verdict == "rollback"
    assert "mean cost over all requests rose $0.00" in decision.reasons[0]


def test_a_share_of_nothing_cannot_be_judged_and_the_decision_says_so() -> None:
    decision = decided(policy_with_free("stable", RELATIVELY_DEARER), "stable")
    assert (decision.verdict, decision.not_measured) == ("promote", ["cost_usd"])
    assert any(
        one.startswith("mean cost cannot be judged: stable's is 0") for one in decision.reasons
    )
    required = RELATIVELY_DEARER.replace("if_measured", "all")
    decision = decided(policy_with_free("stable", required), "stable")
    assert decision.verdict == "hold"
    assert "mean cost over all requests: cannot be judged: stable's is 0" in decision.reasons[0]


# When it looks


def in_parts(world: World, windows: int) -> list[WindowsMessage]:
    """Each window in ten messages, one for each partition."""
    parts = [replace(world, partition=number) for number in range(10)]
    by_partition = [one.messages(7 + one.partition, windows) for one in parts]
    return [messages[window] for window in range(windows) for messages in by_partition]


def test_a_second_of_messages_is_looked_at_once() -> None:
    evaluator = RolloutEvaluator(policy(MANY))
    looks = []
    for number, one in enumerate(in_parts(World(requests=20), 1)):
        evaluator.add(one, 1_000 + 300 * number)
        looks.append(not evaluator.awaits_look)
    assert [number for number, looked in enumerate(looks) if looked] == [0, 4, 8]


def test_the_first_message_of_a_window_is_looked_at_however_fast_they_come() -> None:
    evaluator = RolloutEvaluator(policy(MANY))
    for number, one in enumerate(in_parts(World(requests=20), 6)):
        evaluator.add(one, 1_000)
        assert evaluator.awaits_look == bool(number % 10)


def test_clocks_that_differ_cause_more_looks_and_none_too_few() -> None:
    evaluator = RolloutEvaluator(policy(MANY))
    messages = in_parts(World(requests=20), 1)
    for one, written_ms in zip(messages, (9_000, 9_100, 5_000, 5_100, 9_200), strict=False):
        evaluator.add(one, written_ms)
    assert evaluator.awaits_look is False
    evaluator.add(messages[5], 9_900)
    assert evaluator.awaits_look


def test_a_message_without_rows_asks_for_a_look_and_says_nothing_else() -> None:
    broken = World(requests=200, harm=Harm(bad={"error": 0.6}))
    one, *others = in_parts(World(requests=20), 1)[:1] + in_parts(broken, 1)[1:]
    evaluator, straight = RolloutEvaluator(policy(MANY)), RolloutEvaluator(policy(MANY))
    for part in (one, *others):
        found = evaluator.add(part, 1_000)
        straight.take(part)
    assert found is None
    assert evaluator.awaits_look
    asked = replaced(one, version=9, partition=77, watermark=None, rows=[])
    assert asked.asks_for_look
    found = evaluator.add(asked, 1_001)
    assert found is not None
    assert found.verdict == "rollback"
    assert [one.statistics for one in found.evidence] == [
        one.statistics for one in straight.decision().evidence
    ]


def test_looks_are_at_the_same_messages_after_a_restart() -> None:
    rollout = policy(MANY)
    messages = in_parts(World(requests=30, harm=Harm(bad={"error": 0.05})), 12)
    straight, restarted = RolloutEvaluator(rollout), RolloutEvaluator(rollout)
    for number, one in enumerate(messages):
        expected = straight.add(one, 90 * number)
        found = restarted.add(one, 90 * number)
        assert (found and encode_decision(found)) == (expected and encode_decision(expected))
        restarted = RolloutEvaluator(rollout, restarted.encode_state())
    assert restarted.encode_state() == straight.encode_state()
