"""The names of ``google.appengine.ext.deferred.deferred``: calls that are made later, by a push queue.

``from gae_broker import deferred`` replaces ``from google.appengine.ext import deferred``. Tasks carry a pickle of
``(callable, args, kwargs)``, which names `invoke_member` and `run_from_datastore` of this module: they stay here.
"""

from __future__ import annotations

import functools
import http
import io
import logging
import os
import pickle
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import cast
from wsgiref.types import StartResponse, WSGIEnvironment

from gae_broker import taskqueue
from gae_broker.deferred import pickling
from gae_broker.deferred.allow_list import AllowList
from gae_broker.deferred.entity import _DeferredTaskEntity
from gae_broker.deferred.webapp_handler import WebappHandler
from gae_broker.domain import sealing
from gae_broker.domain.sealing import Broken
from gae_broker.domain.security_settings import UnsignedPayloads
from gae_broker.domain.task import LargePayload
from gae_broker.engine import runtime
from gae_broker.errors import DeferredError as Error
from gae_broker.errors import PermanentTaskFailure, SingularTaskFailure, TransientError
from gae_broker.settings import Settings

__all__ = [
    "Error",
    "Handler",
    "PermanentTaskFailure",
    "SingularTaskFailure",
    "TaskHandler",
    "application",
    "defer",
    "invoke_member",
    "run",
    "run_from_datastore",
    "serialize",
    "set_log_level",
    "taskqueue",
]
"""``taskqueue`` too: App Engine's module had it, and suites replace its Task there."""

_log = logging.getLogger(__name__)
_DEFAULT_LOG_LEVEL = logging.INFO
_TASKQUEUE_HEADERS = {"Content-Type": "application/octet-stream"}
_TASKQUEUE_RESPONSE_HEADERS = ("Content-Type", "text/plain")
_DEFAULT_URL = "/_ah/queue/deferred"
_DEFAULT_QUEUE = "default"
_SOURCE = "0.1.0.2"
_CROSS_COMPATIBLE = "DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL"
_SUCCESSORS = {
    "google.appengine.ext.deferred": "gae_broker.deferred",
    "google.appengine.ext.deferred.deferred": "gae_broker.deferred.deferred",
    "google.appengine.api.taskqueue": "gae_broker.taskqueue",
    "google.appengine.api.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
    "google.appengine.api.urlfetch": "gae_broker.taskqueue.old_pickles",  # where a Task's headers are from
    "google.appengine.api.labs.taskqueue": "gae_broker.taskqueue",
    "google.appengine.api.labs.taskqueue.taskqueue": "gae_broker.taskqueue.taskqueue",
}
"""What stands in pickles that App Engine's own library made, and what it is here."""

Response = tuple[str, http.HTTPStatus, list[tuple[str, str]]]
"""(body, status, headers) of a handler's answer; Flask takes it as it is."""


def set_log_level(log_level: int) -> None:
    """Set the level at which the headers of each deferred call are logged; INFO at first."""
    global _DEFAULT_LOG_LEVEL  # noqa: PLW0603  (App Engine's switch for the process)
    _DEFAULT_LOG_LEVEL = log_level


def run(data: bytes) -> object:
    """Load a pickled call and make it.

    Pickles of Python 2 code (protocols 0 to 2) load too: its ``str`` values become text, each byte one character. Names
    of App Engine's own deferred and taskqueue modules become ours where App Engine's SDK is not installed.

    Differs from App Engine: where there are signing keys, only what `serialize` signed with one of them is loaded;
    where there is a list of what may be called, only that is.

    Returns:
        What the function returned.

    Raises:
        PermanentTaskFailure: the pickle cannot be loaded, for whatever reason; its argument is that error. Or it is not
            signed, or not by one of the keys, or calls what it may not.
    """
    settings = runtime.settings()
    _verify(settings, data)
    allowed = _allow_list(settings.deferred_allow)
    try:
        func, args, kwds = cast("_Curried", pickling.loads(data, _SUCCESSORS, allowed))
        if allowed is not None:
            func = allowed.check_call(func, args)
    except Exception as exc:
        raise PermanentTaskFailure(exc) from exc
    return func(*args, **kwds)


def _verify(settings: Settings, data: bytes) -> None:
    """Check a payload's signature, before anything of it is loaded; without keys there is nothing to check."""
    broken = sealing.broken(settings.signing_keys, data) if settings.signing_keys else None
    if broken is Broken.UNSIGNED and settings.deferred_unsigned == UnsignedPayloads.ACCEPT:
        _log.warning("a deferred call without a signature is made, as deferred_unsigned is 'accept'")
    elif broken is not None:
        raise PermanentTaskFailure(f"this deferred call is not made: {broken}")


def run_from_datastore(key: str) -> None:
    """Make a call whose pickle was too large for its task, and forget the pickle unless the call is tried again.

    Args:
        key: where it is stored.

    Raises:
        PermanentTaskFailure: it is stored no more, or cannot be loaded.
    """
    entity = _DeferredTaskEntity.get(key)
    if entity is None:
        raise PermanentTaskFailure(f"the pickle of this call, stored as {key!r}, is gone: it was made before")
    try:
        run(entity.data)
    except PermanentTaskFailure:
        entity.delete()
        raise
    entity.delete()


def invoke_member(obj: object, membername: str, *args: object, **kwargs: object) -> object:
    """Call a method by its name."""
    return getattr(obj, membername)(*args, **kwargs)


_OUTERMOST = tuple(
    f"{module}.{function.__name__}"
    for module in (__name__, "google.appengine.ext.deferred.deferred")
    for function in (invoke_member, run_from_datastore)
)
"""What stands outermost in pickles of methods and of stored calls, and calls what these name."""


@functools.cache
def _allow_list(patterns: tuple[str, ...]) -> AllowList | None:
    return AllowList(patterns, _OUTERMOST) if patterns else None


_Curried = tuple[Callable[..., object], tuple[object, ...], dict[str, object]]


def _curry_callable(obj: Callable[..., object], *args: object, **kwargs: object) -> _Curried:
    """(callable, args, kwargs) of which each can be pickled: a bound method becomes its object and its name.

    Raises:
        ValueError: it cannot be called.
    """
    if isinstance(obj, types.MethodType):
        return invoke_member, (obj.__self__, obj.__func__.__name__, *args), kwargs
    if isinstance(obj, types.BuiltinMethodType):
        owner = obj.__self__
        if not owner or isinstance(owner, types.ModuleType):
            return obj, args, kwargs
        return invoke_member, (owner, obj.__name__, *args), kwargs
    if not callable(obj):
        raise ValueError(f"obj must be callable, {obj!r} is not")  # noqa: TRY004  (App Engine's)
    return obj, args, kwargs


def serialize(obj: Callable[..., object], *args: object, **kwargs: object) -> bytes:
    """The pickle of a call, as `run` takes it.

    Plain pickle, which App Engine's own ``deferred`` loads, wherever that will do; of protocol 0 where the environment
    variable ``DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL`` is set and not empty.

    Differs from App Engine: lambdas, closures, nested functions and classes go by value, with cloudpickle; App Engine
    could not defer them. What ``__main__`` defines goes by name and by value: its own program uses the name, others the
    value. Whoever runs such a call needs cloudpickle. Where there are signing keys, a signature follows the pickle's
    end, where readers of pickles stop.

    Raises:
        ValueError: ``obj`` cannot be called.
        pickle.PicklingError, TypeError: the arguments hold something that cannot be pickled, as a lock or a socket.
    """
    protocol = 0 if os.environ.get(_CROSS_COMPATIBLE) else pickle.HIGHEST_PROTOCOL
    return sealing.seal(
        runtime.settings().signing_keys, pickling.dumps(_curry_callable(obj, *args, **kwargs), protocol)
    )


def defer(
    obj: Callable[..., object],
    *args: object,
    _countdown: float | str | None = None,
    _eta: datetime | None = None,
    _headers: Mapping[str, object] | None = None,
    _name: str | None = None,
    _target: str | None = None,
    _transactional: bool = False,
    _url: str | None = _DEFAULT_URL,
    _retry_options: taskqueue.TaskRetryOptions | None = None,
    _queue: str = _DEFAULT_QUEUE,
    **kwargs: object,
) -> taskqueue.Task:
    """Call ``obj(*args, **kwargs)`` later, in a push task. Any other underscore name is an argument of the call.

    A pickle that is too large for a task is stored in the ledger, and the task carries its key.

    Differs from App Engine: such a task is transactional too if that was asked for (App Engine enqueued it at once);
    ``_url=None`` is the queue's default url, as App Engine's documentation said.

    Args:
        obj: see `serialize` for what can be deferred.
        *args: of the call.
        _countdown, _eta, _name, _target, _retry_options: as `Task`'s.
        _headers: more headers; a ``Content-Type`` replaces ``application/octet-stream``.
        _transactional: enqueue when, and only if, the current transaction commits.
        _url: where `application` is served.
        _queue: the queue's name.
        **kwargs: of the call.

    Returns:
        The enqueued Task.

    Raises:
        gae_broker.errors.Error: as `Task` and `Task.add`.
        ValueError, pickle.PicklingError, TypeError: as `serialize`.
    """

    def add(payload: bytes, large: LargePayload | None = None) -> taskqueue.Task:
        task = taskqueue.Task(
            payload=payload,
            countdown=_countdown,
            eta=_eta,
            headers=_TASKQUEUE_HEADERS | dict(_headers or {}),
            name=_name,
            retry_options=_retry_options,
            target=_target,
            url=_url,
        )
        if large is not None:
            task._carry(large)  # noqa: SLF001  (App Engine's Task knows of no such thing)
        return task.add(_queue, transactional=_transactional)

    pickled = serialize(obj, *args, **kwargs)
    try:
        return add(pickled)
    except taskqueue.TaskTooLargeError:
        return _enlist_reference(pickled, add) if _transactional else _add_reference(pickled, add)


def _enlist_reference(pickled: bytes, add: Callable[[bytes, LargePayload], taskqueue.Task]) -> taskqueue.Task:
    """Add a task that carries the key of a pickle, which is stored with the transaction: a rollback leaves nothing."""
    key = runtime.current().names.copy_id()
    return add(serialize(run_from_datastore, key), LargePayload(key, pickled))


def _add_reference(pickled: bytes, add: Callable[[bytes], taskqueue.Task]) -> taskqueue.Task:
    """Store a pickle, and add a task that carries its key."""
    entity = _DeferredTaskEntity(pickled)
    reference = serialize(run_from_datastore, entity.put())
    try:
        return add(reference)
    except TransientError:
        raise  # the task may be enqueued: its pickle must stay
    except Exception:
        entity.delete()
        raise


class Handler:
    """Receives deferred tasks, as a WSGI application or called by one (`post`)."""

    def run_from_request(self, environ: WSGIEnvironment) -> Response:
        """Check that a request is the dispatcher's, and make the call that it carries.

        Differs from App Engine: a missing ``SERVER_SOFTWARE`` means production (App Engine failed there), and the
        source address may come from ``X-AppEngine-User-IP``, which the dispatcher sends, as ``wrap_wsgi_app`` had it.

        Raises:
            PermanentTaskFailure: the pickle cannot be loaded.
            Exception: whatever the call raised.
        """
        if "HTTP_X_APPENGINE_TASKNAME" not in environ:
            return _forbid("The header 'X-AppEngine-Taskname' was not set.")
        developing = str(environ.get("SERVER_SOFTWARE", "")).startswith("Devel")
        if not developing and _SOURCE not in (environ.get("REMOTE_ADDR"), environ.get("HTTP_X_APPENGINE_USER_IP")):
            return _forbid("This request did not originate from Task Queue.")
        headers = [f"{key[5:]}:{value}" for key, value in environ.items() if key.startswith("HTTP_X_APPENGINE_")]
        _log.log(_DEFAULT_LOG_LEVEL, ", ".join(headers))
        run(environ["wsgi.input"].read(_content_length(environ)))
        return "Success", http.HTTPStatus.OK, [_TASKQUEUE_RESPONSE_HEADERS]

    def post(self, environ: WSGIEnvironment) -> Response:
        """The answer to a POST request: 200 done, or failed for good; 403 not from a task queue; 408 to try again.

        Raises:
            Exception: whatever the call raised, but for the two failures of this module; the task is tried again.
        """
        try:
            return self.run_from_request(environ)
        except (SingularTaskFailure, PermanentTaskFailure) as failure:
            return _failed(failure)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; what is no POST gets 405."""
        if environ["REQUEST_METHOD"] != "POST":
            status = http.HTTPStatus.METHOD_NOT_ALLOWED
            start_response(f"{status.value} {status.phrase}", [("Allow", "POST"), _TASKQUEUE_RESPONSE_HEADERS])
            return [b"deferred tasks are POST requests"]
        response, status, headers = self.post(environ)
        start_response(f"{status.value} {status.phrase}", headers)
        return [response.encode()]


class TaskHandler(WebappHandler):
    """Python 2's `Handler`, for webapp2: ``WSGIApplication([("/_ah/queue/deferred", deferred.TaskHandler)])``.

    Differs from App Engine: its library for Python 3 has it no more.
    """

    def run_from_request(self) -> None:
        """Do as `Handler.run_from_request` does.

        Raises:
            PermanentTaskFailure: the pickle cannot be loaded.
            Exception: whatever the call raised.
        """
        body = self.request.body  # webapp2 may have read the environ's
        again = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        text, status, _ = Handler().run_from_request(self.request.environ | again)
        self.answer(status, text)

    def post(self) -> None:
        """Answer as `Handler.post` does.

        Raises:
            Exception: whatever the call raised, but for the two failures of this module; the task is tried again.
        """
        try:
            self.run_from_request()
        except (SingularTaskFailure, PermanentTaskFailure) as failure:
            text, status, _ = _failed(failure)
            self.answer(status, text)


def _forbid(why: str) -> Response:
    message = f"Detected an attempted XSRF attack. {why}"
    _log.error(message)
    return message, http.HTTPStatus.FORBIDDEN, [_TASKQUEUE_RESPONSE_HEADERS]


def _failed(failure: Exception) -> Response:
    if isinstance(failure, SingularTaskFailure):
        _log.debug("Failure executing task, task retry forced")
        return "SingularTaskFailure", http.HTTPStatus.REQUEST_TIMEOUT, [_TASKQUEUE_RESPONSE_HEADERS]
    _log.error("Permanent failure attempting to execute task", exc_info=failure)
    return "PermanentTaskFailure", http.HTTPStatus.OK, [_TASKQUEUE_RESPONSE_HEADERS]


def _content_length(environ: WSGIEnvironment) -> int:
    try:
        return max(0, int(environ.get("CONTENT_LENGTH") or 0))
    except ValueError:
        return 0


application = Handler()
"""The WSGI application that serves ``/_ah/queue/deferred``."""
