"""The request that App Engine makes of a push task: its headers, in App Engine's order.

Source: gae-semantics section 5 (the reference implementation's ``taskqueue_stub`` and Google's documentation).
"""

from __future__ import annotations

from dataclasses import dataclass

from gae_broker.domain.task import Copy

SOURCE_ADDRESS = "0.1.0.2"
"""Where task requests come from; unmodified deferred handlers accept tasks from nowhere else."""

SIGNATURE = "X-GaeBroker-Signature"
"""The header that proves that a request is the dispatcher's; see `gae_broker.domain.signing`."""

FAIL_FAST = "x-appengine-failfast"

RESERVED = frozenset(
    {
        "x-appengine-queuename",
        "x-appengine-taskname",
        "x-appengine-taskretrycount",
        "x-appengine-taskexecutioncount",
        "x-appengine-taskpreviousresponse",
        "x-appengine-taskretryreason",
        "x-appengine-tasketa",
        "x-appengine-user-ip",
        "x-appengine-fake-is-admin",
        "x-appengine-development-payload",
        "x-gaebroker-signature",
        "content-length",
    },
)
"""Headers that say what only the queue can say: never taken from a task, however it writes them.

Case makes no difference, nor do ``_`` and ``-``: gateways of CGI's kind make one variable of both.

Others that begin with ``X-AppEngine-`` pass, as in the reference implementation (``X-AppEngine-FailFast`` and
``X-AppEngine-Current-Namespace`` must).
"""

_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One attempt's request.

    Attributes:
        method: upper case.
        url: path and query on whatever the target is.
        headers: in order, everything but what the connection itself needs.
        body: the task's payload.
        target: the name of the target wanted, ``None`` for the default one.
        deadline_us: microseconds for the whole attempt.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    target: str | None
    deadline_us: int

    @property
    def fail_fast(self) -> bool:
        """Whether the task asked to fail rather than to wait for capacity."""
        return any(name == FAIL_FAST for name, _ in self.headers)


def request(
    copy: Copy,
    delivery_count: int,
    queue_target: str | None,
    default_deadline_us: int,
    default_host: str = "",
) -> HttpRequest:
    """The request of a copy's next attempt.

    Args:
        copy: what to attempt.
        delivery_count: how often the broker delivered this copy before and never heard of it again.
        queue_target: the queue's ``target``; it overrides the task's own.
        default_deadline_us: the handler's time where the task sets none.
        default_host: the Host of tasks that name neither one nor a target; empty: whatever the target's is.
    """
    content = copy.content
    target = queue_target or content.target
    deadline_us = default_deadline_us if content.deadline_us is None else content.deadline_us
    headers = task_headers(copy, delivery_count, routed=target is not None)
    if target is None and default_host and headers[-1][0] != "Host":
        headers = (*headers, ("Host", default_host))
    return HttpRequest(content.method, content.url, headers, content.payload, target, deadline_us)


def task_headers(copy: Copy, delivery_count: int, *, routed: bool) -> tuple[tuple[str, str], ...]:
    """The headers of a copy's next attempt.

    ``routed`` says that a target was named: the request then bears that target's own Host, not the task's.
    """
    content, progress = copy.content, copy.progress
    own = [(name.lower(), value) for name, value in content.headers]
    host = [value for name, value in own if name == "host"]
    headers = [(name, value) for name, value in own if name.replace("_", "-") not in RESERVED and name != "host"]
    typed = any(name == "content-type" for name, _ in headers)
    headers += [
        ("X-AppEngine-QueueName", copy.queue),
        ("X-AppEngine-TaskName", content.name),
        ("X-AppEngine-TaskRetryCount", str(progress.tries + delivery_count)),
        ("X-AppEngine-TaskETA", str(copy.eta_us / 1_000_000)),
        ("Content-Length", str(len(content.payload))),
    ]
    if content.payload and not typed:
        headers.append(("Content-Type", "application/octet-stream"))
    headers.append(("X-AppEngine-TaskExecutionCount", str(progress.executions)))
    if progress.last_status is not None:
        headers.append(("X-AppEngine-TaskPreviousResponse", str(progress.last_status)))
    reason = "worker ended during the attempt" if delivery_count else progress.reason
    if reason:
        headers.append(("X-AppEngine-TaskRetryReason", _one_line(reason)))
    headers.append(("X-AppEngine-User-IP", SOURCE_ADDRESS))
    if host and not routed:
        headers.append(("Host", host[-1]))
    return tuple(headers)


def _one_line(text: str) -> str:
    """Text as a header value: printable ASCII, one line, not long; a reason may quote what a server sent."""
    printable = "".join(c if c.isascii() and c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:_REASON_LENGTH]
