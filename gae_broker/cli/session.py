"""What the options that every command takes have said: where settings come from, how to write, how much."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TextIO

import click


@dataclass(slots=True)
class Session:
    """One invocation.

    Attributes:
        config: the settings file named by a flag.
        flags: settings given by flags, by field name.
        format: how data is written on standard output: ``table`` or ``json``.
        log_format: how messages are written on standard error: ``text`` or ``json``.
        verbosity: ``-v`` counted, less ``-q``.
        no_color: whether colours were declined.
    """

    config: str | None = None
    flags: dict[str, object] = field(default_factory=dict)
    format: str = "table"
    log_format: str = "text"
    verbosity: int = 0
    no_color: bool = False

    def color(self, stream: TextIO) -> bool:
        """Whether to write colours: to terminals, unless declined by ``--no-color`` or ``NO_COLOR``."""
        return not self.no_color and not os.environ.get("NO_COLOR") and stream.isatty()

    def tell(self, text: str) -> None:
        """A message for the person at the terminal: on standard error, silent under ``-q``."""
        if self.verbosity >= 0:
            click.echo(text, err=True, color=self.color(sys.stderr))


def current() -> Session:
    """The session of the command that runs."""
    return click.get_current_context().ensure_object(Session)
