"""Every query of the documentation runs on the tables of this release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

PAGES = Path(__file__).parents[3] / "docs"
QUERIES = [
    pytest.param(query, id=f"{page.name}-{number}")
    for page in sorted(PAGES.glob("*.md"))
    for number, query in enumerate(
        re.findall(r"```sql\n(SELECT.*?)```", page.read_text("utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_runs(client: Client, query: str) -> None:
    client.query(query.rstrip().rstrip(";"))
