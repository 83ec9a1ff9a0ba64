"""What our commands have in common: examples in their help, the common options, errors turned into exit codes."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from gettext import gettext
from typing import Any

import click
from click.types import OptionHelpExtra

from gae_broker import logs
from gae_broker.cli.exit_codes import exit_code
from gae_broker.cli.session import Session
from gae_broker.domain.setting_values import mask

DOCS = "docs/reference/cli.md"
PROGRAM = "gae-broker"
ENVIRONMENT = "GAE_BROKER"
CONTEXT = {
    "help_option_names": ["-h", "--help"],
    "auto_envvar_prefix": ENVIRONMENT,
    "show_default": True,
    "max_content_width": 110,
}


class Option(click.Option):
    """An option that shows its environment variable."""

    def __init__(self, *names: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's own signature
        attributes.setdefault("show_envvar", True)
        super().__init__(*names, **attributes)

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """As click's, without brackets around a default that is given as text."""
        extra = super().get_help_extra(ctx)
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


def describe(error: Exception) -> str:
    """An error in one or more lines; of an error that nobody foresaw, its type too."""
    text = mask(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    known = type(error).__module__.startswith("gae_broker") or isinstance(error, OSError)
    return text if known else f"{type(error).__name__}: {text} (-v shows where; please report it)"


class Command(click.Command):
    """A command with examples.

    Args:
        examples: command lines, each with what it does.
        serves: whether it runs until it is stopped; its log then begins at information, else at warnings.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        examples: Sequence[tuple[str, str]] = (),
        serves: bool = False,
        **attributes: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **attributes)
        self._serves = serves
        self.examples = tuple(examples)
        self.params = [*self.params, *common_options(environment=True)]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help text, and the examples right behind it."""
        super().format_help_text(ctx, formatter)
        if self.examples:
            with formatter.section(gettext("Examples")):
                for line, meaning in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}# {meaning}\n")
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options, and the names of the common ones."""
        write_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Where to read more."""
        formatter.write_paragraph()
        formatter.write_text(f"More: {DOCS}")

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; its errors become exit codes."""
        session = ctx.ensure_object(Session)
        logs.configure(
            sys.stderr,
            logs.LogFormat(session.log_format),
            verbosity=session.verbosity - (not self._serves),
            color=session.color(sys.stderr),
        )
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, the terminal gets a sentence and a code
            if session.verbosity > 0:
                click.echo("".join(traceback.format_exception(exc)), err=True, nl=False)
            session.complain(describe(exc))
            ctx.exit(exit_code(exc))


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Explain a command's own options; the common ones only where no command above explains them."""
    above = ctx.parent is not None and any(_is_common(parameter) for parameter in ctx.parent.command.params)
    own = [parameter for parameter in command.get_params(ctx) if isinstance(parameter, click.Option)]
    common = [parameter for parameter in own if _is_common(parameter)]
    records = [parameter.get_help_record(ctx) for parameter in own if not above or parameter not in common]
    with formatter.section(gettext("Options")):
        formatter.write_dl([record for record in records if record is not None])
    if above:
        names = ", ".join("/".join(parameter.opts) for parameter in common)
        formatter.write_paragraph()
        formatter.write_text(f"And as everywhere: {names} (see '{PROGRAM} -h').")


def _is_common(parameter: click.Parameter) -> bool:
    return parameter.callback is _remember


def option(*names: str, **attributes: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: ANN401
    """As `click.option`, with the environment variable shown."""
    return click.option(*names, cls=Option, **attributes)


def common_options(*, environment: bool) -> list[click.Parameter]:
    """The options that every command and group takes; a group's are weaker than its commands'.

    Args:
        environment: whether environment variables are read, which commands do once.
    """

    def common(*names: str, variable: str, **attributes: Any) -> Option:  # noqa: ANN401
        envvar = f"{ENVIRONMENT}_{variable}" if environment else None
        attributes.setdefault("show_default", False)
        return Option(
            names, envvar=envvar, expose_value=False, allow_from_autoenv=False, callback=_remember, **attributes
        )

    return [
        common("--config", variable="CONFIG", metavar="FILE", help="Settings file (TOML) in place of gae-broker.toml."),
        common(
            "--format",
            variable="FORMAT",
            type=click.Choice(["table", "json"]),
            show_default="table",
            help="How data is written on standard output.",
        ),
        common(
            "--log-format",
            variable="LOG_FORMAT",
            type=click.Choice(["text", "json"]),
            show_default="text",
            help="How messages are written on standard error.",
        ),
        common("-v", "--verbose", variable="VERBOSE", count=True, help="More messages; tracebacks of errors."),
        common("-q", "--quiet", variable="QUIET", count=True, help="Fewer messages: warnings, with -qq errors only."),
        common("--no-color", variable="NO_COLOR", is_flag=True, help="No colours; NO_COLOR does the same."),
    ]


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's own
    session = ctx.ensure_object(Session)
    if value is None:
        return
    match parameter.name:
        case "verbose":
            session.verbosity += value
        case "quiet":
            session.verbosity -= value
        case "no_color":
            session.no_color = session.no_color or value
        case "config" | "format" | "log_format" as name:
            setattr(session, name, value)
