"""The QUEUE argument, which shells complete from queue.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gae_broker.cli.session import Session
from gae_broker.cli.settings_flags import load_settings
from gae_broker.domain.queue_yaml import load_path
from gae_broker.errors import ConfigurationError


def _complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's
    try:
        names = load_path(load_settings(ctx.ensure_object(Session)).queue_yaml).queues
    except ConfigurationError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def queue_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument QUEUE."""
    return click.argument("queue", shell_complete=_complete)(function)
