"""What leaves a gateway, and that nothing which it hides counts as a failure."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from understudy.gateways.privacy import Privacy, redact_patterns
from understudy.schemas.events import (
    Event,
    Request,
    Response,
    Tool,
    ToolCall,
    decode_event,
    encode_event,
)
from understudy.streams.commands.main import main
from understudy.streams.demo.simulator import ROLLOUT_ID, simulate

TIME = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
HASHED, REDACTED = Privacy(prompt="hash", output="hash"), Privacy(prompt="redact", output="redact")


def event(request: Request | None = None, response: Response | None = None, **more: Any) -> Event:
    return Event(
        schema_version=1, rollout_id="r", pair_id="p", mode="shadow", side="stable",
        sides=("stable", "candidate"), request_time=TIME, request=request, response=response,
        **more,
    )  # fmt: skip


def answer(privacy: Privacy, output: str | None, expects: Any = "text", **more: Any) -> Response:
    made = privacy.protect(event(Request(expects=expects), Response(output=output, **more)))
    assert made.response is not None
    return made.response


def test_by_default_everything_is_kept() -> None:
    whole = event(
        Request(prompt="hi", tools=(Tool("t", msgspec.Raw(b"{}")),)),
        Response(output="hello", refusal="no", reasoning="hm"),
        conversation_id="c", attributes={"a": "b"},
    )  # fmt: skip
    assert Privacy().protect(whole) == whole
    assert Privacy(output="hash").protect(event()) == event()


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_text_without_content_says_so_itself(text: str | None) -> None:
    for privacy in (HASHED, REDACTED, Privacy(output="truncate")):
        assert answer(privacy, text) == Response(output=text)


def test_equal_answers_have_equal_hashes_by_one_secret() -> None:
    first, second = answer(HASHED, "yes"), answer(HASHED, "no")
    assert first == answer(HASHED, "yes")
    assert first.output != second.output
    assert first.output_form == second.output_form == "hashed"
    other = answer(Privacy(output="hash", secret=b"k" * 100), "yes")
    assert other.output != first.output
    assert len(other.output or "") == 32


def test_long_texts_are_cut_and_short_ones_kept() -> None:
    privacy = Privacy(prompt="truncate", output="truncate", max_characters=5)
    assert answer(privacy, "12345") == Response(output="12345")
    assert answer(privacy, "123456") == Response(output="12345", output_form="truncated")
    made = privacy.protect(event(Request(prompt="123456")))
    assert made.request == Request(prompt="12345", prompt_form="truncated")


def test_patterns_are_replaced_by_their_names() -> None:
    text = (
        "Call +49 151 2345-6789, 555-123-4567 or (030) 123 4567, write to a.b@example.org from "
        "10.0.0.1, card 4111 1111 1111 1111."
    )
    redacted = "Call [phone], [phone] or [phone], write to [email] from [ip], card [card]."
    assert answer(REDACTED, text) == Response(output=redacted, output_form="redacted")
    dates = "on 2024-01-02 10:00, 1 234 567 items at 3.14159265358979"
    assert answer(REDACTED, dates) == Response(output=dates)
    own = Privacy(output="redact", redact=redact_patterns({"name": "Ann|Bob"}))
    assert answer(own, "Ann and Bob").output == "[name] and [name]"


def test_prompt_can_be_left_out_and_attributes_too() -> None:
    made = Privacy(prompt="omit", keep_attributes=False).protect(
        event(Request(prompt="hi", expects="json"), attributes={"a": "b"})
    )
    assert (made.request, made.attributes) == (Request(expects="json"), None)


def test_conversation_keeps_together_under_a_hash() -> None:
    privacy = Privacy(conversation="hash", secret=b"s")
    first, second = (privacy.protect(event(conversation_id=c)) for c in ("anna", "anna"))
    assert first.conversation_id == second.conversation_id != "anna"
    assert privacy.protect(event()).conversation_id is None


def test_redaction_that_breaks_json_says_so_and_json_that_was_none_stays_none() -> None:
    own = Privacy(output="redact", redact=lambda text: text.replace("4111111111111111", "[card]"))
    broken = answer(own, '{"card": 4111111111111111}', "json")
    assert broken == Response(output='{"card": [card]}', output_form="redacted")
    for written in ('"4111111111111111"', "4111111111111111"):
        whole = answer(REDACTED, f'{{"card": {written}}}', "json")
        assert whole == Response(output='{"card": "[card]"}', output_form="redacted")
    never = answer(REDACTED, "pay 4111111111111111", "json")
    assert never == Response(output="pay [card]")


def test_refusals_and_reasoning_follow_the_answer() -> None:
    hidden = answer(HASHED, None, refusal="I cannot help Ann", reasoning="Ann asks")
    assert hidden.refusal not in (None, "", "I cannot help Ann")
    assert hidden.reasoning is None
    redacted = answer(REDACTED, None, refusal="ask a@b.org", reasoning="a@b.org asks")
    assert (redacted.refusal, redacted.reasoning) == ("ask [email]", "[email] asks")


@pytest.mark.parametrize(
    ("arguments", "hidden"),
    [
        (b'{"to": "Ann", "n": 1}', dict),
        (b'{"n": 1, "to": "Ann"}', dict),
        (b'"{\\"to\\": \\"Ann\\", \\"n\\": 1}"', dict),
        (b'"Ann"', str),
        (b'["Ann"]', str),
        (b"{}", None),
        (b"null", None),
        (b'""', None),
    ],
)
def test_tool_calls_keep_what_can_be_executed_and_hide_with_what(
    arguments: bytes, hidden: type | None
) -> None:
    call = ToolCall("send", msgspec.Raw(arguments))
    [made] = answer(HASHED, None, tool_calls=(call,)).tool_calls or ()
    assert made.name == "send"
    value = msgspec.json.decode(made.arguments)
    if hidden is None:
        assert made == call
    else:
        assert isinstance(value, hidden)
        assert b"Ann" not in bytes(made.arguments)
    if hidden is dict:
        same = ToolCall("send", msgspec.Raw(b'{"n":1,"to":"Ann"}'))
        assert answer(HASHED, None, tool_calls=(same,)).tool_calls == (made,)


def test_redaction_leaves_arguments_that_hold_nothing_as_they_are() -> None:
    plain, mail = (ToolCall("t", msgspec.Raw(b'{"a":"%s"}' % a)) for a in (b"x", b"a@b.org"))
    kept, hidden = answer(REDACTED, None, tool_calls=(plain, mail)).tool_calls or ()
    assert kept == plain
    assert list(msgspec.json.decode(hidden.arguments)) == ["hashed"]


def test_schemas_of_arguments_go_with_the_arguments() -> None:
    tools = (Tool("t", msgspec.Raw(b'{"required": ["to"]}')), "u")
    made = HASHED.protect(event(Request(tools=tools)))
    assert made.request is not None
    assert made.request.tools == ("t", "u")


# From events to the verdict


POLICY = (
    f"rollout_id: {ROLLOUT_ID}\nmodels: {{stable: heron-4, candidate: heron-5}}\n"
    "min_requests: 500\nmin_duration: 10s\nindependent_requests: true\n"
)
OF_TEXTS = {"garbled_rate", "json_valid_rate", "language_match_rate", "repetition_rate"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("privacy", "not_measured"),
    [
        (HASHED, OF_TEXTS),
        (Privacy(prompt="omit", output="truncate", max_characters=20), set()),
        (
            Privacy(prompt="redact", output="redact", redact=lambda text: text.replace('"', "")),
            set(),
        ),
    ],
    ids=["hash", "truncate", "redact"],
)
def test_healthy_candidate_whose_texts_are_hidden_is_not_rolled_back(
    tmp_path: Path, privacy: Privacy, not_measured: set[str]
) -> None:
    messages = simulate(seed=1, pairs=1_500, healthy=True, start=TIME)
    events = [privacy.protect(m.event) for m in messages if m.event is not None]
    file, policy = tmp_path / "events.ndjson", tmp_path / "policy.yaml"
    file.write_bytes(b"\n".join(map(encode_event, events)))
    policy.write_text(POLICY)
    assert decode_event(encode_event(events[0])) == events[0]
    ran = CliRunner().invoke(main, ["replay", "--json", "--policy", str(policy), str(file)])
    assert ran.exit_code == 0, ran.output
    decision = msgspec.json.decode(ran.stdout)["decision"]
    assert decision["verdict"] != "rollback", decision["reasons"]
    assert not_measured <= set(decision["not_measured"])
