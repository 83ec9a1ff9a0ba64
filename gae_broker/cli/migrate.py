"""``gae-broker migrate``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.confirm import count
from gae_broker.cli.exit_codes import ExitCode
from gae_broker.cli.output import write_json
from gae_broker.cli.session import Session, current
from gae_broker.errors import SettingsError

if TYPE_CHECKING:
    from gae_broker.codemod.project import File, Migration

_COLORS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(
    cls=Command,
    help="Make App Engine's names in Python programs and app.yaml ours, where that can be proved: imports, dotted "
    "names, names in mock.patch, the testbed, routes to the deferred handler. Shows the difference, changes files with "
    "--write only. What is left to do is listed with file and line, and ends this with 1. A line with "
    "'# gae-broker: keep' is left alone. Hidden folders, environments and vendored code are left out, unless named. "
    "Needs the extra 'migrate'.",
    short_help="Make App Engine's names in a program's source ours.",
    examples=[
        ("gae-broker migrate .", "show what would change, and what would be left"),
        ("gae-broker migrate --write .", "change it"),
    ],
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@option("--write", is_flag=True, help="Change the files.")
@click.pass_context
def migrate(ctx: click.Context, paths: tuple[Path, ...], *, write: bool) -> None:
    """Migrate a program."""
    session = current()
    if importlib.util.find_spec("libcst") is None:
        raise SettingsError("migrate needs LibCST: pip install 'gae-broker[migrate]'")
    from gae_broker.codemod import project  # noqa: PLC0415 - needs the extra

    migration = project.migrate(paths)
    if session.format != "json":
        for file in migration.changed:
            _show(session, file.diff)
    failed: dict[Path, str] = {}
    for file in migration.changed if write else ():
        try:
            project.write(file)
        except OSError as exc:
            failed[file.path] = exc.strerror or str(exc)
    if session.format == "json":
        write_json(_data(migration, failed, written=write))
    _tell(session, migration, failed, written=write)
    if failed or any(migration.remarks):
        ctx.exit(ExitCode.FAILED)


def _show(session: Session, text: str) -> None:
    is_colored = session.color(sys.stdout)
    for line in text.splitlines(keepends=True):
        color = _COLORS.get(line[0]) if is_colored and not line.startswith(("+++", "---")) else None
        click.echo(click.style(line, fg=color) if color else line, nl=False)


def _data(migration: Migration, failed: Mapping[Path, str], *, written: bool) -> dict[str, object]:
    def changed(file: File) -> dict[str, object]:
        return {"path": str(file.path), "written": written and file.path not in failed, "diff": file.diff}

    return {
        "looked_at": migration.looked_at,
        "changed": [changed(file) for file in migration.changed],
        "remaining": [
            {"path": str(path), "line": remark.line, "what": remark.what, "todo": remark.todo}
            for path, remark in migration.remarks
        ],
        "failed": [{"path": str(path), "why": why} for path, why in failed.items()],
        "skipped": [str(path) for path in migration.skipped],
    }


def _tell(session: Session, migration: Migration, failed: Mapping[Path, str], *, written: bool) -> None:
    for path, why in failed.items():
        session.complain(f"{path} could not be written, and is as it was: {why}")
    remarks = list(migration.remarks)
    if session.format != "json":
        for path, remark in remarks:
            session.tell(f"{path}:{remark.line}: {remark.what}\n    {remark.todo}")
    if migration.skipped:
        session.tell(f"Not looked into: {', '.join(map(str, migration.skipped))}; name a folder to migrate it too.")
    changed = count(len(migration.changed) - len(failed), "file")
    done = f"{changed} changed" if written else f"{changed} would change; --write changes them"
    if not migration.changed:
        done = "nothing to change"
    left = f"{count(len(remarks), 'place')} left to you" if remarks else "nothing is left to do"
    session.tell(f"{count(migration.looked_at, 'file')} looked at: {done}; {left}.")
