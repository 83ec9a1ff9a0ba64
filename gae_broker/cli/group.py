"""Groups that import a command's module only when it is called."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from gettext import gettext
from typing import Any

import click

from gae_broker.cli.command import DOCS, common_options, write_options


class LazyGroup(click.Group):
    """A group whose commands stand in a table of strings.

    Args:
        lazy: by name, the command's ``module:attribute`` and its short help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **attributes: Any) -> None:  # noqa: ANN401
        attributes.setdefault("no_args_is_help", False)
        attributes.setdefault("callback", _help_without_command)
        attributes["invoke_without_command"] = True
        super().__init__(*args, **attributes)
        self.lazy = dict(lazy)
        self.params = [*self.params, *common_options(environment=False)]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """The names, in the table's order."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with a suggestion for a misspelt name."""
        name = args[0]
        if name not in self.lazy and not name.startswith("-") and not ctx.resilient_parsing:
            close = difflib.get_close_matches(name, self.lazy, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" There are: {', '.join(self.lazy)}."
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options as a command's, and the commands."""
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands with their short help, none of them imported."""
        with formatter.section(gettext("Commands")):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Where to read more."""
        formatter.write_paragraph()
        formatter.write_text(f"'{ctx.command_path} COMMAND -h' shows a command's examples. More: {DOCS}")


@click.pass_context
def _help_without_command(ctx: click.Context) -> None:
    """Without a command, show the help; that is not an error."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), color=ctx.color)


def group(name: str, text: str, lazy: Mapping[str, tuple[str, str]]) -> LazyGroup:
    """A group of commands."""
    return LazyGroup(name=name, help=text, short_help=text, lazy=lazy)
