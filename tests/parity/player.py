"""Plays a script against one side, App Engine's library or ours, and says in JSON what each line gave.

A script is Python text. Its top-level statements run one after the other, each at a moment of its own, in a namespace
made by the side: the names of ``taskqueue``, ``deferred``, a clock, a way to run push tasks. Every expression and every
assignment of one name yields a record, an exception included; the script goes on after it.

This file runs in both environments, so it imports nothing but the standard library.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import datetime
import enum
import importlib.util
import inspect
import io
import json
import logging
import os
import re
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

START_US = 1_700_000_000_000_000  # a full second, so that milliseconds are exact whatever is added
TICK_US = 10_000
ENVIRONMENT = {
    "HTTP_HOST": "testbed.example.com",
    "SERVER_SOFTWARE": "Development/1.0 (testbed)",
    "DEFAULT_VERSION_HOSTNAME": None,
    "TZ": "UTC",
}
"""What scripts find unless they say otherwise; ``None`` is not set."""

TASK_PROPERTIES = (
    "name",
    "url",
    "on_queue_url",
    "method",
    "payload",
    "headers",
    "eta",
    "eta_posix",
    "queue_name",
    "retry_count",
    "size",
    "retry_options",
    "tag",
    "target",
    "dispatch_deadline_usec",
    "was_enqueued",
    "was_deleted",
)
RETRY_OPTIONS = ("min_backoff_seconds", "max_backoff_seconds", "task_age_limit", "max_doublings", "task_retry_limit")
CHOSEN_NAME = re.compile(r"\btask\d+\b")  # the service counts them, and counts names of tasks that it refuses
RENAMED = {"DeferredError": "Error"}  # a listed difference
STATISTICS = ("queue", "tasks", "oldest_eta_usec")  # the others are random numbers in App Engine's stub


HEADERS_OF_ONE_SIDE = {"x-appengine-fake-is-admin", "x-appengine-user-ip", "x-appengine-taskretryreason"}
"""Intended differences of every request, left out of it unless a script asks for all headers."""


class Clock:
    """The time of both sides: it moves by a tick before each line, and when a script says so."""

    def __init__(self) -> None:
        self.now_us = START_US

    def time(self) -> float:
        return self.now_us / 1e6

    def advance(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)


class Dispatcher:
    """Stands where App Engine's development server makes the requests: writes them down and answers as told.

    Both stubs take it as their ``request_data``.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.statuses: list[int] = []
        self.show_all = False

    def answer(self, statuses: tuple[int, ...], *, show_all: bool) -> None:
        """Forget the requests so far; answer with these statuses from now on, then with 200."""
        self.requests, self.statuses, self.show_all = [], list(statuses), show_all

    def get_dispatcher(self) -> Dispatcher:
        return self

    def add_request(self, **request: Any) -> Any:
        self.requests.append(
            {
                "method": request["method"],
                "url": request["relative_url"],
                "headers": sorted(
                    [name.lower(), _comparable(name.lower(), value or "")]
                    for name, value in request["headers"]
                    if self.show_all or name.lower() not in HEADERS_OF_ONE_SIDE
                ),
                "body": describe(request["body"] or b""),
                "target": self._target(request["module_name"], request["version"], request["instance_id"]),
            },
        )
        return types.SimpleNamespace(status=self.statuses.pop(0) if self.statuses else 200)

    @staticmethod
    def _target(*names: str | None) -> list[str | None]:
        """Module, version and instance; the module ``default`` is what no name means."""
        return [None, None, None] if names == ("default", None, None) else list(names)


def _comparable(header: str, value: str) -> str:
    """A header's value; an eta to the millisecond, because App Engine's library truncates where we round."""
    return f"{float(value):.3f}" if header == "x-appengine-tasketa" else value


class Side(Protocol):
    """One implementation, fresh for each script."""

    def namespace(self) -> dict[str, Any]:
        """What scripts may use: the names of ``taskqueue`` and what only the side can do."""

    def close(self) -> None:
        """Forget everything."""


def play(make_side: Callable[[Clock, dict[str, Any]], Side], script: dict[str, Any]) -> list[Any]:
    """Run a script; one record for each statement.

    Args:
        make_side: opens a side on a clock, with the script's ``queue_yaml``.
        script: ``lines`` (Python), and if wanted ``queue_yaml`` and ``environment``.
    """
    clock = Clock()
    with environment({**ENVIRONMENT, **script.get("environment", {})}):
        side = make_side(clock, script)
        try:
            names = side.namespace() | _common(clock)
            functions.deferred = names["deferred"]
            return [_run(node, names, clock) for node in ast.parse(script["lines"]).body]
        finally:
            side.close()


@contextlib.contextmanager
def environment(variables: dict[str, str | None]) -> Iterator[None]:
    """Set these variables, the time zone with them, and put all back."""
    before = {name: os.environ.get(name) for name in variables}
    set_environment(variables)
    try:
        yield
    finally:
        set_environment(before)


def set_environment(variables: dict[str, str | None]) -> None:
    """Set these variables, or remove them, and the time zone with them."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    time.tzset()


def _common(clock: Clock) -> dict[str, Any]:
    def at(seconds: float) -> datetime.datetime:
        """An aware time, ``seconds`` from now."""
        return datetime.datetime.fromtimestamp(clock.time() + seconds, datetime.UTC)

    return {
        "datetime": datetime,
        "base64": base64,
        "advance": clock.advance,
        "now_us": lambda: clock.now_us,
        "at": at,
        "functions": functions,
        "attempt": attempt,
        "parameters": parameters,
        "wsgi": wsgi,
    }


def _run(node: ast.stmt, names: dict[str, Any], clock: Clock) -> Any:
    clock.now_us += TICK_US
    target = None
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        target, node = node.targets[0].id, ast.Expr(node.value)
    try:
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), "script", "exec"), names)
            return None
        value = eval(compile(ast.Expression(node.value), "script", "eval"), names)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return describe_error(error)
    if target:
        names[target] = value
    try:
        return describe(value)
    except Exception as error:  # noqa: BLE001  (a value that cannot even be looked at)
        return {"unreadable": describe_error(error)}


def attempt(function: Callable[[], Any]) -> Any:
    """What a call gives or raises, as a value: for use inside of a longer expression."""
    try:
        return function()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
        return error


def unless_refused(read: Callable[[str], Any], text: str, refusals: Any) -> Any:
    """What a reader makes of a text, or that it refuses it."""
    try:
        return read(text)
    except refusals:
        return "refused"


def parameters(function: Callable[..., Any]) -> list[Any]:
    """A signature without its annotations."""
    found = inspect.signature(function).parameters.values()
    return [(p.name, p.kind.name, None if p.default is p.empty else repr(p.default)) for p in found]


def listing(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stub's ``GetTasks`` without what depends on the real time."""
    return [{key: value for key, value in task.items() if key not in ("eta_delta", "add_request_pb")} for task in tasks]


def wsgi(application: Any, body: bytes = b"", method: str = "POST", **environ: str) -> Any:
    """Call a WSGI application; status, headers and body, or what it raised."""
    answer: list[Any] = []
    given = {
        "REQUEST_METHOD": method,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "SERVER_SOFTWARE": "Development/1.0 (testbed)",
        **environ,
    }
    chunks = application(given, lambda status, headers, *_: answer.append((status, headers)))
    return [*answer, b"".join(chunks)]


# ------------------------------------------------------------------------------------------ to JSON


def describe(value: Any) -> Any:
    """A value in JSON, types that matter to a caller included."""
    for kinds, described in _DESCRIPTIONS:
        if isinstance(value, kinds):
            return described(value)
    return _OBJECTS.get(type(value).__name__, _describe_other)(value)


def describe_error(error: BaseException) -> Any:
    """An exception: its type and what it derives from; its text is each side's own."""
    return {"error": type(error).__name__, "ancestry": ancestry(type(error))}


def ancestry(kind: type) -> list[str]:
    """The names of a class's bases up to Exception, in the order in which ``except`` sees them."""
    bases = [base.__name__ for base in kind.__mro__[1:] if base not in (object, BaseException)]
    return [RENAMED.get(name, name) for name in bases]


def _describe_many(value: Any) -> Any:
    return {type(value).__name__: [describe(item) for item in value]}


def _describe_dict(value: dict[Any, Any]) -> Any:
    return {"dict": sorted(([describe(key), describe(item)] for key, item in value.items()), key=str)}


def _describe_time(value: datetime.datetime) -> Any:
    return {"datetime": milliseconds(value.timestamp()), "utc": str(value.utcoffset())}


def _describe_task(task: Any) -> Any:
    return {"Task": {name: describe(getattr(task, name)) for name in TASK_PROPERTIES}}


def _describe_options(options: Any) -> Any:
    return {"TaskRetryOptions": {name: describe(getattr(options, name)) for name in RETRY_OPTIONS}}


def _describe_statistics(statistics: Any) -> Any:
    return {"QueueStatistics": {name: describe(getattr(statistics, name)) for name in STATISTICS}}


def _describe_other(value: Any) -> Any:
    if hasattr(value, "check_success"):
        return {"rpc": True}
    if callable(value):
        return {"callable": getattr(value, "__name__", type(value).__name__)}
    shown = repr(value)
    return {"object": type(value).__name__ if " at 0x" in shown else shown}


# In this order: a bool is an int, an HTTPStatus too.
_DESCRIPTIONS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (BaseException, describe_error),
    (enum.Enum, lambda value: {"enum": f"{type(value).__name__}.{value.name}"}),
    ((bool, int, type(None)), lambda value: value),
    (str, lambda value: CHOSEN_NAME.sub("task#", value)),
    (float, lambda value: {"float": repr(round(value, 3))}),
    (bytes, lambda value: {"bytes": value.decode("latin-1")}),
    (datetime.datetime, _describe_time),
    ((list, tuple), _describe_many),
    (dict, _describe_dict),
    (type, lambda value: {"class": value.__name__, "ancestry": ancestry(value)}),
)
_OBJECTS: dict[str, Callable[[Any], Any]] = {
    "Task": _describe_task,
    "TaskRetryOptions": _describe_options,
    "QueueStatistics": _describe_statistics,
    "Queue": lambda queue: {"Queue": queue.name},
}


def milliseconds(seconds: float) -> int:
    """Rounded, so that it is compared as a person would."""
    return round(seconds * 1000)


def serve(make_side: Callable[[Clock, dict[str, Any]], Side]) -> None:
    """Answer each line of standard input, a script in JSON, with one line: the records, or why there are none."""
    logging.disable(logging.CRITICAL)
    warnings.showwarning = lambda *_, **__: None  # App Engine's libraries turn them on again
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes elsewhere
    for line in sys.stdin:
        try:
            answer: Any = {"records": play(make_side, json.loads(line))}
        except Exception as error:  # noqa: BLE001  (told to the test that asked)
            answer = {"broken": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def load_functions() -> types.ModuleType:
    """The module of functions that scripts defer, under the one name that both sides' pickles have for it."""
    spec = importlib.util.spec_from_file_location("functions", Path(__file__).with_name("functions.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["functions"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


functions = load_functions()
