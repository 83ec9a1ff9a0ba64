"""Flags for settings, made from the settings' own table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.types import OptionHelpExtra

from gae_broker import registry
from gae_broker.cli.session import Session
from gae_broker.settings import OPTIONS, Settings, flag, variable

EVERYWHERE = ("url", "ledger", "queue_yaml")
"""What every command needs that opens the queues."""


class SettingFlag(click.Option):
    """A flag for a setting. The environment is not read here, so that the settings know where a value came from."""

    def __init__(self, name: str) -> None:
        self.setting = name
        option = OPTIONS[name]
        many = name == "targets"
        super().__init__(
            [flag(name), f"setting_{name}"],
            metavar="NAME=TARGET" if many else option.metavar,
            help=option.help + (" May be repeated." if many else ""),
            multiple=many,
            expose_value=False,
            allow_from_autoenv=False,
            callback=self._store,
        )

    def _store(self, ctx: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401, ARG002
        if value:
            flags = ctx.ensure_object(Session).flags
            flags[self.setting] = ",".join(value) if isinstance(value, tuple) else value

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:  # noqa: ARG002 - click's own signature
        """The variable that the settings read, and their default."""
        extra: OptionHelpExtra = {"envvars": (variable(self.setting),)}
        default = Settings().show(self.setting)
        if default:
            extra["default"] = default
        return extra


def settings_flags(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command flags for these settings, and for those that every command has."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        wanted = [SettingFlag(name) for name in OPTIONS if name in {*EVERYWHERE, *names}]
        # click collects what decorators put there, the last one first.
        parameters: list[click.Parameter] = function.__dict__.setdefault("__click_params__", [])
        parameters.extend(reversed(wanted))
        return function

    return add


def load_settings(session: Session) -> Settings:
    """The settings of a command: its flags, the environment, the file. Their shim is installed.

    Raises:
        SettingsError: a value is malformed, or the shim cannot be installed.
    """
    settings = Settings.load(session.flags, file=session.config)
    registry.install_shim(settings.shim)  # before any application is imported
    return settings
