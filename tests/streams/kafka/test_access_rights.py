"""The least rights follow the settings, and the documentation lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.streams.kafka.access_rights import LEAST_RIGHTS, Right
from understudy.streams.kafka.client_config import changelog, topics
from understudy.streams.settings import DecidingSettings, KafkaSettings, Settings

ACME = Settings(
    kafka=KafkaSettings(topic_prefix="acme.", group_id="acme-pairing"),
    deciding=DecidingSettings(group_id="acme-deciding"),
)


def test_names_are_those_of_the_settings() -> None:
    ours = {spec.name for spec in (*topics(ACME.kafka), changelog(ACME))}
    groups = {
        "acme-pairing", "acme-pairing-feedback", "acme-pairing-evaluations", "acme-deciding",
        "understudy-alerting", "understudy-evaluating",
    }  # fmt: skip
    for rights in LEAST_RIGHTS.values():
        for right in rights(ACME):
            assert right.name in (ours if right.resource == "topic" else groups)


def test_no_right_is_listed_twice() -> None:
    for rights in LEAST_RIGHTS.values():
        assert len(set(rights(ACME))) == len(rights(ACME))


def test_a_right_as_the_arguments_that_grant_it() -> None:
    right = Right("group", "understudy-pairing", "Read")
    assert str(right) == "Read on group understudy-pairing"
    assert right.option == "--operation Read --group understudy-pairing"


@pytest.mark.parametrize("user", LEAST_RIGHTS)
def test_the_documentation_lists_them(user: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{user}` |")]
    documented = {
        Right("topic" if kind == "topics" else "group", name, operation)  # type: ignore[arg-type]
        for kind, cell in zip(("topics", "groups"), row.split("|")[2:4], strict=True)
        for part in filter(None, cell.strip().split("; "))
        for operation, names in [part.split(": ")]
        for name in names.replace("`", "").split(", ")
    }
    assert documented == set(LEAST_RIGHTS[user](Settings()))
