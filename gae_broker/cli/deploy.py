"""``gae-broker deploy``."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from gae_broker.cli.command import Command, option
from gae_broker.cli.confirm import confirm, count
from gae_broker.cli.output import Table, write
from gae_broker.cli.session import Session, current
from gae_broker.cli.settings_flags import load_settings, settings_flags
from gae_broker.domain.broker_options import Declaring
from gae_broker.errors import Error, SettingsError
from gae_broker.ports import Action, Change, Check, CheckStatus, Plan

if TYPE_CHECKING:
    from gae_broker.engine.deployment import Deployer
    from gae_broker.settings import Settings

_SHOWN = {Action.CREATE: "create", Action.CONFLICT: "conflict", Action.UNUSED: "unused"}


@click.command(
    cls=Command,
    help="Bring broker and ledger to what queue.yaml says: show what differs, then make what is missing. Nothing is "
    "removed without --prune, and with it no queue that holds tasks unless you say so.",
    short_help="Make the queues of a queue.yaml, and the ledger's tables.",
    examples=[
        ("gae-broker deploy queue.yaml --dry-run", "what would change"),
        ("gae-broker deploy queue.yaml --prune", "remove empty queues too that are not in the file any more"),
    ],
)
@click.argument("file", required=False, metavar="[FILE]")
@option("--dry-run", is_flag=True, help="Show what differs, and change nothing.")
@option("--prune", is_flag=True, help="Remove queues that are not in the file; those that hold tasks after asking.")
@option("--yes", "-y", is_flag=True, help="Do not ask: remove queues with the tasks that they hold.")
@settings_flags("declaring")
def deploy(file: str | None, *, dry_run: bool, prune: bool, yes: bool) -> None:
    """Deploy."""
    from gae_broker.engine.deployment import unused  # noqa: PLC0415 - --help must be quick

    session = current()
    if file is not None:
        session.flags["queue_yaml"] = file
    settings = load_settings(session)
    with _opened(settings, session) as deployer:
        plan = deployer.plan()
        ledger = deployer.ledger()
        _show(session, plan, ledger, dry_run=dry_run)
        for text in plan.unseen:
            session.warn(text)
        extra = unused(plan)
        if dry_run:
            session.tell("Nothing was changed.")
            return
        if prune and plan.unseen:
            raise SettingsError("--prune cannot tell which queues there are; see the warning above")
        filled = sum(change.tasks for change in extra)
        if prune and filled:
            confirm(f"remove {count(len(extra), 'queue')} with {count(filled, 'task')}", yes=yes)
        for name in deployer.apply():
            session.tell(f"Queue '{name}' is resumed.")
        made = [change for change in plan.changes if change.action is Action.CREATE]
        session.tell(
            f"{count(len(made), 'object')} made; the ledger is up to date." if made else "All is as it should be."
        )
        if prune:
            _prune(session, deployer, extra, yes=yes)
        elif extra:
            session.tell(f"{', '.join(change.queue for change in extra)}: not in the file, kept; --prune removes them.")


@contextlib.contextmanager
def _opened(settings: Settings, session: Session) -> Iterator[Deployer]:
    from gae_broker import registry  # noqa: PLC0415 - --help must be quick
    from gae_broker.domain import queue_yaml  # noqa: PLC0415
    from gae_broker.engine.deployment import Deployer  # noqa: PLC0415
    from gae_broker.engine.runtime import SystemClock  # noqa: PLC0415

    queues = queue_yaml.load_path(settings.queue_yaml)
    for warning in queues.warnings:
        session.warn(warning)
    clock = SystemClock()
    # Whoever deploys means to declare, whatever is set for the processes that come after.
    options = dataclasses.replace(settings.broker_options, declaring=Declaring.DECLARE)
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(
            contextlib.closing(registry.open_broker(settings.url, clock=clock, options=options))
        )
        ledger = stack.enter_context(contextlib.closing(registry.open_ledger(settings.ledger_url, clock=clock)))
        yield Deployer(broker, ledger, clock, queues, settings.tombstone_s)


def _show(session: Session, plan: Plan, ledger: Sequence[Check], *, dry_run: bool) -> None:
    data = {
        "dry_run": dry_run,
        "changes": [dataclasses.asdict(change) for change in plan.changes],
        "unseen": list(plan.unseen),
        "ledger": [{"name": item.name, "status": item.status.value, "text": item.text} for item in ledger],
    }
    rows = list(_rows(plan.changes))
    rows += [("ledger", "-", item.text) for item in ledger if item.status is not CheckStatus.OK]
    write(session, data, Table(("CHANGE", "QUEUE", "WHAT"), rows), "Nothing differs.")


def _rows(changes: Iterable[Change]) -> Iterator[tuple[str, str, str]]:
    """A row each; of the many things that all queues share, a row a kind."""
    shared: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        if change.queue or change.action is not Action.CREATE:
            tasks = f", holds {count(change.tasks, 'task')}" if change.action is Action.UNUSED else ""
            text = f": {change.text}" if change.text else ""
            yield _SHOWN[change.action], change.queue or "-", f"{change.what} {change.name}{text}{tasks}"
        else:
            shared.setdefault((change.action, change.what), []).append(change)
    for (action, what), found in shared.items():
        names = f"{found[0].name} ... {found[-1].name}" if len(found) > 1 else found[0].name
        yield action, "-", f"{count(len(found), what)}: {names}"


def _prune(session: Session, deployer: Deployer, extra: Sequence[Change], *, yes: bool) -> None:
    if not extra:
        session.tell("There is no queue to remove.")
    kept = []
    for change in extra:
        # Tasks that were there to be seen were agreed to; those that came since were not.
        removal = deployer.remove(change.queue, force=yes or change.tasks > 0)
        if removal.removed:
            lost = f", with {count(removal.held, 'task')}" if removal.held else ""
            session.tell(f"Queue '{removal.queue}' is removed{lost}.")
        else:
            kept.append(f"'{removal.queue}' ({removal.held})")
    if kept:
        raise Error(f"kept, because they hold tasks or are served: {', '.join(kept)}; give --yes to lose them")
