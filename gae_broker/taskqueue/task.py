"""Task: what to do, when, and where. A leased task is one too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Never, Protocol
from urllib.parse import urlsplit

from gae_broker.domain import caseless, limits, task_arguments
from gae_broker.domain import params as forms
from gae_broker.domain.task import PULL, Content, Copy, LargePayload
from gae_broker.errors import InvalidEtaError
from gae_broker.taskqueue import body, content, host, old_pickles, surroundings
from gae_broker.taskqueue import eta as moments
from gae_broker.taskqueue.calls import is_replaced
from gae_broker.taskqueue.host import Target
from gae_broker.taskqueue.retry_options import TaskRetryOptions
from gae_broker.taskqueue.rpc import RPC
from gae_broker.taskqueue.utc import UTC

DEFAULT_QUEUE = "default"
_COMMON = ("eta", "method", "name", "payload", "queue_name", "retry_options", "size", "was_deleted", "was_enqueued")
_PULL_ONLY = ("tag",)
_PUSH_ONLY = ("headers", "target", "url")


class QueueLike(Protocol):
    """What `Task.add` and `Task.add_async` need of a queue."""

    def _add(self, task: Task, transactional: bool) -> Task:
        """Add the task, in this thread."""

    def add_async(self, task: Task, transactional: bool = False, rpc: RPC[Task] | None = None) -> RPC[Task]:
        """Add the task."""


class QueueType(Protocol):
    """Opens a queue by its name."""

    def __call__(self, name: str) -> QueueLike:
        """The queue."""


class Task:
    """One task. It can be added once, to one queue.

    Differs from App Engine: ``url=None`` is the default url; bytes will do for a name, a tag and a queue's name; a
    name may not end with a newline; header names and values that no request can carry are refused; on the
    development server a target's Host header is made as in production.

    Args:
        payload: a POST or PUT request's body, or a pull task's data: bytes, or text, which is sent as UTF-8.
        countdown: seconds from now until the earliest start; a number, or its text.
        eta: the earliest start, in place of ``countdown``; a naive datetime is the process's local time.
        headers: of the request; an iterable value repeats its header.
        method: POST, GET, HEAD, PUT, DELETE, or PULL for a pull task.
        name: ``[a-zA-Z0-9_-]{1,500}``, unique in the queue, for a week after the task is done too.
        params: a mapping that becomes the form (POST, PULL) or the query; iterable values repeat their key.
        retry_options: in place of all of the queue's retry parameters; ignored for pull tasks.
        tag: of a pull task, at most 500 characters.
        target: the version or module to run on; not with a Host header.
        url: path and query, ``/_ah/queue/<queue name>`` by default; the path at most 2083 characters.
        dispatch_deadline_usec: microseconds an attempt may take, from 15 seconds to 24 hours.
        _size_check: whether too large tasks and tags are refused.

    Raises:
        InvalidTaskNameError, InvalidUrlError, InvalidEtaError, InvalidTagError, InvalidDispatchDeadlineError,
        TaskTooLargeError: of the argument concerned.
        InvalidTaskError: arguments that do not go together, and those without an error of their own.
        TypeError: an unknown argument, or one of a wrong type.
    """

    _queue_type: ClassVar[QueueType]
    """`Queue`, which sets itself here: it makes Tasks, so that of the two this module can only come first."""

    _queue_add_async: ClassVar[tuple[object]]
    """``Queue.add_async``, as it was before anybody replaced it."""

    def __init__(  # noqa: PLR0913  (App Engine's)
        self,
        payload: str | bytes | None = None,
        *,
        countdown: float | str | None = None,
        eta: datetime | None = None,
        headers: Mapping[str, object] | Iterable[tuple[str, object]] | None = None,
        method: str = "POST",
        name: str | bytes | None = None,
        params: forms.Params | None = None,
        retry_options: TaskRetryOptions | None = None,
        tag: str | bytes | None = None,
        target: Target = None,
        url: str | None = "",
        dispatch_deadline_usec: int | None = None,
        _size_check: bool = True,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise TypeError(f"Invalid arguments: {', '.join(unknown)}")
        around = surroundings.current()
        self.__name = task_arguments.task_name(name)
        self.__default_url, path, query = task_arguments.split_url(url)
        self.__headers = caseless.Headers(headers)
        self.__method = method.upper()
        self.__tag = tag
        _set_namespaces(self.__headers, around)
        given = body.Given(
            self.__method, payload, params, tag, self.__default_url, path, query, bool(headers), bool(target)
        )
        self.__relative_url, self.__payload = body.make(given, self.__headers)
        self.__route = host.resolve(target, self.__headers, around)
        self.__headers_list = content.flatten_headers(self.__headers)
        self.__eta_posix = self.__determine_eta_posix(eta, countdown)
        self.__retry_options = retry_options
        moments.check_eta(self.__eta_posix, surroundings.now())
        if _size_check:
            task_arguments.check_size(self.size, _size_limit(self.__method))
            task_arguments.check_tag(tag)
        task_arguments.check_dispatch_deadline(dispatch_deadline_usec)
        self.__dispatch_deadline_usec = dispatch_deadline_usec
        self.__retry_count = 0
        self.__queue_name: str | None = None
        self.__enqueued = False
        self.__deleted = False
        self.__leased: Content | None = None
        self.__large: LargePayload | None = None

    # Private on App Engine too; its own tests replace the first, to stop the time, and call the second.
    @staticmethod
    def __determine_eta_posix(
        eta: datetime | None = None,
        countdown: float | str | None = None,
        current_time: Callable[[], float] = surroundings.now,
    ) -> float:
        return moments.eta_posix(eta, countdown, current_time())

    __convert_payload = staticmethod(body.convert)

    @classmethod
    def _leased_from(cls, copies: Sequence[Copy]) -> list[Task]:
        """The tasks of copies that were just leased; a push task in a queue turned to pull becomes a pull task.

        What they take from the place they are made in is looked up once for all of them.
        """
        if not copies:
            return []
        model = cls(b"", method=PULL)
        return [model._leased_like(copy) for copy in copies]

    def _leased_like(self, copy: Copy) -> Task:
        task = type(self).__new__(type(self))
        task.__dict__.update(self.__dict__)
        task.__name = copy.name
        task.__payload = copy.content.payload
        task.__tag = copy.content.tag
        task.__eta_posix = copy.eta_us * 1e-6
        task.__retry_count = copy.progress.tries
        task.__queue_name = copy.queue
        task.__enqueued = True
        task.__leased = copy.content
        return task

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(old_pickles.task_state(state))

    def _mark_added(self, name: str | None, queue_name: str) -> None:
        self.__name = name or self.__name
        self.__queue_name = queue_name
        self.__enqueued = True

    def _mark_deleted(self, deleted: bool) -> None:
        self.__deleted = deleted

    def _mark_lease_end(self, eta_us: int) -> None:
        self.__eta_posix = eta_us * 1e-6

    def _carry(self, large: LargePayload) -> None:
        """Have this stored in the ledger when, and only if, the transaction commits that the task is added in."""
        self.__large = large

    @property
    def _large(self) -> LargePayload | None:
        return self.__large

    def _content(self, queue_name: str) -> Content:
        """What the engine stores of it."""
        if self.__leased is not None:
            return self.__leased
        return content.make(self, queue_name, self.__headers_list, self.__route.named)

    @property
    def dispatch_deadline_usec(self) -> int | None:
        """Microseconds an attempt may take; ``None``: the configured default."""
        return self.__dispatch_deadline_usec

    @property
    def eta_posix(self) -> float:
        """The earliest start, of a leased task the lease's end: seconds since the epoch."""
        return self.__eta_posix

    @property
    def eta(self) -> datetime:
        """`eta_posix` as an aware datetime."""
        return datetime.fromtimestamp(self.__eta_posix, UTC)

    @property
    def _eta_usec(self) -> int:
        if not math.isfinite(self.__eta_posix):
            raise InvalidEtaError(f"eta {self.__eta_posix} is no moment; was countdown a number?")
        return round(self.__eta_posix * 1e6)

    @property
    def headers(self) -> dict[str | bytes, object]:
        """A copy of the headers; unlike the task's own, the dict tells upper from lower case."""
        return self.__headers.as_dict()

    @property
    def method(self) -> str:
        """POST, GET, HEAD, PUT, DELETE or PULL."""
        return self.__method

    @property
    def name(self) -> str | None:
        """The name; ``None`` until the task was added, if the service chooses it."""
        return self.__name

    @property
    def on_queue_url(self) -> bool:
        """Whether it goes to its queue's default url."""
        return self.__default_url

    @property
    def payload(self) -> str | bytes | None:
        """The body: bytes, or text for a POST made of params."""
        return self.__payload

    @property
    def queue_name(self) -> str | None:
        """The queue it was added to or leased from."""
        return self.__queue_name

    @property
    def retry_count(self) -> int:
        """How often it was leased, this lease included; 0 for tasks that were not."""
        return self.__retry_count

    @property
    def retry_options(self) -> TaskRetryOptions | None:
        """As given."""
        return self.__retry_options

    @property
    def size(self) -> int:
        """Bytes of method, payload, url and headers, as App Engine counts them."""
        headers = sum(len(key) + len(value) + len(": \r\n") for key, value in self.__headers_list)
        return len(self.__method) + len(self.__payload or "") + len(self.__relative_url) + headers

    @property
    def tag(self) -> str | bytes | None:
        """As given; of a leased task text, or ``None``."""
        return self.__tag

    @property
    def target(self) -> Target:
        """The target, given or derived from the Host header."""
        return self.__route.target

    @property
    def url(self) -> str:
        """Path and query; ``""`` (and a query) for the queue's default url."""
        return self.__relative_url

    @property
    def was_enqueued(self) -> bool:
        """Whether it was added, or leased."""
        return self.__enqueued

    @property
    def was_deleted(self) -> bool:
        """Whether a call with this object deleted it."""
        return self.__deleted

    def add_async(
        self,
        queue_name: str = DEFAULT_QUEUE,
        transactional: bool = False,
        rpc: RPC[Task] | None = None,
    ) -> RPC[Task]:
        """Add it to a queue, without waiting; see `Queue.add_async`."""
        return self._queue_type(queue_name).add_async(self, transactional, rpc)

    def add(self, queue_name: str = DEFAULT_QUEUE, transactional: bool = False) -> Task:
        """Add it to a queue; see `Queue.add`."""
        if is_replaced(self.add_async, _ADD_ASYNC):
            return self.add_async(queue_name, transactional).get_result()
        queue = self._queue_type(queue_name)
        if is_replaced(queue.add_async, self._queue_add_async[0]):
            return queue.add_async(self, transactional, None).get_result()
        return queue._add(self, transactional)

    def extract_params(self) -> forms.Extracted:
        """The params of the payload (POST, PULL) or of the url's query.

        Values are bytes, or lists of them where a key is repeated; keys are bytes if the payload is.

        Raises:
            ValueError: there is something that is no form.
        """
        return forms.extract(self.__payload if self.__method in {PULL, "POST"} else urlsplit(self.__relative_url).query)

    def __repr__(self) -> str:
        names = sorted(_COMMON + (_PULL_ONLY if self.__method == PULL else _PUSH_ONLY))
        return f"Task<{', '.join(f'{name}={getattr(self, name)!r}' for name in names)}>"


_ADD_ASYNC = Task.add_async


def _set_namespaces(headers: caseless.Headers, around: surroundings.Surroundings) -> None:
    apps_namespace = around.apps_namespace()
    if apps_namespace is not None:
        headers.setdefault(surroundings.DEFAULT_NAMESPACE, apps_namespace)
    headers.setdefault(surroundings.CURRENT_NAMESPACE, around.namespace())


def _size_limit(method: str) -> int:
    return limits.MAX_PULL_TASK_SIZE_BYTES if method == PULL else limits.MAX_PUSH_TASK_SIZE_BYTES
