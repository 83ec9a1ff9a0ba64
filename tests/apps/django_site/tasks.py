"""Tasks of Django's Tasks framework."""

from __future__ import annotations

from typing import Any

from gae_broker_adapters.current_task import current_task
from gae_broker_adapters.django.tasks_api import framework

ran: list[Any] = []
task = framework.task


@task
def remember(*args: Any, **kwargs: Any) -> str:
    """Keeps what it was called with, and as which task."""
    ran.append((args, kwargs, current_task()))
    return "remembered"


@task(queue_name="mail")
async def remember_later(what: str) -> None:
    """A coroutine."""
    ran.append(what)


@task(takes_context=True)
def try_twice(context: Any, what: str) -> None:
    """Succeeds at its second attempt."""
    ran.append((what, context.attempt, context.task_result.id))
    if context.attempt == 1:
        raise TimeoutError("the first time")


def _plain() -> None:
    """Has a task, under another name."""


renamed = task(_plain)
