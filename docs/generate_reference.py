"""Writes docs/reference/cli.md, settings.md, differences.md, rest.md and openapi.json.

Run it as ``python docs/generate_reference.py``;
tests/unit/cli/test_reference.py fails when they are stale.
"""  # noqa: INP001 - a script

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import click

from gae_broker.cli import root
from gae_broker.cli.command import CONTEXT, Command, Option
from gae_broker.cli.exit_codes import ExitCode
from gae_broker.cli.group import LazyGroup
from gae_broker.configuration_file import FILE_NAME
from gae_broker.settings import FILE_VARIABLE, OPTIONS, Settings, flag, key, variable
from gae_broker.web.rest import methods, openapi

HERE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate_reference.py; change the code, then run that. -->"
MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "the operation failed: an unknown queue or task, one that the rules refuse; `migrate` left work",
    ExitCode.USAGE: "a flag or an argument is wrong, or `--yes` is missing where nobody can be asked",
    ExitCode.UNAVAILABLE: "the broker, the ledger or a port cannot be had, or a database file is damaged",
    ExitCode.CONFIGURATION: "a setting, `queue.yaml` or an application cannot be used as it is",
}


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    return {
        HERE / "cli.md": _cli_page(),
        HERE / "settings.md": _settings_page(),
        HERE / "differences.md": _differences_page(),
        HERE / "rest.md": _rest_page(),
        HERE / "openapi.json": json.dumps(openapi.document(), indent=2) + "\n",
    }


def _differences_page() -> str:
    table = runpy.run_path(str(HERE.parents[1] / "tests" / "parity" / "differences.py"))["DIFFERENCES"]
    lines = [
        "# Differences from App Engine",
        "",
        NOTE,
        "",
        "The parity tests put the same calls to App Engine's own library, appengine-python-standard, and to ours,",
        "and compare results, exceptions, task properties and dispatched requests. What is listed here differs on",
        "purpose; anything else that differs is a bug.",
        "",
        "| where | what | why |",
        "|---|---|---|",
        *(f"| {_cell(entry.where)} | {_cell(entry.what)} | {_cell(entry.reason)} |" for entry in table),
    ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _rest_page() -> str:
    lines = [
        "# REST API",
        "",
        NOTE,
        "",
        "`gae-broker serve` offers App Engine's Task Queue API, v1beta2, for pull queues. The same as an OpenAPI",
        "description: [openapi.json](openapi.json), which a server has at `/openapi.json` too; for Google's client",
        "libraries, a discovery document is at `/discovery/v1/apis/taskqueue/v1beta2/rest`. How to use it:",
        "[lease tasks from outside](../how-to/lease-from-outside.md).",
        "",
        f"Paths begin with `{methods.BASE_PATH}`.",
        "",
        "| method | request | parameters | acl | body | answer | |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in methods.METHODS:
        query = [item for item in method.parameters if not item.in_path]
        shown = ", ".join(f"`{item.name}`{'' if item.required else '?'}" for item in query)
        acl = "either" if method.resource == "taskqueues" else "`writer_email`" if method.writes else "`user_email`"
        cells = (
            f"{method.resource}.{method.name}",
            f"`{method.http} {method.path}`",
            shown,
            acl,
            method.request,
            method.response,
            method.description,
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| parameter | | |", "|---|---|---|"]
    described = {item.name: item for method in methods.METHODS for item in method.parameters}
    for item in (*described.values(), *methods.COMMON):
        bounds = "" if item.minimum is None else f", {item.minimum} to {item.maximum}"
        lines.append(f"| `{item.name}` | {item.schema['type']}{bounds} | {_cell(item.description)} |")
    for name in ("Task", "TaskQueue", "Tasks", "Tasks2"):
        lines += ["", f"## {name}", "", "| member | type | |", "|---|---|---|"]
        lines += _members(methods.SCHEMAS[name])
    return "\n".join([*lines, "", *_REST_ERRORS]) + "\n"


def _members(schema: methods.Schema, prefix: str = "") -> Iterator[str]:
    properties = schema["properties"]
    assert isinstance(properties, dict)  # noqa: S101 - a table of ours
    for name, member in properties.items():
        kind = f"{member['type']}{', ' + member['format'] if 'format' in member else ''}"
        yield f"| `{prefix}{name}` | {kind} | {_cell(str(member['description']))} |"
        if "properties" in member:
            yield from _members(member, f"{prefix}{name}.")


_REST_ERRORS = """\
## Errors

```json
{
 "error": {
  "errors": [
   {"domain": "global", "reason": "notFound", "message": "there is no task 'a' in queue 'pull'"}
  ],
  "code": 404,
  "message": "there is no task 'a' in queue 'pull'"
 }
}
```

| status | reason | when |
|---|---|---|
| 400 | `required`, `invalidParameter` | a parameter is missing or cannot be; `location` names it |
| 400 | `parseError`, `invalid` | the body or its wish: a push or paused queue, a lease that is over or another's |
| 400 | `duplicate` | insert: the id is taken, by a task or, for a week, by one that was there |
| 401 | `required`, `authError` | no token, or nobody's |
| 403 | `forbidden` | the queue's `acl` does not permit it; or, without tokens, a web page asks through a browser |
| 404 | `notFound` | no such project, queue or task, or not any more |
| 405 | `methodNotAllowed` | `Allow` has what is |
| 413, 415 | `requestTooLarge`, `unsupportedMediaType` | a body above 2 MB; one packed otherwise than by gzip |
| 500 | `internalError` | the server's own fault: its log says which |
| 501 | `notImplemented` | the broker cannot: see [on RabbitMQ](../how-to/lease-from-outside.md#on-rabbitmq) |
| 503 | `backendError` | broker or ledger did not answer: try again after `Retry-After` seconds |
""".splitlines()


def _cli_page() -> str:
    lines = [
        "# Command line",
        "",
        NOTE,
        "",
        "`gae-broker` and `python -m gae_broker` are the same. Data goes to standard output, messages to standard",
        "error. Where an option has an environment variable, that may be set instead.",
        "",
        "## Exit codes",
        "",
        "| code | name | when |",
        "|---|---|---|",
        *(f"| {code.value} | {code.name} | {MEANINGS[code]} |" for code in ExitCode),
        "| 128 + n | | `dispatch`, `dev` and `serve`, ended by signal n, after what ran was finished |",
        "",
        "## Options of every command",
        "",
        "They may stand before the command too, but then have no environment variable.",
        "",
    ]
    commands = dict(_commands(root, ("gae-broker",)))
    first = next(command for command in commands.values() if isinstance(command, Command))
    common = [item for item in first.params if isinstance(item, Option) and not item.expose_value]
    with click.Context(first, info_name="x", **_shown()) as ctx:
        lines += _option_table(common, ctx)
    for path, command in commands.items():
        lines += _section(path, command, {item.name for item in common})
    return "\n".join(lines) + "\n"


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, LazyGroup):
        with click.Context(command) as ctx:
            for name in command.list_commands(ctx):
                found = command.get_command(ctx, name)
                if found is not None:
                    yield from _commands(found, (*path, name))


def _section(path: tuple[str, ...], command: click.Command, common: set[str | None]) -> list[str]:
    lines = ["", f"## {' '.join(path)}", "", " ".join((command.help or "").split())]
    if isinstance(command, LazyGroup):
        lines += ["", "| command | |", "|---|---|"]
        lines += [f"| `{name}` | {text} |" for name, (_, text) in command.lazy.items()]
        own = [item for item in command.params if isinstance(item, click.Option) and item.name not in common]
    else:
        # A command remembers the names of its help option from the first context that asks.
        ctx = click.Context(command, info_name=path[-1], help_option_names=CONTEXT["help_option_names"])
        usage = " ".join((" ".join(path), *command.collect_usage_pieces(ctx)))
        lines += ["", "```sh", usage, "```"]
        own = [item for item in command.params if isinstance(item, click.Option) and item.name not in common]
    if own:
        ctx = click.Context(root, info_name=path[0], **_shown())
        for name in path[1:]:
            ctx = click.Context(command, parent=ctx, info_name=name)  # its variables are named after its path
        lines += ["", *_option_table(own, ctx)]
    if isinstance(command, Command):
        lines += ["", "```sh"]
        for line, meaning in command.examples:
            lines += [f"# {meaning}", line]
        lines += ["```"]
    return lines


def _shown() -> dict[str, object]:
    return {"auto_envvar_prefix": CONTEXT["auto_envvar_prefix"], "show_default": True}


def _option_table(options: list[click.Option], ctx: click.Context) -> list[str]:
    lines = ["| option | meaning | variable | default |", "|---|---|---|---|"]
    for option in options:
        extra = option.get_help_extra(ctx)
        names = ", ".join(f"`{name}`" for name in option.opts if name.startswith("-"))
        value = "" if option.is_flag or option.count else f" `{option.make_metavar(ctx)}`"
        variables = ", ".join(f"`{name}`" for name in extra.get("envvars", ()))
        default = extra.get("default", "")
        cells = (names + value, option.help or "", variables, f"`{default}`" if default else "")
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return lines


def _settings_page() -> str:
    defaults = Settings()
    lines = [
        "# Settings",
        "",
        NOTE,
        "",
        "Nothing has to be set to start. A value comes from the first of:",
        "",
        "1. a flag of the command;",
        "2. the environment variable; secrets may stand in a file that `<VARIABLE>_FILE` names, as Docker and",
        "   Kubernetes provide them;",
        "3. the application's own configuration: `app.config[<VARIABLE>]` of [Flask](../how-to/flask.md), a key of",
        "   `GAE_BROKER` in [Django's](../how-to/django.md) settings;",
        f"4. `{FILE_NAME}` in the working directory, or `[tool.gae-broker]` in `pyproject.toml` where there is none;",
        f"   `--config` or `{FILE_VARIABLE}` names another file;",
        "5. the default.",
        "",
        "`gae-broker config show` shows each value and where it came from. Passwords in URLs are shown as `***`",
        "everywhere: in that table, in errors, in logs. Times are written `30`, `1.5s`, `10m`, `2h` or `7d`.",
        "",
        "| key | variable | flag | default | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, option in OPTIONS.items():
        also = f", `{variable(name)}_FILE`" if option.secret else ""
        shown = defaults.show(name)
        lines.append(
            f"| `{key(name)}` | `{variable(name)}`{also} | `{flag(name)}` | {f'`{shown}`' if shown else ''} "
            f"| {_cell(option.help)} |"
        )
    return "\n".join([*lines, "", *_EXAMPLES]) + "\n"


_EXAMPLES = """\
Not every command has a flag for every setting: [the command line](cli.md) says which has which; `config show` has all.

```toml
# gae-broker.toml
url = "embedded:////var/lib/shop/queues.db"
tombstone = "9d"

[targets]
default = "http://localhost:8000"   # over HTTP
reports = "reports.main:app"        # a WSGI or ASGI application, called by the dispatcher's own processes
```

A target is `http://host:port` or `https://host:port`, with or without a path before each task's own; or `module:app`,
`module:create_app()` for a factory, with `wsgi+` or `asgi+` before it where the kind cannot be told. A task for
`v2.reports` goes to the target of that name, else to `reports`, else to `default`.

A variable that looks like a misspelt setting is told by every command.
""".splitlines()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
