"""Fixtures, markers and the summary that all tests share.

A test without one of the markers in `_NETWORK_MARKERS` cannot open a network socket from Python;
AF_UNIX stays open for event loops and the Docker engine. librdkafka opens its sockets in C, which
nothing here can stop.
"""

from __future__ import annotations

import gc
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import hypothesis
import pytest
import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from understudy.schemas.topics import Topics, understudy_topics
from understudy.streams.kafka.embedded_broker import EmbeddedBroker
from understudy.streams.kafka.topic_admin import ensure_topics
from understudy.streams.logs import LogLimit

ROOT: Final = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # pytest does not, in importlib mode; `tests.…` needs it

from tests.brokers.choose import is_broker_required, start_own_broker  # noqa: E402
from tests.brokers.contract import Broker, NoBroker  # noqa: E402
from tests.brokers.shared import broker_of_run  # noqa: E402
from tests.two_queues import TwoQueues  # noqa: E402

CLICKHOUSE_VARIABLE: Final = "UNDERSTUDY_TEST_CLICKHOUSE_URL"
MODEL_OUTPUTS_VARIABLE: Final = "UNDERSTUDY_TEST_MODEL_OUTPUTS"
_MODEL_OUTPUTS_BESIDE_REPOSITORY: Final = Path("..", "shared", "data")
_NETWORK_MARKERS: Final = ("integration", "faults", "embedded")
_LONGEST_FIRST: Final = ("faults", "slow", "integration", "embedded")
_OURS: Final = "understudy."
_NO_BROKER: Final = "no Kafka broker: "
_TOPIC_PARTITIONS: Final = 3
_DELETE_TIMEOUT_S: Final = 5.0
_BROKER: Final = "kafka_broker"
"""Under this name a worker process of pytest-xdist says which broker it had."""
_brokers: Final = pytest.StashKey[dict[str, None]]()

_QUICK_EXAMPLES: Final = 20
"""Per property in `make quick`: a fifth of what `make test` tries, since it answers in a minute."""

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=_QUICK_EXAMPLES)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_brokers] = {}
    config.option.disable_socket = True
    config.option.allow_unix_socket = True
    profile = "ci" if os.environ.get("CI") == "true" else "dev"
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", profile))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TwoQueues | None:
    """Of `make test`; what else is asked for with `--dist` stays as pytest-xdist has it."""
    return TwoQueues(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker process of pytest-xdist used, for the summary."""
    described = getattr(node, "workeroutput", {}).get(_BROKER, [])
    node.config.stash[_brokers].update(dict.fromkeys(described))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_BROKER] = list(session.config.stash[_brokers])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _needs_network(item):
            item.add_marker(pytest.mark.enable_socket)
    if hasattr(config, "workerinput"):
        _longest_files_first(items)


def pytest_collection_finish() -> None:
    """Ten thousand tests are no garbage; collecting it would visit them again and again."""
    gc.collect()
    gc.freeze()


def _longest_files_first(items: list[pytest.Item]) -> None:
    """Processes that take a file at a time should not wait for one long file in the end."""
    ranks: dict[Path, int] = {}
    for item in items:
        marked = (n for n, name in enumerate(_LONGEST_FIRST) if item.get_closest_marker(name))
        ranks[item.path] = min([ranks.get(item.path, len(_LONGEST_FIRST)), *marked])
    items.sort(key=lambda item: ranks[item.path])


def _needs_network(item: pytest.Item) -> bool:
    if any(item.get_closest_marker(name) for name in _NETWORK_MARKERS):
        return True
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return "clickhouse_url" in fixtures and CLICKHOUSE_VARIABLE in os.environ


@pytest.fixture(autouse=True)
def logs_as_by_default() -> Iterator[None]:
    """What a command set for its process, such as errors alone, does not outlive its test.

    Nor does what was logged so often in a minute that no more of it would be.
    """
    structlog.reset_defaults()
    for module in [module for name, module in sys.modules.items() if name.startswith(_OURS)]:
        if isinstance(limit := vars(module).get("_limited_log"), LogLimit):
            limit._intervals.clear()
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def kafka_broker(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The real broker that integration tests share; not to be stopped. Use `own_broker` for that.

    Without one the test skips, or fails where a broker is required.
    """
    folder = tmp_path_factory.getbasetemp()
    is_one_of_many = hasattr(pytestconfig, "workerinput")
    with ExitStack() as stack:
        broker = _broker_or_skip(
            lambda: stack.enter_context(broker_of_run(folder.parent if is_one_of_many else folder))
        )
        pytestconfig.stash[_brokers][broker.describe()] = None
        yield broker


@pytest.fixture
def own_broker(pytestconfig: pytest.Config) -> Iterator[Broker]:
    """A real broker of this test's own, to stop, kill and restart; takes about 3 s."""
    broker = _broker_or_skip(start_own_broker)
    pytestconfig.stash[_brokers][broker.describe()] = None
    yield broker
    broker.close()


def _broker_or_skip(start: Callable[[], Broker]) -> Broker:
    try:
        return start()
    except NoBroker as error:
        if is_broker_required():
            pytest.fail(f"{_NO_BROKER}{error}", pytrace=False)
        pytest.skip(f"{_NO_BROKER}{error}")


@pytest.fixture
def topics(kafka_broker: Broker) -> Iterator[Callable[..., Topics]]:
    """Makes topics on `kafka_broker` under a prefix that no other test has.

    `topics()` or `topics(event_partitions=1)`; returns their specs (`.events.name`, …). They are
    deleted after the test.
    """
    config = {"bootstrap.servers": kafka_broker.bootstrap_servers}
    made: list[Topics] = []

    def make(
        *, event_partitions: int = _TOPIC_PARTITIONS, rollout_partitions: int = _TOPIC_PARTITIONS
    ) -> Topics:
        specs = understudy_topics(
            f"test-{uuid.uuid4().hex[:12]}.",
            event_partitions=event_partitions,
            rollout_partitions=rollout_partitions,
        )
        ensure_topics(config, specs)
        made.append(specs)
        return specs

    yield make
    _delete(AdminClient(dict(config)), [spec.name for specs in made for spec in specs])


def _delete(admin: AdminClient, names: list[str]) -> None:
    """Remove topics where possible; a test may have removed some itself."""
    if not names:
        return
    for future in admin.delete_topics(names, request_timeout=_DELETE_TIMEOUT_S).values():
        try:
            future.result()
        except KafkaException as error:
            print(f"topic left behind: {error}")


@pytest.fixture
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """A mock cluster in this process, empty. Mark the test `embedded`."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ClickHouse for all tests: the server that the environment names, else chDB.

    chDB opens one folder per process, so everything in this process shares this URL and takes a
    `clickhouse_database` of its own.
    """
    given = os.environ.get(CLICKHOUSE_VARIABLE)
    return given or f"chdb://{tmp_path_factory.mktemp('clickhouse')}"


@pytest.fixture
def clickhouse_database(clickhouse_url: str) -> Iterator[str]:
    """Name of an empty database on `clickhouse_url`, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    _command(clickhouse_url, f"CREATE DATABASE {name}")
    yield name
    _command(clickhouse_url, f"DROP DATABASE IF EXISTS {name}")


def _command(url: str, sql: str) -> None:
    """Run one statement through a client of its own."""
    if url.startswith("chdb://"):
        client = clickhouse_connect.get_client(interface="chdb", path=url.removeprefix("chdb://"))
    else:
        client = clickhouse_connect.get_client(dsn=url)
    try:
        client.command(sql)
    finally:
        client.close()


@pytest.fixture(scope="session")
def model_outputs_dir() -> Path:
    """Folder of real model outputs; the test skips where there is none. Mark it `data`."""
    given = os.environ.get(MODEL_OUTPUTS_VARIABLE)
    folder = Path(given) if given else ROOT / _MODEL_OUTPUTS_BESIDE_REPOSITORY
    if not folder.is_dir():
        pytest.skip(f"no real model outputs (set {MODEL_OUTPUTS_VARIABLE} to their folder)")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("services")
    terminalreporter.line(f"Kafka broker: {_broker_line(terminalreporter)}")
    terminalreporter.line(f"ClickHouse: {_clickhouse_line()}")


def _broker_line(reporter: pytest.TerminalReporter) -> str:
    described = reporter.config.stash[_brokers]
    if described:
        return ", ".join(described)
    skipped = [report for report in reporter.stats.get("skipped", []) if _NO_BROKER in _why(report)]
    if skipped:
        return f"none ({len(skipped)} integration tests skipped)"
    failed = [report for report in reporter.stats.get("error", []) if _NO_BROKER in _why(report)]
    return f"none ({len(failed)} tests failed for it)" if failed else "not asked for"


def _why(report: pytest.TestReport) -> str:
    return str(report.longrepr)


def _clickhouse_line() -> str:
    if CLICKHOUSE_VARIABLE in os.environ:
        return f"server named by {CLICKHOUSE_VARIABLE}"
    release = ".".join(version("chdb-core").split(".")[:2])
    return f"chDB {release} in process"
