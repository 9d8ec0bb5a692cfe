"""Settings: `understudy.toml`, then `UNDERSTUDY_…` environment variables, which win.

A variable is named after its place: `[pairing] window_s` is `UNDERSTUDY_PAIRING_WINDOW_S`.
`[kafka.client]` goes to librdkafka as it is; there `UNDERSTUDY_KAFKA_CLIENT_SASL_USERNAME` sets
`sasl.username`. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import importlib
import tomllib
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from understudy.analyzers.compare.json_output import JsonSchemaValidator, compile_json_schema
from understudy.analyzers.compare.json_paths import Pattern, parse_patterns
from understudy.analyzers.compare.options import CompareOptions
from understudy.schemas.events import MAX_EVENT_BYTES

if TYPE_CHECKING:  # the rules of redaction take long to import
    from understudy.schemas.redaction.recognizer import Recognizer

DEFAULT_FILE: Final = Path("understudy.toml")
ENVIRONMENT_PREFIX: Final = "UNDERSTUDY_"
TEST_PREFIX: Final = "UNDERSTUDY_TEST_"
_CLIENT_PREFIX: Final = "KAFKA_CLIENT_"
_TRIAL: Final = "Ada Lovelace lived in London."
"""What a recognizer is tried with; it need not find anything in it."""

YEAR_S: Final = 31_536_000
Seconds = Annotated[float, Meta(gt=0, le=YEAR_S)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=YEAR_S)]
Count = Annotated[int, Meta(ge=1)]


class SettingsError(Exception):
    """A setting that is unknown or out of range; the message says where and what to do."""


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the broker is and how to talk to it."""

    bootstrap_servers: Annotated[
        str, Meta(min_length=1, description="host:port; separate several with commas")
    ] = "localhost:9092"
    topic_prefix: Annotated[str, Meta(description="Put before every topic's name")] = "understudy."
    group_id: Annotated[
        str,
        Meta(
            description="Consumer group of the pairing workers; those of feedback and evaluations "
            "add `-feedback` and `-evaluations`"
        ),
    ] = "understudy-pairing"
    replication_factor: Annotated[
        int, Meta(description="Of topics created here; -1 leaves it to the broker")
    ] = -1
    client: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Any librdkafka setting: SASL, TLS, group.instance.id, …"),
    ] = {}


class ClickHouseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where results go and how they are batched."""

    url: Annotated[
        str, Meta(description="clickhouse://user:password@host:8123/database or chdb://PATH")
    ] = "clickhouse://default@localhost:8123/understudy"
    embedded_port: Annotated[
        int,
        Meta(ge=0, le=65_535, description="Where a worker with chdb:// answers questions about its "
             "folder, at 127.0.0.1, read-only; a free port where this one is taken"),
    ] = 8123  # fmt: skip
    batch_rows: Annotated[Count, Meta(description="Rows that make a batch")] = 20_000
    batch_bytes: Annotated[Count, Meta(description="Bytes that make a batch")] = 16 * 1024 * 1024
    batch_age_s: Annotated[
        Seconds,
        Meta(description="Age at which a batch is sent anyway; decisions are sent within a second. "
             "ClickHouse spends some 30 ms of CPU on each batch of windows"),
    ] = 5.0  # fmt: skip
    buffer_bytes: Annotated[
        Count, Meta(description="What may wait while ClickHouse is slow or away")
    ] = 256 * 1024 * 1024
    drift_interval_s: Annotated[
        SecondsOrNone,
        Meta(description="How often a worker that pairs looks whether the models of its rollouts "
             "answer as they did (drift.md); 0 leaves it to `understudy drift`"),
    ] = 3600.0  # fmt: skip
    rollup_interval_s: Annotated[
        SecondsOrNone,
        Meta(description="How often a worker that pairs adds windows up to minutes and hours, "
             "which dashboards and views read; 0 leaves it to `understudy rollup`"),
    ] = 45.0  # fmt: skip


class PairingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The join, its windows and its memory."""

    window_s: Annotated[int, Meta(ge=1, le=86_400, description="Length of a window")] = 10
    join_timeout_s: Annotated[
        Seconds, Meta(description="How long a side waits for its partner, in event time")
    ] = 120.0
    allowed_lateness_s: Annotated[
        Seconds, Meta(description="How long a window stays open, at least join_timeout_s")
    ] = 130.0
    max_clock_skew_s: Annotated[
        Seconds, Meta(description="How far a request_time may lie after its Kafka timestamp")
    ] = 60.0
    request_time_tolerance_s: Annotated[
        SecondsOrNone,
        Meta(
            description="How far apart the request_time of two sides of one request may lie; never "
            "more than join_timeout_s"
        ),
    ] = 5.0
    retry_grace_s: Annotated[
        SecondsOrNone,
        Meta(description="How long a failed attempt waits for the next one, in event time"),
    ] = 2.0
    max_event_bytes: Annotated[Count, Meta(description="Larger events are invalid")] = (
        MAX_EVENT_BYTES
    )
    max_join_bytes: Annotated[
        Count, Meta(description="Bytes of one partition's log that the join looks back at")
    ] = 256 * 1024 * 1024
    flush_interval_s: Annotated[
        Seconds, Meta(description="How often changed windows are emitted")
    ] = 1.0
    batch_records: Annotated[Count, Meta(description="Records taken at a time")] = 10_000


class CompareSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the analyzers compute."""

    similarity: Annotated[bool, Meta(description="Whether to compute text similarity")] = True
    max_indel_characters: Annotated[
        Count, Meta(description="Longer texts are compared by n-grams")
    ] = 2048
    max_json_differences: Annotated[
        Count, Meta(description="Structural differences kept per pair")
    ] = 32
    json_ignore: Annotated[
        tuple[str, ...],
        Meta(
            description="Paths at which JSON answers may differ, such as /id or /**/created_at; "
            "`*` is any key or index, `**` any number of them"
        ),
    ] = ()
    json_unordered: Annotated[
        tuple[str, ...],
        Meta(description="Paths of arrays whose order means nothing, such as /tags"),
    ] = ()
    json_schemas: Annotated[
        str, Meta(description="Folder of <schema_id>.json files; empty for none")
    ] = ""


class CaptureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many pairs are captured where a policy says `capture`; alike in all workers."""

    pairs_per_kind: Annotated[
        Count,
        Meta(description="The worst of a window, partition, slice and kind that are kept"),
    ] = 3
    pairs_per_window: Annotated[
        Annotated[int, Meta(ge=1, le=1_000)],
        Meta(description="Of them all, those kept of a window and partition"),
    ] = 16
    sampled_per_window: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)],
        Meta(description="The same with `capture: sample` and `all`"),
    ] = 64
    sample_share: Annotated[
        Annotated[float, Meta(gt=0, le=1)],
        Meta(description="Share of the pairs in a `sample`, by a hash of the pair"),
    ] = 0.01
    max_text_bytes: Annotated[
        Annotated[int, Meta(ge=64, le=1_048_576)],
        Meta(description="Of a prompt, an answer or its tool calls; the rest is cut off"),
    ] = 8_192
    max_bytes: Annotated[
        Count,
        Meta(
            description="Of memory for the texts of all rollouts whose windows are open, in each "
            "worker; pairs beyond it are left out and counted"
        ),
    ] = 268_435_456


class RedactionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is replaced in texts before they are stored, beside what rules find."""

    recognizer: Annotated[
        str,
        Meta(
            description="A function of yours, `module:function`, that finds names of people and "
            "places in a text and returns spans (start, end, label), docs/privacy.md; empty for "
            "none"
        ),
    ] = ""


class DecidingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Verdicts on rollouts."""

    group_id: Annotated[
        str,
        Meta(min_length=1, description="Consumer group of the deciding workers; names their table"),
    ] = "understudy-deciding"
    session_timeout_s: Annotated[
        Seconds, Meta(description="How long after a crash another worker takes over")
    ] = 10.0
    checkpoint_interval_s: Annotated[
        Seconds,
        Meta(
            description="How often a rollout's state is written to the changelog: so many seconds "
            "of its windows are read again after a crash"
        ),
    ] = 10.0
    instance_id: Annotated[
        str,
        Meta(description="Static membership: this worker's name in the group; empty for none"),
    ] = ""


GATE_MAX_AGE_S: Final = 900.0
"""A gateway without a request for a quarter of an hour is one that someone should look at."""
MIN_GATE_MAX_AGE_S: Final = 120.0
"""A decision is refreshed once a minute, and windows come seconds after their events."""


HttpUrl = Annotated[str, Meta(pattern=r"^(https?://[^/\s]+\S*)?$")]


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Probes, metrics and, where the worker decides, the API; see [api.md](api.md)."""

    enabled: Annotated[bool, Meta(description="Whether a worker listens")] = True
    host: Annotated[
        str, Meta(min_length=1, description="Address to listen at; 0.0.0.0 for all, in a container")
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port to listen at; 0 takes a free one and logs it")
    ] = 8780
    tokens: Annotated[
        str,
        Meta(description="Who may do what: `name:scopes:secret`, separated by commas; scopes of "
             "read, feedback, captures, operate, admin, joined by +; empty: no one may write"),
    ] = ""  # fmt: skip
    read_needs_token: Annotated[
        bool, Meta(description="Whether reading takes a token, too; probes never do")
    ] = False
    allowed_hosts: Annotated[
        str,
        Meta(description="Names that clients call this server by, separated by commas, such as "
             "that of a Kubernetes service; addresses and localhost always work, * is all"),
    ] = ""  # fmt: skip
    public_url: Annotated[
        HttpUrl,
        Meta(description="Where people reach the dashboard, such as https://understudy.example; "
             "alerts and reports link to its pages"),
    ] = ""  # fmt: skip
    max_connections: Annotated[
        int,
        Meta(ge=50, description="Connections at once; five sixths of them may wait for a change"),
    ] = 600
    gate_max_age_s: Annotated[
        float,
        Meta(ge=MIN_GATE_MAX_AGE_S, le=YEAR_S,
             description="How old the newest window may be for a gate to open; see "
             "[integrations.md](integrations.md#the-gate)"),
    ] = GATE_MAX_AGE_S  # fmt: skip
    stall_timeout_s: Annotated[
        Seconds,
        Meta(description="How long a partition with records to read, or deciding, may make no "
             "progress before `/healthz` fails"),
    ] = 60.0  # fmt: skip


class AlertingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is notified of decisions; see [alerting.md](alerting.md). An empty URL is off."""

    group_id: Annotated[
        str, Meta(min_length=1, description="Consumer group of the workers that alert")
    ] = "understudy-alerting"
    alertmanager_url: Annotated[
        HttpUrl, Meta(description="Alertmanager, without /api/v2/alerts; may hold user:password@")
    ] = ""
    slack_webhook_url: Annotated[
        HttpUrl, Meta(description="Incoming webhook of Slack; secret, never logged")
    ] = ""
    webhook_url: Annotated[HttpUrl, Meta(description="Receives each decision as JSON")] = ""
    webhook_secret: Annotated[
        str, Meta(description="Signs what the webhook gets; empty for no signature")
    ] = ""
    repeat_s: Annotated[
        Seconds, Meta(description="How often alerts that fire are sent to Alertmanager again")
    ] = 60.0
    drift: Annotated[
        bool,
        Meta(
            description="Whether receivers are told, too, that a model answers otherwise than it "
            "did (drift.md)"
        ),
    ] = True
    external_url: Annotated[
        HttpUrl,
        Meta(
            description="A page of your own to link in alerts instead of the dashboard's; "
            "{rollout_id} is replaced by the rollout's"
        ),
    ] = ""


class EvaluatingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`understudy worker --role evaluating`; see [evaluators.md](evaluators.md)."""

    group_id: Annotated[
        str, Meta(min_length=1, description="Consumer group of the workers that evaluate")
    ] = "understudy-evaluating"
    base_url: Annotated[
        HttpUrl,
        Meta(description="Endpoint with OpenAI's API, such as http://localhost:11434/v1; empty: no "
             "judge model is asked"),
    ] = ""  # fmt: skip
    api_key: Annotated[
        str, Meta(description="Its key; secret, never logged, better in the environment")
    ] = ""
    model: Annotated[str, Meta(description="The judge model, by the endpoint's name")] = ""
    prompts: Annotated[
        str,
        Meta(description="Folder of rubrics, `NAME@VERSION.md`; empty for those that come with the "
             "service"),
    ] = ""  # fmt: skip
    input_usd_per_million_tokens: Annotated[
        Annotated[float, Meta(ge=0, le=1e6)] | None,
        Meta(description="Price of what the judge reads; 0 for a model of your own"),
    ] = None
    output_usd_per_million_tokens: Annotated[
        Annotated[float, Meta(ge=0, le=1e6)] | None,
        Meta(description="Price of what it writes. Without both prices no budget in US dollars "
             "can be kept, so the judge is not asked"),
    ] = None  # fmt: skip
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=16, le=1_000_000)],
        Meta(description="Of one answer; models that reason need thousands"),
    ] = 1_024
    temperature: Annotated[float, Meta(ge=0, le=2, description="0 lets the judge vary least")] = 0.0
    concurrency: Annotated[
        int, Meta(ge=1, le=1_000, description="Calls under way at once, at most")
    ] = 8
    timeout_s: Annotated[Seconds, Meta(description="For one answer of the judge")] = 60.0
    attempts: Annotated[
        int, Meta(ge=1, le=100, description="Calls for one judgement, if the judge is overloaded")
    ] = 5
    queue_pairs: Annotated[
        Count,
        Meta(description="Pairs of one evaluator that may wait; more are left out and counted"),
    ] = 2_000
    max_characters: Annotated[
        Count,
        Meta(description="Of request and both answers together; longer pairs are left out and "
             "counted"),
    ] = 60_000  # fmt: skip


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    pairing: PairingSettings = PairingSettings()
    compare: CompareSettings = CompareSettings()
    capture: CaptureSettings = CaptureSettings()
    redaction: RedactionSettings = RedactionSettings()
    deciding: DecidingSettings = DecidingSettings()
    http: HttpSettings = HttpSettings()
    alerting: AlertingSettings = AlertingSettings()
    evaluating: EvaluatingSettings = EvaluatingSettings()

    def compare_options(self) -> CompareOptions:
        """Options of the analyzers. Raises `SettingsError` for a bad path or JSON Schema."""
        return CompareOptions(
            similarity=self.compare.similarity,
            max_indel_characters=self.compare.max_indel_characters,
            max_json_differences=self.compare.max_json_differences,
            json_ignore=_patterns("json_ignore", self.compare.json_ignore),
            json_unordered=_patterns("json_unordered", self.compare.json_unordered),
            json_schemas=load_json_schemas(self.compare.json_schemas),
        )


def load_recognizer(reference: str) -> Recognizer | None:
    """Return the function that `module:function` names, after a trial; None for none.

    Raises `SettingsError`: a worker that stored names because of a typing error would be worse than
    one that does not start.
    """
    if not reference:
        return None
    from understudy.schemas.redaction.recognizer import found_by

    module, separator, name = reference.partition(":")
    try:
        if not (module and separator and name):
            raise ValueError("write it as module:function")
        recognize = attrgetter(name)(importlib.import_module(module))
        found_by(recognize, _TRIAL)
    except Exception as error:  # whatever somebody else's module raises
        detail = str(error) or type(error).__name__
        raise SettingsError(
            f"[redaction] recognizer {reference!r} cannot be used: {detail}"
        ) from error
    found: Recognizer = recognize
    return found


def load_settings(file: Path | None, environment: Mapping[str, str]) -> Settings:
    """Read settings from a file and the environment.

    Without `file`, `understudy.toml` in the working directory is read if it is there. Raises
    `SettingsError`.
    """
    path = file or DEFAULT_FILE
    tree: dict[str, Any] = {}
    if file is not None or path.exists():
        tree = _read_toml(path)
    _check_keys(tree, str(path))
    where = f"{path} or environment" if tree else "environment"
    _apply_environment(tree, environment)
    try:
        return msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None


def known_keys() -> dict[str, tuple[str, str]]:
    """Every setting's dotted name, with its section and field."""
    sections = msgspec.structs.fields(Settings)
    return {
        f"{section.name}.{field}": (section.name, field)
        for section in sections
        for field in section.type.__struct_fields__
    }


def _check_keys(tree: Mapping[str, Any], where: str) -> None:
    known = known_keys()
    sections = {section for section, _ in known.values()}
    for section, fields in tree.items():
        if section not in sections:
            raise SettingsError(_unknown(where, f"section [{section}]", section, sections))
        if not isinstance(fields, dict):
            raise SettingsError(f"{where}: [{section}] is a section, not a value")
        for field in fields:
            if f"{section}.{field}" not in known:
                names = [name for name in known if name.startswith(f"{section}.")]
                raise SettingsError(
                    _unknown(where, f"key {section}.{field}", f"{section}.{field}", names)
                )


def _apply_environment(tree: dict[str, Any], environment: Mapping[str, str]) -> None:
    variables = {
        f"{ENVIRONMENT_PREFIX}{name.replace('.', '_').upper()}": place
        for name, place in known_keys().items()
    }
    for name, value in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name.startswith(TEST_PREFIX):
            continue
        rest = name.removeprefix(ENVIRONMENT_PREFIX)
        if rest.startswith(_CLIENT_PREFIX):
            option = rest.removeprefix(_CLIENT_PREFIX).lower().replace("_", ".")
            tree.setdefault("kafka", {}).setdefault("client", {})[option] = value
        elif name in variables:
            section, field = variables[name]
            tree.setdefault(section, {})[field] = (
                value.split() if _is_list(section, field) else value
            )
        else:
            raise SettingsError(_unknown("environment", f"variable {name}", name, variables))


def _is_list(section: str, field: str) -> bool:
    """Whether a setting has many values, which a variable separates by white space."""
    (inside,) = (one.type for one in msgspec.structs.fields(Settings) if one.name == section)
    return any(one.default == () for one in msgspec.structs.fields(inside) if one.name == field)


def _unknown(where: str, what: str, name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{where}: unknown {what}{hint}"


def _patterns(field: str, written: tuple[str, ...]) -> tuple[Pattern, ...]:
    try:
        return parse_patterns(written)
    except ValueError as error:
        raise SettingsError(f"[compare] {field}: {error}") from None


def load_json_schemas(folder: str) -> dict[str, JsonSchemaValidator]:
    """Validators by file name without `.json`. Raises `SettingsError`."""
    if not folder:
        return {}
    path = Path(folder)
    if not path.is_dir():
        raise SettingsError(f"[compare] json_schemas: {folder} is not a folder")
    validators = {}
    for file in sorted(path.glob("*.json")):
        try:
            validators[file.stem] = compile_json_schema(file.read_bytes())
        except ValueError as error:
            raise SettingsError(f"{file}: {error}") from None
    return validators
