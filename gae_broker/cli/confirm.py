"""Asks before something is destroyed."""

from __future__ import annotations

import sys

import click


def confirm(action: str, *, yes: bool) -> None:
    """Return if the action may go on: ``--yes`` was given, or the person at the terminal says so.

    Args:
        action: what would be done, with the count: ``purge 12 tasks of queue 'mail'``.
        yes: whether ``--yes`` was given.

    Raises:
        click.UsageError: nobody can be asked.
        click.Abort: the answer was no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"would {action}; nobody to ask here, so give --yes to do it.")
    click.confirm(f"Really {action}?", abort=True, err=True)


def count(number: int, noun: str) -> str:
    """A number and its noun: ``1 task``, ``12 tasks``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
