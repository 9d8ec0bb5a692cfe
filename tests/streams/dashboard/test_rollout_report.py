"""A report on a rollout: from the stored past to one file that needs nothing."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tests.analyzers.guardrails.world import ROLLOUT
from tests.analyzers.windows.test_quality_columns import preferring
from tests.streams.alerting.samples import CREATED_AT
from tests.streams.clickhouse.round_trip import insert
from tests.streams.clickhouse.test_captured_pairs import pair as captured
from tests.streams.clickhouse.test_captured_pairs import side
from tests.streams.clickhouse.window_columns import window_columns
from tests.streams.demo.decisions import evidence
from tests.streams.http.views import BROKEN, NOW, policy
from understudy.analyzers.guardrails.evaluator import RolloutEvaluator
from understudy.schemas.decisions import Decision, encode_decision
from understudy.schemas.event_time import to_epoch_ms
from understudy.schemas.redaction.redact import Redacted
from understudy.schemas.rollout_records import RolloutRecord
from understudy.schemas.rollouts import compile_manifest
from understudy.streams.clickhouse.captured_pairs import captured_block
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.sink_errors import SinkBusy
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.dashboard.pages import render_report
from understudy.streams.dashboard.report_page import ReportPage
from understudy.streams.dashboard.rollout_report import RolloutSource, rollout_report
from understudy.streams.pairing.clickhouse_results import evaluations_block, explanations_blocks
from understudy.streams.pairing.records import JudgedPair

pytestmark = pytest.mark.embedded
HOSTILE = "<script>alert(1)</script>\u202e"
MESSAGES = list(BROKEN.messages(5, 45))


def _decisions() -> list[Decision]:
    evaluator = RolloutEvaluator(compile_manifest(policy()))
    found = [one for message in MESSAGES if (one := evaluator.take(message)) is not None]
    return [
        msgspec.structs.replace(one, rollout_created_at=CREATED_AT, sequence=number)
        for number, one in enumerate(found, start=1)
    ]


DECISIONS = _decisions()
NEWEST = DECISIONS[-1]
SOURCE = RolloutSource(RolloutRecord(manifest=policy()), NEWEST, NOW - dt.timedelta(days=1), NOW)
CAPTURING = replace(
    SOURCE, record=RolloutRecord(manifest=msgspec.structs.replace(policy(), capture="worst"))
)
WITHOUT_PAIRS = replace(SOURCE, most_pairs=0)
WINDOW_MS = to_epoch_ms(NOW) - 600_000
BROKEN_PAIR = captured(
    "broken", rollout_id=ROLLOUT, kind="error", kinds=["error"], window_start_ms=WINDOW_MS,
    stable=side("the cat sat on the mat"), candidate=side("the cat <img src=x> \u202e sat"),
)  # fmt: skip
OTHER_PAIR = captured(
    "other", 2, rollout_id=ROLLOUT, kind="text", kinds=["text"], window_start_ms=WINDOW_MS,
    language="en", severity=0.2,
)  # fmt: skip

JUDGED = preferring(
    "stable",
    pair_id="broken",
    rollout_id=ROLLOUT,
    request_time=BROKEN_PAIR.request_time.isoformat(),
)


@pytest.fixture(scope="module")
def connection(clickhouse_url: str) -> Iterator[ReadConnection]:
    client = connect(clickhouse_url, database="test_report")
    migrate(client)
    rows = [row for message in MESSAGES for row in message.rows]
    insert(client, block(WINDOWS, window_columns(rows)))
    roll_up(client)
    insert(client, decision_block([(one, encode_decision(one)) for one in DECISIONS]))
    insert(client, captured_block([BROKEN_PAIR, OTHER_PAIR]))
    said = JudgedPair(1, JUDGED, Redacted("It invents a cat. <b>", (), is_cut=False))
    insert(client, evaluations_block({0: [said]}))
    insert(client, *explanations_blocks({0: [said]}))
    reading = ReadConnection(f"{clickhouse_url}?database=test_report")
    yield reading
    reading.close()
    client.command("DROP DATABASE test_report")
    client.close()


class Away(ReadConnection):
    """A ClickHouse that does not answer, and is asked once."""

    def __init__(self) -> None:
        super().__init__("clickhouse://nowhere")
        self.asked = 0

    def rows(self, *_: Any) -> list[Any]:
        self.asked += 1
        raise SinkBusy("no answer from nowhere")


def written(page: ReportPage) -> str:
    return render_report(page, NOW, "0.1")


def test_a_report_holds_verdict_evidence_courses_both_sides_and_policy(
    connection: ReadConnection,
) -> None:
    page = rollout_report(WITHOUT_PAIRS, connection)
    assert page.verdict == "rollback"
    assert page.evidence is not None
    assert page.evidence.courses
    assert page.traffic is not None
    assert page.decisions[0].verdict == "rollback"
    text = written(page)
    for words in (*NEWEST.reasons, "harm beyond the limit is shown", "Evidence, as a multiple",
                  "gave no answer", "Where every event went", "min_requests: 1500",
                  "What this report does not tell", "the policy captures no pairs"):  # fmt: skip
        assert words in text, words


def test_languages_have_a_row_each(connection: ReadConnection) -> None:
    page = rollout_report(SOURCE, connection)
    languages = {row.language for message in MESSAGES for row in message.rows}
    assert page.traffic is not None
    shown = page.traffic.languages
    assert (set() if shown is None else {row[0] for row in shown.rows}) == (
        languages if len(languages) > 1 else set()
    )


def test_the_file_asks_for_nothing_and_permits_one_style_sheet(
    connection: ReadConnection,
) -> None:
    text = written(rollout_report(WITHOUT_PAIRS, connection))
    assert not re.findall(r"<(?:script|link|img|iframe|object|form|base)\b", text)
    assert not re.findall(r"\s(?:src|href|style|on\w+)=", text), "without an address no links"
    assert "url(" not in text
    assert "@import" not in text
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'" in text


def test_links_lead_to_the_dashboard_where_there_is_one(connection: ReadConnection) -> None:
    text = written(rollout_report(SOURCE, connection, "https://understudy.example/rollouts/a"))
    assert 'href="https://understudy.example/rollouts/a/evidence/error_rate?slice=all"' in text


def test_pairs_that_show_what_was_found_are_in_it_redacted_and_harmless(
    connection: ReadConnection,
) -> None:
    page = rollout_report(CAPTURING, connection)
    assert [view.pair.pair_id for view in page.pairs] == ["broken"], "worst: errors"
    text = written(page)
    assert "<img" not in text
    assert "\u202e" not in text
    assert "&lt;img src=x&gt;" in text.replace("<ins>", "").replace("</ins>", "")
    assert any("redacted and cut" in gap for gap in page.gaps)


def test_what_evaluators_said_of_a_pair_stands_below_it(connection: ReadConnection) -> None:
    text = written(rollout_report(CAPTURING, connection))
    assert "<bdi>helpfulness@1</bdi>: prefers stable" in text
    assert "It invents a cat. &lt;b&gt;" in text


def test_where_no_pair_shows_it_the_worst_of_all_are_shown(connection: ReadConnection) -> None:
    alone = msgspec.structs.replace(
        NEWEST, evidence=[evidence("language:xx", metric="cost_usd")]
    )  # no pair of this language
    page = rollout_report(replace(CAPTURING, decision=alone), connection)
    assert [view.pair.pair_id for view in page.pairs] == ["broken", "other"]


def test_pairs_can_be_left_out_and_their_lack_is_told(connection: ReadConnection) -> None:
    none = rollout_report(replace(CAPTURING, most_pairs=0), connection)
    assert (none.pairs, "Captured pairs were left out of this report." in none.gaps) == ([], True)
    earlier = replace(CAPTURING, until=SOURCE.since + dt.timedelta(hours=1))
    assert any("No pair was captured" in gap for gap in rollout_report(earlier, connection).gaps)


def test_without_clickhouse_the_rest_is_there_and_the_lack_is_told() -> None:
    away = Away()
    page = rollout_report(SOURCE, away)
    assert away.asked == 1
    assert page.traffic is None
    assert any("no answer from nowhere" in gap for gap in page.gaps)
    assert NEWEST.reasons[0] in written(page)


def test_before_any_decision_a_report_says_so() -> None:
    page = rollout_report(RolloutSource(SOURCE.record, None, SOURCE.since, NOW), Away())
    assert (page.verdict, page.headline) == ("waiting", "No decision yet.")
    assert "No decision has been made yet" in written(page)


def test_what_others_wrote_cannot_act() -> None:
    hostile = msgspec.structs.replace(NEWEST, reasons=[HOSTILE], missing=[HOSTILE])
    source = RolloutSource(SOURCE.record, hostile, SOURCE.since, NOW)
    text = written(rollout_report(source, Away()))
    assert "<script" not in text
    assert "\u202e" not in text


def test_of_another_rollout_nothing_was_counted(connection: ReadConnection) -> None:
    record = RolloutRecord(manifest=policy(rollout_id="another"))
    page = rollout_report(RolloutSource(record, None, SOURCE.since, NOW), connection)
    assert page.title != ROLLOUT
    assert any("nothing was counted" in gap for gap in page.gaps)
