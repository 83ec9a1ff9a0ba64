"""Add and BulkAdd: requests into tasks, answers into result codes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from google.appengine.api import api_base_pb2, apiproxy_stub_map
from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2 as pb
from google.appengine.runtime import apiproxy_errors

from gae_broker import errors
from gae_broker.domain.limits import MAX_PULL_TASK_SIZE_BYTES, MAX_PUSH_TASK_SIZE_BYTES
from gae_broker.engine import transactions
from gae_broker.engine.enqueue import Added, NewTask
from gae_broker.engine.runtime import Runtime
from gae_broker.engine.transactions import Enlisted
from gae_broker.taskqueue.adding import prepare
from gae_broker.taskqueue.retry_options import TaskRetryOptions
from gae_broker.taskqueue.task import Task
from gae_broker_adapters.appengine_service.codes import Code, code_of, refusal

_DATASTORE = "datastore_v3"


def bulk_add(runtime: Runtime, request: Any, response: Any) -> None:  # noqa: ANN401 - protocol buffers
    """Add the tasks of a ``TaskQueueBulkAddRequest``: all of them, or none if one is invalid in itself.

    Raises:
        ApplicationError: what concerns the call as a whole.
    """
    requests = list(request.add_request)
    queue = requests[0].queue_name.decode()
    if not queue:
        raise refusal(Code.UNKNOWN_QUEUE, "a task queue has a name; the default one is 'default'")
    named = [one.task_name.decode() for one in requests]
    made = [_made(queue, one) for one in requests]
    if any(isinstance(new, Exception) for new in made):
        answers = [_refused(new) for new in made]
    else:
        new_tasks = [new for new in made if isinstance(new, NewTask)]
        if requests[0].HasField("transaction") or requests[0].HasField("datastore_transaction"):
            answers = _with_transaction(runtime, queue, new_tasks, request)
        else:
            answers = runtime.enqueuer.add(queue, new_tasks)
    for name, answer in zip(named, answers, strict=True):
        result = response.taskresult.add()
        result.result = Code.SKIPPED if answer.skipped else Code.OK if answer.error is None else code_of(answer.error)
        if answer.name is not None and answer.name != name:
            result.chosen_task_name = answer.name.encode()


def _refused(new: NewTask | Exception) -> Added:
    return Added(None, new) if isinstance(new, Exception) else Added(None, skipped=True)


class _Handover:
    """Hands tasks to the datastore, which calls ``Add`` for each when its transaction commits."""

    enlisted = 0  # the datastore counts, over all calls

    def __init__(self, request: Any) -> None:  # noqa: ANN401
        self._request = request

    def enlist(self, tasks: Sequence[Enlisted], deliver: Callable[[], None]) -> None:  # noqa: ARG002 - the datastore does
        """See `gae_broker.engine.transactions.Transaction`."""
        for one, task in zip(self._request.add_request, tasks, strict=True):
            one.task_name = task.copy.name.encode()
        try:
            apiproxy_stub_map.MakeSyncCall(_DATASTORE, "AddActions", self._request, api_base_pb2.VoidProto())
        except apiproxy_errors.ApplicationError as exc:
            raise refusal(exc.application_error + Code.DATASTORE_ERROR, exc.error_detail) from exc


_handover: ContextVar[_Handover | None] = ContextVar("gae_broker_appengine_handover", default=None)


def _current() -> _Handover | None:
    return _handover.get()


def _with_transaction(runtime: Runtime, queue: str, new_tasks: list[NewTask], request: Any) -> list[Added]:  # noqa: ANN401
    transactions.register(_current)
    token = _handover.set(_Handover(request))
    try:
        return runtime.enqueuer.add(queue, new_tasks, transactional=True)
    finally:
        _handover.reset(token)


def _made(queue: str, request: Any) -> NewTask | Exception:  # noqa: ANN401
    """The task, checked as our own client checks it, or why it is refused."""
    try:
        task = _pull_task(request) if request.mode == pb.TaskQueueMode.PULL else _push_task(request)
        limit = MAX_PULL_TASK_SIZE_BYTES if request.mode == pb.TaskQueueMode.PULL else MAX_PUSH_TASK_SIZE_BYTES
        if request.ByteSize() > limit:
            raise errors.TaskTooLargeError(f"the task has {request.ByteSize()} bytes; {limit} are allowed")
        (new,) = prepare(queue, [task], transactional=False)
    except errors.Error as exc:
        return exc
    return NewTask(new.content, request.eta_usec)


def _push_task(request: Any) -> Task:  # noqa: ANN401
    return Task(
        request.body or None,
        name=request.task_name.decode(),
        method=pb.TaskQueueAddRequest.RequestMethod.Name(request.method),
        url=request.url.decode(),
        headers=_headers(request),
        eta=_sane(request.eta_usec),
        retry_options=_retry_options(request) if request.HasField("retry_parameters") else None,
        dispatch_deadline_usec=request.dispatch_deadline_usec or None,
        _size_check=False,
    )


def _headers(request: Any) -> dict[str, list[str]]:  # noqa: ANN401
    headers: dict[str, list[str]] = {}
    for header in request.header:
        headers.setdefault(header.key.decode(), []).append(header.value.decode())
    return headers


def _pull_task(request: Any) -> Task:  # noqa: ANN401
    return Task(
        request.body,
        name=request.task_name.decode(),
        method="PULL",
        tag=request.tag.decode() if request.HasField("tag") else None,
        eta=_sane(request.eta_usec),
    )


def _sane(eta_usec: int) -> datetime.datetime:
    """A moment to make the task with; the request's own, to the microsecond, is checked and used by the engine."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        eta = datetime.datetime.fromtimestamp(eta_usec / 1e6, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return now
    return min(eta, now)


def _retry_options(request: Any) -> TaskRetryOptions:  # noqa: ANN401
    given = request.retry_parameters
    names = {
        "retry_limit": "task_retry_limit",
        "age_limit_sec": "task_age_limit",
        "min_backoff_sec": "min_backoff_seconds",
        "max_backoff_sec": "max_backoff_seconds",
        "max_doublings": "max_doublings",
    }
    return TaskRetryOptions(
        **{ours: getattr(given, theirs) for theirs, ours in names.items() if given.HasField(theirs)}
    )
