"""What the options that every command takes have said: where settings come from, how to write, how much."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import TextIO

import click

from gae_broker import logs


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
            self._say(logging.INFO, text)

    def warn(self, text: str) -> None:
        """Something that is probably not meant: on standard error, silent under ``-qq``."""
        if self.verbosity >= -1:
            self._say(logging.WARNING, text)

    def complain(self, text: str) -> None:
        """Why the command fails: on standard error, always."""
        self._say(logging.ERROR, text)

    def _say(self, level: int, text: str) -> None:
        if self.log_format == "json":
            # Not through the logger's level: what is said here was weighed against -v and -q already.
            record = logging.getLogger(__name__).makeRecord(__name__, level, "", 0, text, (), None)
            click.echo(logs.JsonFormatter().format(record), err=True)
            return
        prefix = {
            logging.WARNING: click.style("warning: ", fg="yellow"),
            logging.ERROR: click.style("Error: ", fg="red"),
        }
        click.echo(prefix.get(level, "") + text, err=True, color=self.color(sys.stderr))


def current() -> Session:
    """The session of the command that runs."""
    return click.get_current_context().ensure_object(Session)
