"""A task as the engine sees it: what was enqueued, what has happened to it, and one broker copy of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from gae_broker.domain.retry import RetryParameters

PULL = "PULL"


class Kind(StrEnum):
    """What a broker queue is for; part of a message's address."""

    PUSH = "push"
    PULL = "pull"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Content:
    """What the caller enqueued; the same in every copy of the task.

    Attributes:
        name: unique in the queue; chosen by the caller (``named``) or by the engine.
        method: ``PULL`` for pull tasks, else the HTTP method in upper case.
        url: path and query, absolute in the application (``/_ah/queue/x``); empty for pull tasks.
        headers: the caller's headers in order, App Engine's own additions (Host, namespace) included.
        payload: the request body; ``b""`` where there is none.
        created_us: when it was added, in ledger time.
        tag: pull tasks only; ``None`` is untagged (the empty tag is stored as ``None``).
        retry: the task's own retry options, which replace the queue's wholesale; ``None``: the queue's.
        deadline_us: the handler's time for one attempt, in microseconds; ``None``: the configured default.
        target: the target named by the caller, ``None`` where none was.
    """

    name: str
    method: str = "POST"
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    payload: bytes = b""
    created_us: int = 0
    tag: str | None = None
    retry: RetryParameters | None = None
    deadline_us: int | None = None
    target: str | None = None
    named: bool = False

    @property
    def kind(self) -> Kind:
        """Whether the task belongs in a push or a pull queue."""
        return Kind.PULL if self.method == PULL else Kind.PUSH

    def enqueued(self, name: str, created_us: int) -> Content:
        """As it enters its queue: under its own name, or this one where the caller chose none."""
        # Field by field: `replace` takes twice as long, and this is done for every task.
        return Content(
            name=self.name or name,
            method=self.method,
            url=self.url,
            headers=self.headers,
            payload=self.payload,
            created_us=created_us,
            tag=self.tag or None,
            retry=self.retry,
            deadline_us=self.deadline_us,
            target=self.target,
            named=bool(self.name),
        )


@dataclass(frozen=True, slots=True)
class LargePayload:
    """A payload too large for its task, which carries the key alone; kept in the ledger until the task has run."""

    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Try:
    """One finished attempt, kept for the operator: when it ended, how long it took, what came of it."""

    ended_us: int
    duration_us: int
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What has happened to a task so far.

    Attributes:
        tries: attempts so far, those that reached no handler included (``X-AppEngine-TaskRetryCount``);
            for pull tasks the number of leases.
        executions: attempts that a handler answered with a failure (``X-AppEngine-TaskExecutionCount``).
        first_try_us: when the first attempt began; the age limit counts from it.
        last_status: the status of the latest answer, ``None`` before the first.
        reason: why the latest attempt failed (``X-AppEngine-TaskRetryReason``), empty before the first.
        history: the latest tries, at most `HISTORY` of them.
    """

    tries: int = 0
    executions: int = 0
    first_try_us: int | None = None
    last_status: int | None = None
    reason: str = ""
    history: tuple[Try, ...] = ()


HISTORY = 10


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a task in the broker; a retry or a lease replaces it by another (`copy_id` differs).

    ``eta_us`` is the earliest time of the next attempt; for a leased task, the end of the lease. ``parent`` is the
    copy whose place it takes, ``None`` for the task's first.
    """

    copy_id: str
    queue: str
    content: Content
    eta_us: int
    progress: Progress = Progress()
    parent: str | None = None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.content.name

    def successor(self, copy_id: str, eta_us: int, progress: Progress) -> Copy:
        """The copy that takes this one's place."""
        return replace(self, copy_id=copy_id, eta_us=eta_us, progress=progress, parent=self.copy_id)
