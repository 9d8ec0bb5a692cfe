"""Settings: file and environment, types, limits, and messages that help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from understudy.streams.kafka.client_config import client_config, consumer_config, producer_config
from understudy.streams.pairing.pairing_policy import PairingPolicy
from understudy.streams.settings import (
    RedactionSettings,
    Settings,
    SettingsError,
    known_keys,
    load_recognizer,
    load_settings,
)

EVERYTHING = """
[kafka]
bootstrap_servers = "a:1,b:2"
topic_prefix = "team."
group_id = "g"
replication_factor = 3
[kafka.client]
"security.protocol" = "SASL_SSL"
"session.timeout.ms" = 6000
"enable.ssl.certificate.verification" = false
[clickhouse]
url = "chdb://here"
batch_rows = 7
batch_age_s = 0.5
[pairing]
window_s = 60
join_timeout_s = 300
allowed_lateness_s = 300.5
[compare]
similarity = false
max_indel_characters = 100
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text)
    return file


def refusal(text: str, folder: Path, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(folder, text), environment)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_given_is_all_defaults() -> None:
    settings = load_settings(None, {"HOME": "/", "PATH": ""})
    assert settings == Settings()
    assert PairingPolicy.from_settings(settings).window_s == 10


def test_the_file_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "understudy.toml").write_text("[pairing]\nwindow_s = 30\n")
    assert load_settings(None, {}).pairing.window_s == 30
    other = written(tmp_path, "[pairing]\nwindow_s = 40\n")
    assert load_settings(other, {}).pairing.window_s == 40


def test_a_file_sets_everything(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, EVERYTHING), {})
    assert settings.kafka.bootstrap_servers == "a:1,b:2"
    assert settings.kafka.replication_factor == 3
    assert settings.clickhouse.batch_rows == 7
    assert settings.compare_options().similarity is False
    policy = PairingPolicy.from_settings(settings)
    assert (policy.window_ms, policy.allowed_lateness_ms) == (60_000, 300_500)


def test_the_environment_wins(tmp_path: Path) -> None:
    environment = {
        "UNDERSTUDY_KAFKA_GROUP_ID": "other",
        "UNDERSTUDY_PAIRING_WINDOW_S": "20",
        "UNDERSTUDY_CLICKHOUSE_BATCH_AGE_S": "2.5",
        "UNDERSTUDY_COMPARE_SIMILARITY": "true",
        "UNDERSTUDY_KAFKA_CLIENT_SECURITY_PROTOCOL": "PLAINTEXT",
        "UNDERSTUDY_TEST_BOOTSTRAP_SERVERS": "for the tests alone",
    }
    settings = load_settings(written(tmp_path, EVERYTHING), environment)
    assert settings.kafka.group_id == "other"
    assert settings.kafka.topic_prefix == "team."
    assert settings.pairing.window_s == 20
    assert settings.clickhouse.batch_age_s == 2.5
    assert settings.compare.similarity is True
    assert settings.kafka.client["security.protocol"] == "PLAINTEXT"


SEVERAL = {"kafka.client", "compare.json_ignore", "compare.json_unordered"}
"""Keys with many values, which have tests of their own."""


@pytest.mark.parametrize("key", sorted(set(known_keys()) - SEVERAL))
def test_every_key_can_be_set_by_its_variable(key: str) -> None:
    section, field = known_keys()[key]
    default: Any = getattr(getattr(Settings(), section), field)
    kind = float if default is None else type(default)
    value = {bool: not default, int: 70, float: 140.0, str: "text"}[kind]
    if field.endswith("_url"):
        value = "https://text"
    if field == "sample_share":
        value = 0.5
    if field == "temperature":
        value = 1.5
    variable = f"UNDERSTUDY_{section}_{field}".upper()
    settings = load_settings(None, {variable: str(value).lower()})
    assert getattr(getattr(settings, section), field) == value
    assert type(getattr(getattr(settings, section), field)) is kind


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("[pairing]\nwindows_s = 5", "pairing.windows_s", "pairing.window_s"),
        ("[pairing]\njoin_timeout = 5", "pairing.join_timeout", "pairing.join_timeout_s"),
        ("[kafka]\nbootstrap_server = 'a'", "kafka.bootstrap_server", "kafka.bootstrap_servers"),
        ("[clickhose]\nurl = 'a'", "[clickhose]", "clickhouse"),
        ("[pairing.inner]\na = 1", "pairing.inner", "pairing."),
        ("verbose = true", "verbose", ""),
    ],
)
def test_an_unknown_key_names_the_nearest(
    text: str, unknown: str, nearest: str, tmp_path: Path
) -> None:
    message = refusal(text, tmp_path)
    assert "some.toml" in message
    assert "unknown" in message
    assert unknown in message
    assert f"did you mean {nearest}" in message


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("UNDERSTUDY_PAIRING_WINDOWS_S", "UNDERSTUDY_PAIRING_WINDOW_S"),
        ("UNDERSTUDY_BOOTSTRAP_SERVERS", "UNDERSTUDY_KAFKA_BOOTSTRAP_SERVERS"),
        ("UNDERSTUDY_CLICKHOUSE", "UNDERSTUDY_CLICKHOUSE_URL"),
    ],
)
def test_an_unknown_variable_names_the_nearest(variable: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}; did you mean {nearest}\\?"):
        load_settings(None, {variable: "1"})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[pairing]\nwindow_s = 0", "pairing.window_s"),
        ("[pairing]\nwindow_s = 1.5", "pairing.window_s"),
        ("[pairing]\nwindow_s = 'ten'", "pairing.window_s"),
        ("[pairing]\njoin_timeout_s = -1", "pairing.join_timeout_s"),
        ("[pairing]\njoin_timeout_s = nan", "pairing"),
        ("[pairing]\nallowed_lateness_s = inf", "pairing.allowed_lateness_s"),
        ("[pairing]\nmax_clock_skew_s = 1e308", "pairing.max_clock_skew_s"),
        ("[kafka]\nbootstrap_servers = 9092", "kafka.bootstrap_servers"),
        ("[kafka]\nclient = 5", "kafka.client"),
        ("[kafka.client]\nnested = {a = 1}", "kafka.client"),
        ("[compare]\nsimilarity = 'perhaps'", "compare.similarity"),
        ("[clickhouse]\nbatch_rows = 0", "clickhouse.batch_rows"),
        ("kafka = 5", "kafka"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(text: str, place: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError, match=place.replace(".", r"\.")) as caught:
        PairingPolicy.from_settings(load_settings(file, {}))
    assert "Traceback" not in str(caught.value)


def test_a_wrong_variable_is_told_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"^environment: .*pairing\.window_s"):
        load_settings(None, {"UNDERSTUDY_PAIRING_WINDOW_S": "ten"})


def test_windows_must_outlive_their_joins(tmp_path: Path) -> None:
    file = written(tmp_path, "[pairing]\njoin_timeout_s = 200")
    with pytest.raises(SettingsError, match=r"allowed_lateness_s.*join_timeout_s"):
        PairingPolicy.from_settings(load_settings(file, {}))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml: No such file"):
        load_settings(tmp_path / "nowhere.toml", {})
    assert "some.toml" in refusal("[pairing\nwindow_s = 5", tmp_path)
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe[]")
    with pytest.raises(SettingsError, match=r"binary\.toml"):
        load_settings(file, {})


def test_client_settings_reach_librdkafka(tmp_path: Path) -> None:
    environment = {"UNDERSTUDY_KAFKA_CLIENT_SASL_USERNAME": "anna"}
    kafka = load_settings(written(tmp_path, EVERYTHING), environment).kafka
    for config in (client_config(kafka), consumer_config(kafka), producer_config(kafka)):
        assert config["bootstrap.servers"] == "a:1,b:2"
        assert config["security.protocol"] == "SASL_SSL"
        assert config["enable.ssl.certificate.verification"] is False
        assert config["sasl.username"] == "anna"
    assert consumer_config(kafka)["session.timeout.ms"] == 6000
    assert "session.timeout.ms" not in producer_config(kafka)


def test_offsets_are_never_committed_by_librdkafka_itself() -> None:
    assert consumer_config(Settings().kafka)["enable.auto.commit"] is False
    assert producer_config(Settings().kafka)["partitioner"] == "murmur2_random"


def test_json_schemas_are_read_by_file_name(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "order.json").write_text('{"type": "object", "required": ["id"]}')
    (schemas / "notes.txt").write_text("not a schema")
    settings = load_settings(None, {"UNDERSTUDY_COMPARE_JSON_SCHEMAS": str(schemas)})
    validators = settings.compare_options().json_schemas
    assert list(validators) == ["order"]
    assert validators["order"].is_valid({"id": 1})
    assert not validators["order"].is_valid({})


@pytest.mark.parametrize("text", ["{", '{"type": "no such type"}', '{"$ref": "#/nowhere"}'])
def test_a_bad_json_schema_is_told_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(text)
    settings = load_settings(None, {"UNDERSTUDY_COMPARE_JSON_SCHEMAS": str(tmp_path)})
    with pytest.raises(SettingsError, match=r"order\.json"):
        settings.compare_options()


def test_a_missing_folder_of_json_schemas_is_told() -> None:
    settings = load_settings(None, {"UNDERSTUDY_COMPARE_JSON_SCHEMAS": "nowhere"})
    with pytest.raises(SettingsError, match="nowhere is not a folder"):
        PairingPolicy.from_settings(settings)


def test_paths_of_json_are_a_list_or_separated_by_white_space(tmp_path: Path) -> None:
    file = tmp_path / "understudy.toml"
    file.write_text('[compare]\njson_ignore = ["/id", "/**/time stamp"]\n')
    options = load_settings(file, {}).compare_options()
    assert options.json_ignore == (("id",), ("**", "time stamp"))
    variables = {
        "UNDERSTUDY_COMPARE_JSON_IGNORE": "/id /at", "UNDERSTUDY_COMPARE_JSON_UNORDERED": "/tags",
    }  # fmt: skip
    options = load_settings(file, variables).compare_options()
    assert (options.json_ignore, options.json_unordered) == ((("id",), ("at",)), (("tags",),))


def test_what_is_no_path_of_json_is_told() -> None:
    settings = load_settings(None, {"UNDERSTUDY_COMPARE_JSON_UNORDERED": "tags"})
    with pytest.raises(SettingsError, match=r"\[compare\] json_unordered: 'tags' is no path"):
        settings.compare_options()


def test_every_setting_is_described() -> None:
    for section in msgspec.structs.fields(Settings):
        schema = msgspec.json.schema(section.type)
        (record,) = schema["$defs"].values()
        for name, field in record["properties"].items():
            assert "description" in field, f"{section.name}.{name}"


def finds_nothing(text: str) -> list[tuple[int, int, str]]:
    """A recognizer, as somebody would install one."""
    return []


def finds_nonsense(text: str) -> list[int]:
    """Not one."""
    return [len(text)]


def test_a_recognizer_is_found_by_its_name() -> None:
    assert load_recognizer("") is None
    assert load_recognizer(f"{__name__}:finds_nothing") is finds_nothing


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("not_installed:names", "No module named 'not_installed'"),
        (f"{__name__}:lost", "has no attribute 'lost'"),
        (f"{__name__}:finds_nonsense", "must return spans"),
        (f"{__name__}", "write it as module:function"),
        (f"{__name__}:EVERYTHING", "not callable"),
    ],
)
def test_one_that_cannot_be_used_is_told_at_the_start(reference: str, told: str) -> None:
    settings = Settings(redaction=RedactionSettings(recognizer=reference))
    with pytest.raises(SettingsError, match=rf"recognizer '{reference}' cannot be used: .*{told}"):
        PairingPolicy.from_settings(settings)
