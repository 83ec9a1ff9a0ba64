"""Errors about tasks that are there already, or no more: what happened, when, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gae_broker.errors import TaskAlreadyExistsError, TombstonedTaskError, UnknownTaskError
from gae_broker.ports import Fact, State

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time_us: int) -> str:
    """A time for people: ISO 8601, UTC, whole seconds."""
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return f"{time_us} us since 1970"


def exists(queue: str, name: str) -> TaskAlreadyExistsError:
    """The name is a live task's."""
    return TaskAlreadyExistsError(f"task {name!r} is in queue {queue!r}; choose another name, or delete it first")


def tombstoned(queue: str, name: str, fact: Fact | None) -> TombstonedTaskError:
    """The name was a task's that was executed or deleted."""
    if fact is None:
        return TombstonedTaskError(f"task {name!r} was removed from queue {queue!r}")
    done = "executed or given up" if fact.state is State.DONE else "deleted"
    text = f"task {name!r} of queue {queue!r} was {done} at {moment(fact.changed_us)}"
    if fact.until_us > fact.changed_us:
        text += f"; the name is free again at {moment(fact.until_us)}"
    return TombstonedTaskError(text)


def unknown(queue: str, name: str) -> UnknownTaskError:
    """No task bears the name."""
    return UnknownTaskError(f"there is no task {name!r} in queue {queue!r}")
