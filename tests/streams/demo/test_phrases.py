"""Prompts and answers: complete in every language, and orders that satisfy their schema."""

from __future__ import annotations

import json
from random import Random

import jsonschema_rs
import pytest

from understudy.streams.demo.phrases import JSON_SCHEMAS, make_task, phrasebooks
from understudy.streams.demo.simulator import (
    LANGUAGE_SHARES,
    WORKFLOW_SHARES,
)


@pytest.mark.parametrize("language", LANGUAGE_SHARES)
def test_orders_satisfy_the_schema_that_the_request_names(language: str) -> None:
    rng = Random(3)
    for _ in range(40):
        task = make_task(rng, language, "extract")
        schema = JSON_SCHEMAS[task.request.schema_id or ""]
        jsonschema_rs.validate(schema, json.loads(task.answer(rng).output or ""))


def test_phrasebooks_are_complete() -> None:
    assert set(phrasebooks()) == set(LANGUAGE_SHARES)
    assert sum(LANGUAGE_SHARES.values()) == pytest.approx(1.0)
    assert sum(WORKFLOW_SHARES.values()) == pytest.approx(1.0)
    for book in phrasebooks().values():
        assert all(len(point) >= 2 for topic in book.topics for point in topic.points)
