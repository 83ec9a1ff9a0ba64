"""``gae-broker completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gae_broker.cli.command import Command

_VARIABLE = "_GAE_BROKER_COMPLETE"


@click.command(
    cls=Command,
    help="Print the script that makes a shell complete commands, options and queue names.",
    short_help="Print a shell's completion script.",
    examples=[
        ('eval "$(gae-broker completion bash)"', "in ~/.bashrc"),
        ("gae-broker completion fish > ~/.config/fish/completions/gae-broker.fish", "for fish"),
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script."""
    kind = get_completion_class(shell)
    if kind is None:  # a click that knows this shell no more
        ctx.fail(f"click {click.__name__} cannot complete in {shell}")
    root = ctx.find_root().command
    click.echo(kind(root, {}, "gae-broker", _VARIABLE).source())
