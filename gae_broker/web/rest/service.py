"""What the methods do. Everything here waits for broker and ledger: call it off the loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from gae_broker.domain import limits
from gae_broker.domain import task_arguments as rules
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import PULL, Content, Copy, Progress
from gae_broker.engine import refusal
from gae_broker.engine.enqueue import NewTask
from gae_broker.engine.runtime import Runtime
from gae_broker.errors import Error, UnknownTaskError, UnsupportedError
from gae_broker.web.rest import representations as shown
from gae_broker.web.rest.answers import RestError, invalid
from gae_broker.web.rest.bodies import TaskBody
from gae_broker.web.rest.meter import HOUR_US, MINUTE_US, LeaseMeter
from gae_broker.web.rest.methods import LISTED_KIND
from gae_broker.web.rest.parameters import Arguments

_US = 1_000_000
_MOST_LISTED = 100
_LIST_PAGE = 20
"""Tasks are listed so many at a time, as each comes with its payload from the broker."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request leads: a pull queue, under the project's name that the caller used."""

    project: str
    queue: Queue

    @property
    def name(self) -> str:
        """The queue's name."""
        return self.queue.name


class Service:
    """The methods on one runtime.

    Args:
        runtime: the queues.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._meter = LeaseMeter()

    def place(self, project: str, taskqueue: str) -> Place:
        """The queue of a request.

        Raises:
            RestError: 404, another project; 400, a push queue.
            UnknownQueueError: there is no such queue.
        """
        application = self._runtime.catalog.file.application
        if application is not None and _bare(project) != _bare(application):
            raise RestError(404, "notFound", f"project {project!r} is not here; queue.yaml's is {application!r}")
        queue = self._runtime.catalog.get(taskqueue)
        if queue.mode is not Mode.PULL:
            raise invalid(f"queue {queue.name!r} is a push queue; only pull queues are used over REST")
        return Place(project, queue)

    def get_queue(self, place: Place, *, figures: bool) -> dict[str, Any]:
        """A queue, with its figures where they are asked for."""
        found = shown.taskqueue(place.queue)
        if figures:
            now_us = self._runtime.clock.now_us()
            found["stats"] = shown.stats(
                self._runtime.statistician.fetch(place.name),
                self._meter.leased(place.name, MINUTE_US, now_us),
                self._meter.leased(place.name, HOUR_US, now_us),
            )
        return found

    def list_tasks(self, place: Place) -> dict[str, Any]:
        """The first tasks by eta, without payloads."""
        found: dict[str, Any] = {"kind": LISTED_KIND}
        items: list[dict[str, Any]] = []
        after: tuple[int, str] | None = None
        while len(items) < _MOST_LISTED:
            page = self._runtime.browser.tasks(place.name, _LIST_PAGE, after)
            items += [shown.task(copy, place.name, payload=False) for copy in page]
            if len(page) < _LIST_PAGE:
                break
            after = page[-1].eta_us, page[-1].name
        if items:
            found["items"] = items
        if unlisted := self._runtime.browser.unlisted(place.name):
            found["incomplete"] = unlisted
        return found

    def get_task(self, place: Place, name: str) -> dict[str, Any]:
        """A task with its payload.

        Raises:
            UnknownTaskError: there is none.
            UnsupportedError: the broker cannot look it up.
        """
        copy = self._runtime.browser.find(place.name, name)
        if copy is None:
            raise refusal.unknown(place.name, name)
        return shown.task(copy, place.name)

    def insert(self, place: Place, body: TaskBody) -> dict[str, Any]:
        """Add a task, and show it.

        Raises:
            RestError: 400, the body is not enough.
            Error: why it was not added.
        """
        _require_queue(place, body)
        if body.payload is None:
            raise RestError(400, "required", "payloadBase64: required, and may be empty", parameter="payloadBase64")
        rules.check_tag(body.tag)
        content = Content(rules.task_name(body.id) or "", PULL, payload=body.payload, tag=body.tag or None)
        eta_us = body.lease_us or self._runtime.clock.now_us()
        (added,) = self._runtime.enqueuer.add(place.name, [NewTask(content, eta_us)])
        if added.error is not None:
            raise added.error
        return shown.task(self._added(place, content, added.name or "", eta_us), place.name)

    def _added(self, place: Place, content: Content, name: str, eta_us: int) -> Copy:
        """The task as it is in its queue; as it was asked for, where the broker does not show it."""
        with contextlib.suppress(Error):  # the task is added, and must not be reported as if it were not
            found = self._runtime.browser.find(place.name, name)
            if found is not None:
                return found
        return Copy("", place.name, content.enqueued(name, self._runtime.clock.now_us()), eta_us)

    def delete(self, place: Place, name: str) -> None:
        """Delete a task.

        Raises:
            UnknownTaskError: there is none; RabbitMQ cannot tell, and deletes what nobody knows.
        """
        (deleted,) = self._runtime.remover.delete(place.name, [name])
        if not deleted:
            raise UnknownTaskError(f"there is no task {name!r} in queue {place.name!r}; it may be deleted already")

    def change_lease(self, place: Place, name: str, body: TaskBody, lease_s: int) -> dict[str, Any]:
        """Let a lease end at another time, and show the task.

        Raises:
            RestError: 400, the body names another task or queue.
            Error: why it was not changed.
        """
        _require_queue(place, body)
        if body.id is not None and body.id != name:
            raise invalid(f"id: the body's is {rules.shown(body.id)}, the path's is {name!r}")
        known = None
        if body.payload is not None:
            known = Content(name, PULL, payload=body.payload, created_us=body.created_us or 0, tag=body.tag or None)
        eta_us = self._runtime.leaser.modify(place.name, name, body.lease_us or None, lease_s * _US, known)
        try:
            found = self._runtime.browser.find(place.name, name)
        except UnsupportedError:
            found = None
        if found is None:  # or it was deleted just now
            content = known or Content(name, PULL)
            found = Copy("", place.name, content, eta_us, Progress(tries=body.leases or 0))
        return shown.task(replace(found, eta_us=eta_us), place.name)

    def lease(self, place: Place, arguments: Arguments) -> Iterator[list[dict[str, Any]]]:
        """Lease tasks, a batch at a time, each when it is asked for.

        Raises:
            RestError: 400, the parameters contradict each other.
        """
        tag = arguments.text("tag")
        by_tag = arguments.flag("groupByTag")
        if tag and not by_tag:
            raise invalid("tag is for groupByTag=true only", "tag")
        if len(tag) > limits.MAX_TAG_LENGTH:
            raise invalid(f"tag has {len(tag)} characters, at most {limits.MAX_TAG_LENGTH} are allowed", "tag")
        batches = self._runtime.leaser.lease_in_batches(
            place.name,
            arguments.number("leaseSecs") * _US,
            arguments.number("numTasks"),
            by_tag=by_tag,
            tag=tag or None,
        )
        return self._shown(place, batches)

    def _shown(self, place: Place, batches: Iterator[list[Copy]]) -> Iterator[list[dict[str, Any]]]:
        name = shown.long_name(place.project, place.name)
        for batch in batches:
            self._meter.add(place.name, len(batch), self._runtime.clock.now_us())
            items = []
            batch.reverse()
            while batch:  # each payload goes as its text comes
                items.append(shown.task(batch.pop(), name))
            yield items
            del items


def _bare(project: str) -> str:
    """A project's id without the ``s~`` or ``e~`` that stands before it on App Engine's side."""
    return project.partition("~")[2] or project


def _require_queue(place: Place, body: TaskBody) -> None:
    """A body may leave the queue out, or name it either way, but not name another."""
    named = body.queue_name
    if named is None or named in {place.name, shown.long_name(place.project, place.name)}:
        return
    project, _, queue = named.removeprefix("projects/").partition("/taskqueues/")
    if queue != place.name or _bare(project) != _bare(place.project):
        raise invalid(f"queueName: the body's is {rules.shown(named)}, the path's is {place.name!r}")
