"""Every relation is made by one file, after what it reads."""

from __future__ import annotations

import re

from understudy.schemas.clickhouse.ddl import files
from understudy.schemas.clickhouse.relations import FILES, RELATIONS, TABLES, VIEWS


def test_every_relation_has_a_file_that_can_be_run_again() -> None:
    made = [
        name
        for text in files().values()
        for name in re.findall(r"^CREATE (?:TABLE|VIEW) IF NOT EXISTS (\w+)", text, re.MULTILINE)
    ]
    assert made == list(RELATIONS)
    assert len(made) == sum(map(len, FILES.values())) == len(TABLES) + len(VIEWS)


def test_a_view_reads_what_an_earlier_file_or_statement_made() -> None:
    order = list(RELATIONS)
    for view in VIEWS:
        read = set(re.findall(r"\b(?:FROM|JOIN) (\w+)", view.source)) | {view.source.split()[0]}
        for name in read & RELATIONS.keys():
            assert order.index(name) < order.index(view.name), (view.name, name)
