"""Dashboards and alert rules for Grafana: every query runs, and finds what is there.

They are asked over HTTP of a worker's read-only ClickHouse, and, where Go is at hand, through
clickhouse-go, on which Grafana's data source is built. Macros are expanded as the source does.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from tests.streams.clickhouse.known_data import DAYS, ROLLOUT, fill
from understudy.streams.clickhouse.connect import connect
from understudy.streams.clickhouse.migrations import migrate
from understudy.streams.clickhouse.read_only_chdb import ReadOnlyChdb
from understudy.streams.http.app import RUNNER
from understudy.streams.http.clickhouse_interface import make_clickhouse_app
from understudy.streams.http.rollout_series import series_names
from understudy.streams.monitoring.metric_catalogue import METRICS

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "examples" / "grafana"
GO_CLIENT: Final = ROOT / "tests" / "streams" / "http" / "grafana_client"
DATABASE: Final = "test_grafana"
DASHBOARDS: Final = {
    file.stem: json.loads(file.read_text("utf-8"))
    for file in sorted((FOLDER / "dashboards").glob("*.json"))
}
ALERTS: Final = yaml.safe_load(
    (FOLDER / "provisioning" / "alerting" / "understudy.yaml").read_text("utf-8")
)
RULES: Final = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DATA_SOURCES: Final = {
    one["uid"]: one["type"]
    for one in yaml.safe_load(
        (FOLDER / "provisioning" / "datasources" / "understudy.yaml").read_text("utf-8")
    )["datasources"]
}
INTERVAL_S: Final = 86_400
_GO_TIMEOUT_S: Final = 300.0
"""Go compiles its standard library on first use."""


def statements() -> dict[str, str]:
    """Title to SQL, of panels, annotations, variables and rules."""
    found = {
        panel["title"]: target["rawSql"]
        for panel in DASHBOARDS["rollout"]["panels"]
        for target in panel["targets"]
    }
    marks = DASHBOARDS["rollout"]["annotations"]["list"]
    found |= {f"annotation: {one['name']}": one["target"]["rawSql"] for one in marks}
    variables = DASHBOARDS["rollout"]["templating"]["list"]
    found |= {f"variable: {one['name']}": one["query"] for one in variables}
    return found | {f"rule: {one['title']}": one["data"][0]["model"]["rawSql"] for one in RULES}


STATEMENTS: Final = statements()


def expanded(sql: str, since: int, until: int, rollout: str = ROLLOUT) -> str:
    """The statement as the data source sends it. `:sqlstring` doubles quotes."""
    quoted = "'" + rollout.replace("'", "''") + "'"
    sql = sql.replace("${rollout:sqlstring}", quoted).replace("$__interval_s", str(INTERVAL_S))
    between = rf"\1 >= {{0}}({since}) AND \1 <= {{0}}({until})"
    for macro, function in (("timeFilter", "toDateTime"), ("dateFilter", "toDate")):
        sql = re.sub(rf"\$__{macro}\((\w+)\)", between.format(function), sql)
    start = rf"toStartOfInterval(toDateTime(\1), INTERVAL {INTERVAL_S} second)"
    sql = re.sub(r"\$__timeInterval\((\w+)\)", start, sql)
    assert "$" not in sql
    return sql


@dataclass
class Served:
    """A worker's read-only ClickHouse, with data of the last two weeks."""

    runner: asyncio.Runner
    server: TestServer
    since: int
    until: int

    def sql(self, title: str) -> str:
        return expanded(STATEMENTS[title], self.since, self.until)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        async def asked() -> list[dict[str, Any]]:
            url = self.server.make_url("/")
            options = {"database": DATABASE, "default_format": "JSONEachRow"}
            async with (
                ClientSession() as session,
                session.post(url, params=options, data=sql) as answer,
            ):
                text = await answer.text()
                assert answer.status == 200, text
                return [json.loads(line) for line in text.splitlines()]

        return self.runner.run(asked())


@pytest.fixture(scope="module")
def served(clickhouse_url: str) -> Iterator[Served]:
    if not clickhouse_url.startswith("chdb://"):
        pytest.skip("ClickHouse is a server in this run")
    writer = connect(clickhouse_url, database=DATABASE)
    migrate(writer)
    last = int(fill(writer).timestamp())
    chdb = ReadOnlyChdb(Path(clickhouse_url.removeprefix("chdb://")))
    with asyncio.Runner() as runner:

        async def started() -> TestServer:
            server = TestServer(make_clickhouse_app(chdb, DATABASE))
            await server.start_server(**RUNNER)
            return server

        server = runner.run(started())
        yield Served(runner, server, last - DAYS * 86_400, last + 86_400)
        runner.run(server.close())
    chdb.close()
    writer.command(f"DROP DATABASE {DATABASE}")
    writer.close()


@pytest.mark.parametrize("title", STATEMENTS)
def test_a_query_finds_what_is_there(served: Served, title: str) -> None:
    rows = served.rows(served.sql(title))
    assert rows
    if "AS time" in STATEMENTS[title]:
        assert "time" in rows[0]
    if title.startswith("rule: "):
        numbers = [name for name, value in rows[0].items() if not isinstance(value, str)]
        assert numbers == ["value"]


def test_rules_fire_where_they_should(served: Served) -> None:
    fired = {
        title: any(row["value"] for row in served.rows(served.sql(title)))
        for title in STATEMENTS
        if title.startswith("rule: ")
    }
    assert fired["rule: Rollout rolled back"]
    assert fired["rule: Guardrail broken"]
    assert not fired["rule: Sides are missing"]


def test_a_rollout_of_any_name_is_text(served: Served) -> None:
    for title, sql in STATEMENTS.items():
        if "rollout:sqlstring" in sql:
            hostile = expanded(sql, served.since, served.until, "' OR '1' = '1")
            assert served.rows(hostile) == [], title


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))
def test_a_dashboard_is_whole(dashboard: dict[str, Any]) -> None:
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            source = target["datasource"]
            assert DATA_SOURCES[source["uid"]] == source["type"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    for one in panels:
        for other in panels:
            assert one is other or not _overlap(one["gridPos"], other["gridPos"])


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


def test_series_of_the_live_dashboard_are_exposed() -> None:
    labels = {name: set(known) for name, (known, _) in series_names().items()}
    labels |= {spec.name: set(spec.labels) for spec in METRICS}
    for panel in DASHBOARDS["live"]["panels"]:
        for target in panel["targets"]:
            named = re.findall(r"(understudy_\w+)(?:\{([^}]*)\})?", target["expr"])
            assert named
            for name, inside in named:
                assert set(re.findall(r"(\w+)=", inside)) <= labels[name]
                shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert shown <= labels[name] | {"verdict"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_a_rule_has_a_query_and_a_condition(served: Served, rule: dict[str, Any]) -> None:
    query, condition = rule["data"]
    assert DATA_SOURCES[query["datasourceUid"]] == "grafana-clickhouse-datasource"
    assert (condition["refId"], condition["model"]["expression"]) == (rule["condition"], "A")
    (row, *_) = served.rows(served.sql(f"rule: {rule['title']}"))
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= row.keys()


def test_compose_provisions_them() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    for name in ("grafana", "prometheus"):
        assert services[name]["profiles"] == ["grafana"]
        for volume in services[name]["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), volume
    used = set(re.findall(r"\$([A-Z][A-Z_]+)", "".join(
        file.read_text("utf-8") for file in (FOLDER / "provisioning").rglob("*.yaml")
    )))  # fmt: skip
    assert used <= services["grafana"]["environment"].keys()


def test_all_of_them_through_clickhouse_go(served: Served, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    modules = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
    if not (Path(modules.stdout.strip()) / "github.com" / "!click!house").exists():
        pytest.skip("go mod download was not run in tests/streams/http/grafana_client")
    program = tmp_path / "ask"
    subprocess.run(
        [go, "build", "-o", program, "."], cwd=GO_CLIENT, env=environment, check=True,
        timeout=_GO_TIMEOUT_S,
    )  # fmt: skip
    asked = [served.sql(title) for title in STATEMENTS]

    async def answered() -> bytes:
        process = await asyncio.create_subprocess_exec(
            program, f"127.0.0.1:{served.server.port}", DATABASE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate("\0".join(asked).encode())
        assert process.returncode == 0
        return output

    lines = served.runner.run(answered()).decode().splitlines()
    for title, sql, line in zip(STATEMENTS, asked, lines, strict=True):
        answer = json.loads(line)
        assert answer.get("error") is None, (title, answer)
        assert answer["rows"] == len(served.rows(sql)), title
