"""What commands do when they start: load settings, and log no more than the user should see."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import click
import msgspec

from understudy.streams.settings import Settings, load_settings

Options = ParamSpec("Options")
Result = TypeVar("Result")

_SETTINGS: Final = f"{__name__}.settings"


def with_settings(
    command: Callable[Concatenate[Settings, Options], Result],
) -> Callable[Options, Result]:
    """Load the settings and pass them to the command as its first argument.

    The command raises `SettingsError` where they are wrong.
    """

    @functools.wraps(command)
    def loaded(*args: Options.args, **kwargs: Options.kwargs) -> Result:
        context = click.get_current_context()
        settings = load_settings(context.find_root().obj, os.environ)
        context.meta[_SETTINGS] = settings
        return command(settings, *args, **kwargs)

    return loaded


def settings_of(meta: Mapping[str, Any]) -> Settings:
    """The settings that a command has loaded, from its context's `meta`; defaults before that."""
    found: Settings = meta.get(_SETTINGS) or Settings()
    return found


def with_json_schemas(settings: Settings, folder: str | None) -> Settings:
    """The settings with another folder of JSON Schemas, if one is given."""
    if folder is None:
        return settings
    compare = msgspec.structs.replace(settings.compare, json_schemas=folder)
    return msgspec.structs.replace(settings, compare=compare)


def quiet_logs(level: int = logging.WARNING) -> None:
    """Log from `level` on; librdkafka's own lines are left out, since failures become messages."""
    from understudy.streams.logs import KAFKA_LOGGER, configure_logs  # most commands log nothing

    configure_logs(level)
    KAFKA_LOGGER.setLevel(logging.CRITICAL + 1)
