"""``tasks dead`` and ``redrive``: what became of tasks that were given up, and another chance for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.confirm import confirm, count
from gae_broker.cli.opened import opened
from gae_broker.cli.output import Table, distance, moment, write
from gae_broker.cli.parameter_types import Time
from gae_broker.cli.queue_argument import queue_argument
from gae_broker.cli.session import Session, current
from gae_broker.cli.settings_flags import settings_flags
from gae_broker.errors import Error, UnknownTaskError

if TYPE_CHECKING:
    from gae_broker.engine.redrive import Dead, Report

_US = 1_000_000
_YEAR_S = 365 * 86_400


def _selected(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the names and options that select dead letters, and call it with ``choose(now_us)``."""

    @functools.wraps(function)
    def command(
        names: tuple[str, ...],
        reason: str,
        status: int | None,
        older_than: float | None,
        **others: Any,  # noqa: ANN401
    ) -> None:
        from gae_broker.engine.redrive import Selection  # noqa: PLC0415 - --help must be quick

        def choose(now_us: int) -> Selection:
            before_us = None if older_than is None else now_us - round(older_than * _US)
            return Selection(frozenset(names), reason, status, before_us)

        any_set = bool(names or reason) or status is not None or older_than is not None
        function(choose=choose, is_narrowed=any_set, **others)

    decorated: Callable[..., Any] = command
    for decorate in (
        option("--older-than", type=Time(0, _YEAR_S), metavar="TIME", help="Only those that died longer ago."),
        option("--status", type=int, metavar="N", help="Only those whose last answer had this status."),
        option("--reason", metavar="TEXT", default="", help="Only those whose reason contains this."),
        click.argument("names", nargs=-1, metavar="[TASK]..."),
        queue_argument,
    ):
        decorated = decorate(decorated)
    return decorated


@click.command(
    cls=Command,
    help="List the tasks that were given up after their last retry: why, with which answer, after how many attempts "
    "and when. With --delete, do away with them.",
    short_help="List the tasks that were given up, and why.",
    examples=[
        ("gae-broker tasks dead mail", "why did they fail?"),
        ("gae-broker tasks dead mail --status 410 --delete --yes", "nobody will want these any more"),
    ],
)
@_selected
@option("--limit", type=click.IntRange(1, 10_000), metavar="N", default=100, help="How many tasks at most.")
@option("--delete", is_flag=True, help="Remove them for good.")
@option("--all", "everything", is_flag=True, help="With --delete: all of them.")
@option("--yes", "-y", is_flag=True, help="Do not ask.")
@settings_flags()
def dead(
    queue: str,
    *,
    choose: Callable[[int], Any],
    is_narrowed: bool,
    limit: int,
    delete: bool,
    everything: bool,
    yes: bool,
) -> None:
    """List or delete dead letters."""
    session = current()
    if delete and not is_narrowed and not everything:
        raise click.UsageError("name tasks, give --reason, --status or --older-than, or --all to delete all of them.")
    with opened(session) as runtime:
        selection = choose(runtime.clock.now_us())
        if delete:
            meant = runtime.redriver.redrive(queue, selection, dry_run=True)
            if meant.done:
                confirm(f"delete {count(meant.done, 'dead letter')} of queue '{queue}'", yes=yes)
            report = runtime.redriver.delete(queue, selection)
            session.tell(f"{count(report.done, 'dead letter')} of queue '{queue}' deleted.")
            _require_found(queue, report)
            return
        found = runtime.redriver.dead(queue, selection, limit + 1)
        now_us = runtime.clock.now_us()
    _list(session, queue, found[:limit], now_us, more=len(found) > limit)


@click.command(
    cls=Command,
    help="Put tasks that were given up back into their queue, due now, as if they had never been tried. Each is stored "
    "in its queue before its dead letter goes. A task of which another of the same name is in the queue stays dead.",
    short_help="Run tasks again that were given up.",
    examples=[
        ("gae-broker tasks redrive mail --status 503 --dry-run", "how many would that be?"),
        ("gae-broker tasks redrive mail --all", "after the bug is repaired"),
    ],
)
@_selected
@option("--all", "everything", is_flag=True, help="All of them.")
@option("--dry-run", is_flag=True, help="Show which, and leave them where they are.")
@settings_flags()
def redrive(
    queue: str,
    *,
    choose: Callable[[int], Any],
    is_narrowed: bool,
    everything: bool,
    dry_run: bool,
) -> None:
    """Redrive dead letters."""
    session = current()
    if not is_narrowed and not everything:
        raise click.UsageError("name tasks, give --reason, --status or --older-than, or --all for all of them.")
    with opened(session) as runtime:
        report = runtime.redriver.redrive(queue, choose(runtime.clock.now_us()), dry_run=dry_run)
    data = {
        "dry_run": dry_run,
        "redriven": report.done,
        "looked_at": report.looked,
        "first_names": report.names,
        "kept": [{"tasks": number, "reason": reason} for reason, number in report.kept.items()],
    }
    if session.format == "json" or dry_run:
        write(session, data, Table(("TASK",), [(name,) for name in report.names]), "No dead letter is meant.")
    would = "would be put back" if dry_run else "put back"
    session.tell(f"{count(report.done, 'task')} of queue '{queue}' {would}; {report.looked} looked at.")
    if report.cut:
        session.warn("too many were left alone to go on; narrow it down, or begin with others")
    if report.kept:
        kept = "; ".join(f"{number}: {reason}" for reason, number in report.kept.most_common(3))
        raise Error(f"{count(report.kept.total(), 'task')} stay dead: {kept}")
    _require_found(queue, report)


def _list(session: Session, queue: str, found: Sequence[Dead], now_us: int, *, more: bool) -> None:
    tasks = [_data(one, now_us) for one in found]
    keys = ("name", "died_delta", "tries", "last_status", "last_reason", "url")
    rows = [[task[key] for key in keys] for task in tasks]
    table = Table(("TASK", "DIED", "TRIES", "STATUS", "REASON", "URL"), rows)
    write(session, {"tasks": tasks, "more": more}, table, f"Queue '{queue}' has no such dead letters.")
    if more:
        session.tell(f"These are the first {len(tasks)}; --limit shows more.")


def _data(one: Dead, now_us: int) -> dict[str, object]:
    copy = one.copy
    return {
        "name": one.name,
        "died": moment(one.died_us),
        "died_delta": distance(one.died_us, now_us),
        "tries": None if copy is None else copy.progress.tries,
        "last_status": None if copy is None else copy.progress.last_status,
        "last_reason": one.error if copy is None else copy.progress.reason or None,
        "method": None if copy is None else copy.content.method,
        "url": None if copy is None else copy.content.url or None,
        "created": None if copy is None else moment(copy.content.created_us),
        "payload_bytes": None if copy is None else len(copy.content.payload),
    }


def _require_found(queue: str, report: Report) -> None:
    if report.missing:
        raise UnknownTaskError(f"not among the dead letters of queue '{queue}': {', '.join(sorted(report.missing))}")
