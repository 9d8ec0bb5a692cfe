"""All that shows evidence shows the same figures: table, documents, API, pages, metrics, SQL.

One decision is asked for everywhere, and each answer is brought into one form.
"""

from __future__ import annotations

import datetime as dt
import html
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.analyzers.guardrails.world import ROLLOUT, Harm, World
from tests.analyzers.windows.test_quality_columns import judged, preferring
from tests.streams.alerting.samples import CREATED_AT
from tests.streams.clickhouse.window_columns import window_columns
from tests.streams.http.server import Api, api
from tests.streams.http.views import decided, policy
from understudy.analyzers.guardrails.evidence_figures import (
    harm_text,
    interval_text,
    promotion_multiple,
    rollback_multiple,
    sides_text,
    times,
)
from understudy.analyzers.guardrails.formatting import format_count, format_percent
from understudy.analyzers.guardrails.guardrail_titles import as_heading, guardrail_title
from understudy.analyzers.guardrails.slices import slice_title
from understudy.schemas.api import AnswerQuality
from understudy.schemas.decisions import Decision, Evidence, encode_decision
from understudy.schemas.evaluations import Evaluation
from understudy.schemas.rollout_records import RolloutRecord
from understudy.streams.alerting.slack import message_of
from understudy.streams.clickhouse.answer_quality import read_answer_quality
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.decision_rows import decision_block
from understudy.streams.clickhouse.evidence_history import DAY, read_evidence
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_connection import ReadConnection
from understudy.streams.clickhouse.rollups import roll_up
from understudy.streams.clickhouse.tables import WINDOWS, block
from understudy.streams.commands.rollout_quality import answers_table
from understudy.streams.dashboard.answers_page import answers_part
from understudy.streams.dashboard.pages import render_report
from understudy.streams.dashboard.rollout_report import RolloutSource, rollout_report
from understudy.streams.pairing.clickhouse_results import evaluations_block
from understudy.streams.pairing.records import JudgedPair
from understudy.streams.terminal.consoles import table_console
from understudy.streams.terminal.evidence_table import evidence_documents, show_decision
from understudy.streams.terminal.rollout_pages import rollout_json

pytestmark = pytest.mark.embedded
POLICY = policy(
    "{metric: error_rate, max_increase: 2pp}, {metric: json_valid_rate, max_drop: 1pp}, "
    "{metric: duration_p95, max_increase: 20%}, {metric: cost_usd, max_increase: 10%}, "
    "{name: tripled, metric: error_rate, max_increase: 3x, floor: 0.1pp, action: alert}"
)
RECORD = RolloutRecord(manifest=POLICY)
WORLD: Final = World(harm=Harm(bad={"error": 0.1}, dearer=1.2, languages=("ja",)))
WINDOWS_MADE: Final = 60
GRAFANA = Path(__file__).parents[2] / "examples/grafana/dashboards/rollout.json"
PAGE = f"/rollouts/{quote(ROLLOUT, safe='')}"
Name = tuple[str, str]
"""A guardrail, and a slice by its title."""


def _judged() -> list[Evaluation]:
    """A judge's preferences in two languages, the noise of it, and what it cannot judge."""
    at: dict[str, Any] = {"rollout_id": ROLLOUT, "request_time": NOW - dt.timedelta(minutes=5)}
    control = [{"preferred": "control", "first": "stable"}]
    return [
        *(preferring("stable" if n % 3 else "candidate", pair_id=f"a{n}", language="ja",
                     usage={"cost_usd": 0.01}, **at) for n in range(90)),
        *(preferring("candidate", "stable", pair_id=f"b{n}", language="en", **at)
          for n in range(40)),
        *(judged(f"c{n}", compared="control", preferences=control, language="en", **at)
          for n in range(8)),
        judged("d", error="timeout", language="ja", usage={"cost_usd": 0.5}, **at),
    ]  # fmt: skip


class Figures(NamedTuple):
    """What is shown of one guardrail in one slice."""

    sides: str
    harm: str
    interval: str
    units: str
    rollback: str
    promotion: str


def _decision() -> Decision:
    found = decided(POLICY, WORLD, windows=WINDOWS_MADE).decision()
    return msgspec.structs.replace(found, rollout_created_at=CREATED_AT, sequence=7)


DECISION: Final = _decision()
NOW: Final = (DECISION.windows_until or DECISION.decided_at) + dt.timedelta(seconds=5)


def figures(one: Evidence, decision: Decision = DECISION) -> Figures:
    return Figures(
        sides_text(one), harm_text(one, one.harm), interval_text(one), format_count(one.units),
        times(rollback_multiple(one, decision)), times(promotion_multiple(one, decision)),
    )  # fmt: skip


def by_name(evidence: list[Evidence], decision: Decision = DECISION) -> dict[Name, Figures]:
    return {(one.guardrail, slice_title(one.slice)): figures(one, decision) for one in evidence}


JUDGED: Final = _judged()
EXPECTED: Final = by_name(DECISION.evidence)


NAMES: Final = {
    as_heading(guardrail_title(one.guardrail, one.metric)): one.guardrail
    for one in DECISION.evidence
}
"""Title of a guardrail, as pages show it, to its name."""


class _Tables(HTMLParser):
    """The cells of all tables of evidence in a page, a list for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_evidence = self._is_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._is_evidence = ("class", "evidence") in attrs
        elif tag == "tr" and self._is_evidence:
            self.rows.append([])
        elif tag in ("td", "th") and self._is_evidence:
            self.rows[-1].append("")
            self._is_cell = True

    def handle_data(self, data: str) -> None:
        if self._is_evidence and self._is_cell:
            self.rows[-1][-1] += f"\t{data}" if data.strip() else ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_cell = False


def shown(page: str) -> list[tuple[Name, Figures]]:
    """What the tables of evidence in a page show."""
    tables = _Tables()
    tables.feed(page)
    found = []
    for row in tables.rows:
        cells = [[part.strip() for part in cell.strip().split("\t")] for cell in row]
        if cells[0][0] == "Guardrail":
            has_slice = cells[1][0] == "Slice"
            continue
        where = cells.pop(1)[0] if has_slice else "all"
        _, _, _, sides, harm, interval, units, rollback, promotion = (one[-1] for one in cells)
        name = (NAMES[cells[0][0]], where)
        found.append((name, Figures(sides, harm, interval, units, rollback, promotion)))
    return found


@pytest.fixture(scope="module")
def connection(clickhouse_url: str) -> Iterator[ReadConnection]:
    """A ClickHouse that has stored the decision and the windows that led to it."""
    client = connect(clickhouse_url, database="test_same_figures")
    migrate(client)
    made = [row for message in WORLD.messages(5, WINDOWS_MADE) for row in message.rows]
    rows = block(WINDOWS, window_columns(made))
    client.raw_insert(rows.table, rows.columns, rows.payload, fmt="Native")
    roll_up(client)
    judged = [JudgedPair(offset, one) for offset, one in enumerate(JUDGED)]
    stored = evaluations_block({0: judged})
    client.raw_insert(stored.table, stored.columns, stored.payload, fmt="Native")
    decisions = decision_block([(DECISION, encode_decision(DECISION))])
    client.raw_insert(decisions.table, decisions.columns, decisions.payload, fmt="Native")
    reading = ReadConnection(f"{clickhouse_url}?database=test_same_figures")
    yield reading
    reading.close()
    client.command("DROP DATABASE test_same_figures")
    client.close()


@pytest.fixture(scope="module")
def server(connection: ReadConnection, clickhouse_url: str) -> Iterator[Api]:
    with api(clickhouse=f"{clickhouse_url}?database=test_same_figures") as made:
        made.show(RECORD, DECISION)
        yield made


def _get(server: Api, path: str) -> str:
    """A page, which no document describes."""

    async def got() -> str:
        host, port = server.address
        async with ClientSession() as client, client.get(f"http://{host}:{port}{path}") as found:
            return await found.text()

    return server.run(got())


def test_the_decision_has_something_to_disagree_about() -> None:
    assert len(EXPECTED) >= 10
    assert DECISION.verdict == "rollback"
    assert len({one.interval for one in EXPECTED.values()}) > 5


def test_the_table_on_a_terminal() -> None:
    screen = io.StringIO()
    table_console(screen).print(show_decision(DECISION, all_slices=True))
    rows = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    for (guardrail, where), one in EXPECTED.items():
        (row,) = [row for row in rows if row.startswith(f"{guardrail} {where} ")]
        for text in one:
            assert f" {text} " in row, (guardrail, where)


def test_documents_and_the_api(server: Api) -> None:
    document: dict[str, Any] = rollout_json(RECORD, DECISION)["decision"]
    assert by_name(msgspec.convert(document["evidence"], list[Evidence])) == EXPECTED
    answer = server.get(f"/api/v1{PAGE}/evidence").json
    assert by_name(msgspec.convert(answer["evidence"], list[Evidence])) == EXPECTED
    for one, row in zip(DECISION.evidence, evidence_documents(DECISION), strict=True):
        expected = figures(one)
        multiples = times(row["rollback_multiple"]), times(row["promotion_multiple"])
        assert multiples == (expected.rollback, expected.promotion)


def test_the_dashboard(server: Api) -> None:
    found = shown(_get(server, PAGE))
    for guardrail in {one.guardrail for one in DECISION.evidence}:
        page = _get(server, f"{PAGE}/evidence/{guardrail}?slice=all&whole=1")
        found += shown(page)
        together = EXPECTED[guardrail, "all"]
        assert together.sides in page
        assert f"harm {together.harm}" in page
        assert together.interval in page
    assert {name for name, _ in found} == EXPECTED.keys(), "each has its place"
    for name, one in found:
        assert one == EXPECTED[name], name


def test_the_report(connection: ReadConnection) -> None:
    source = RolloutSource(RECORD, DECISION, NOW - DAY, NOW)
    found = shown(render_report(rollout_report(source, connection), NOW, "0.1"))
    assert {("error_rate", "all"), ("error_rate", "ja"), ("cost_usd", "ja")} <= dict(found).keys()
    for name, one in found:
        assert one == EXPECTED[name], name


def test_a_message_in_slack() -> None:
    from understudy.streams.alerting.links import Links, worst_evidence

    worst = worst_evidence(DECISION)
    assert worst is not None
    text = str(message_of(DECISION, Links()))
    assert f"harm {figures(worst).harm}, 95 % {figures(worst).interval}" in text


def test_metrics(server: Api) -> None:
    found: dict[tuple[str, str, str], float] = {}
    for family in text_string_to_metric_families(_get(server, "/metrics")):
        for sample in family.samples:
            if "guardrail" in sample.labels:
                kind = sample.name.removeprefix("understudy_guardrail_")
                key = sample.labels["guardrail"], sample.labels["slice"], kind
                found[key] = sample.value
    for one in DECISION.evidence:
        for kind, value in (
            ("harm", one.harm), ("harm_lower", one.interval[0]), ("harm_upper", one.interval[1]),
            ("units", one.units), ("log_promotion", one.log_promotion),
        ):  # fmt: skip
            if value is None:
                continue
            (written,) = [
                of for (guardrail, where, name), of in found.items()
                if (guardrail, where) == (one.guardrail, one.slice)
                and name.removesuffix("_ratio").removesuffix("_seconds").removesuffix("_usd")
                == kind
            ]  # fmt: skip
            assert written == pytest.approx(value), (one.guardrail, one.slice, kind)


def test_what_clickhouse_stored(connection: ReadConnection) -> None:
    for one in DECISION.evidence:
        (point,) = read_evidence(
            connection, ROLLOUT, one.guardrail, one.slice, created_at=CREATED_AT,
            since=DECISION.decided_at - DAY,
        )  # fmt: skip
        assert (point.evidence.harm, point.evidence.interval) == (one.harm, one.interval)


def _intervals(rows: list[Any]) -> dict[tuple[str, str], tuple[float | None, ...]]:
    return {(guardrail, where): tuple(values) for guardrail, where, *values in rows}


OF_DECISION: Final = {
    (one.guardrail, one.slice): (one.harm, *one.interval, one.harm_margin)
    for one in DECISION.evidence
}


def test_the_view_for_analysts(connection: ReadConnection) -> None:
    sql = (
        "SELECT guardrail, slice, harm, low, high, harm_margin FROM evidence "
        "WHERE rollout_id = {rollout_id:String}"
    )
    assert _intervals(connection.rows(sql, {"rollout_id": ROLLOUT})) == OF_DECISION


def test_the_panel_in_grafana(connection: ReadConnection) -> None:
    dashboard = json.loads(GRAFANA.read_text("utf-8"))
    queries = [target["rawSql"] for panel in dashboard["panels"] for target in
               panel.get("targets", ()) if "FROM evidence" in target.get("rawSql", "")]  # fmt: skip
    (sql,) = [sql for sql in queries if sql.startswith("SELECT guardrail, slice, status, units")]
    found = connection.rows(sql.replace("${rollout:sqlstring}", f"'{ROLLOUT}'"), {})
    shown_there = [(row[0], row[1], *row[6:10]) for row in found]
    assert _intervals(shown_there) == OF_DECISION


def test_deltas_of_languages_have_the_decisions_interval_and_the_reports_levels(
    connection: ReadConnection,
) -> None:
    sql = (
        "SELECT language, decision_guardrail, decision_harm, decision_low, decision_high, stable, "
        "candidate FROM language_deltas WHERE rollout_id = {rollout_id:String} "
        "AND metric = 'error_rate' AND decision_guardrail != ''"
    )
    source = RolloutSource(RECORD, DECISION, NOW - DAY, NOW + DAY)
    traffic = rollout_report(source, connection).traffic
    assert traffic is not None
    assert traffic.languages is not None
    place = traffic.languages.columns.index("Without an answer")
    levels = {language: cells[place] for language, _, cells in traffic.languages.rows}
    found = connection.rows(sql, {"rollout_id": ROLLOUT})
    assert {row[0] for row in found} == levels.keys() == {"en", "ja"}
    for language, guardrail, harm, low, high, stable, candidate in found:
        assert (harm, low, high) == OF_DECISION[guardrail, f"language:{language}"][:3]
        assert levels[language] == f"{format_percent(stable)} → {format_percent(candidate)}"


# What evaluators say


def answers_in(page: str) -> list[list[str]]:
    """The rows of the tables of answers in a page, but for links to guardrails."""
    tables = re.findall(r'<table class="answers">(.*?)</table>', page, re.DOTALL)
    rows = [row for table in tables for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)[:6] for row in rows]
    return [[html.unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in row] for row in cells]


def test_what_evaluators_say(server: Api, connection: ReadConnection) -> None:
    """Page, report, table and API have one reading of it, whose sums are those of the view."""
    quality = read_answer_quality(connection, ROLLOUT, NOW - DAY, NOW)
    (part,) = answers_part(quality.evaluators, DECISION)
    expected = [
        [row.language, f"{row.sign} {row.words}", row.sides, row.interval, row.pairs, row.cost]
        for row in part.rows
    ]
    assert [row[:1] + row[2:3] for row in expected] == [
        ["all", "61.5 % → 38.5 %"], ["ja", "66.7 % → 33.3 %"], ["en", "50 % → 50 %"],
    ]  # fmt: skip
    page = _get(server, f"{PAGE}/answers?whole=1")
    assert answers_in(page) == expected
    source = RolloutSource(RECORD, DECISION, NOW - DAY, NOW)
    report = render_report(rollout_report(source, connection), NOW, "0.1")
    assert answers_in(report) == expected
    for sentence in part.summary:
        assert sentence in html.unescape(page)
        assert sentence in html.unescape(report)
    screen = io.StringIO()
    table_console(screen).print(answers_table(part))
    lines = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert all(any(line.startswith(" ".join(row)) for line in lines) for row in expected)
    answer = server.get(f"/api/v1{PAGE}/answer-quality").json
    assert msgspec.convert(answer["evaluators"], list[AnswerQuality]) == quality.evaluators


def test_the_view_of_answers_for_analysts(connection: ReadConnection) -> None:
    columns = (
        "language, pairs, candidate_preferred, approx_preferred_low, approx_preferred_high, "
        "control_pairs, both_orders_alike, cost_usd"
    )
    found = connection.rows(
        f"SELECT {columns} FROM answer_quality WHERE rollout_id = {{id:String}}", {"id": ROLLOUT}
    )
    languages = read_answer_quality(connection, ROLLOUT, NOW - DAY, NOW).evaluators[1:]
    assert {tuple(row) for row in found} == {
        (one.language, one.pairs, one.preferred, *one.preferred_interval, one.control_pairs,
         one.both_orders_alike, one.cost_usd)
        for one in languages
    }  # fmt: skip
