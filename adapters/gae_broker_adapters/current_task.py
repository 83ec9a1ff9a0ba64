"""The task that is being run here: what its headers said, for code that has no request in its hands."""

from __future__ import annotations

import contextvars

from gae_broker.domain.task_headers import TaskHeaders

__all__ = ["TASK", "TaskHeaders", "current_task"]

TASK = "gae_broker.task"
"""The key of the `TaskHeaders` in a WSGI environment or an ASGI scope, once the middleware has let a task pass."""

RUNNING: contextvars.ContextVar[TaskHeaders | None] = contextvars.ContextVar("gae_broker_task", default=None)
"""Set by the integrations while a task's request is handled."""


def current_task() -> TaskHeaders | None:
    """The task whose request is being handled here; ``None`` outside one.

    It is there in the thread or coroutine that handles the request, and wherever its context variables go.
    """
    return RUNNING.get()
