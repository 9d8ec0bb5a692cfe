"""Sums of recorded events in the shape of stored ones."""

from __future__ import annotations

from tests.analyzers.guardrails.world import Harm, World
from understudy.analyzers.windows.rows import total
from understudy.streams.dashboard.recorded_traffic import recorded_languages, recorded_traffic
from understudy.streams.dashboard.traffic_page import traffic_page
from understudy.streams.replay.report import ReportSums

ROWS = [
    row
    for message in World(harm=Harm(bad={"error": 0.1})).messages(5, 20)
    for row in message.rows
    if row.closed
]


def test_sums_and_histograms_are_those_of_the_rows() -> None:
    totals = total(ROWS)
    traffic = recorded_traffic(totals)
    assert traffic.rows
    assert traffic.sums["candidate_errors"] == totals.candidate.errors > 0
    assert traffic.sums["events_paired"] == totals.events.paired
    assert traffic.sums["pair_lost_candidate"] == totals.pair.lost_candidate
    assert traffic.histograms["stable_duration_ms_histogram"] == (
        totals.stable.duration_ms_histogram
    )
    assert traffic_page(traffic).failures[0].title == "gave no answer"


def test_languages_add_up_to_the_whole() -> None:
    sums = ReportSums()
    sums.add(ROWS)
    found = recorded_languages(sums.languages())
    requests = [one.sums["candidate_requests"] for one in found]
    assert requests == sorted(requests, reverse=True)
    assert sum(requests) == total(ROWS).candidate.requests


def test_without_a_request_there_are_no_rows() -> None:
    assert recorded_traffic(total([])).rows == 0
