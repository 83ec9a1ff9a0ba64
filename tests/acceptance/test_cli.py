"""The command line from outside: exit codes, and what one process does another sees."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import sqlite3

import pytest

APP = """\
import pathlib

def app(environ, start_response):
    name = environ["HTTP_X_APPENGINE_TASKNAME"]
    with pathlib.Path("ran").open("a") as ran:
        ran.write(name + "\\n")
    start_response("200 OK", [])
    return [b""]
"""
QUEUES = "queue:\n- name: default\n- name: other\n- name: inbox\n  mode: pull\n"


@pytest.mark.parametrize(
    ("words", "variables", "code"),
    [
        (["queues", "list"], {}, 0),
        (["queues", "pause", "nope"], {}, 1),
        (["queues", "pause"], {}, 2),
        (["queues", "list"], {"GAE_BROKER_LEDGER": "postgresql://user:hunter2@127.0.0.1:1/none"}, 3),
        (["queues", "list"], {"GAE_BROKER_URL": "nonsense"}, 4),
        (["dispatch", "--target", "no_such_module:app"], {}, 4),
    ],
)
def test_exit_codes(gae_broker, words: list[str], variables: dict[str, str], code: int) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    found = gae_broker(*words, **variables)
    assert (found.code, "Traceback" in found.err, bool(found.err)) == (code, False, code != 0)
    assert "hunter2" not in found.err


def test_pause_resume_and_purge_reach_a_running_dispatcher(gae_broker) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    gae_broker.write("handler.py", APP)
    assert gae_broker("queues", "pause", "default").code == 0
    gae_broker.add("default", "held")
    gae_broker.add("other", "free")
    dispatcher = gae_broker.start("dispatch", "--target", "handler:app", "--log-format", "json")
    first = json.loads(dispatcher.line('"event": "task.attempt"'))
    assert (first["queue"], first["task"], first["status"]) == ("other", "free", 200)
    listed = json.loads(gae_broker("queues", "list", "--format", "json").out)["queues"][0]
    assert (listed["name"], listed["state"], listed["tasks_in_queue"]) == ("default", "paused", 1)

    assert gae_broker("queues", "resume", "default").code == 0
    assert json.loads(dispatcher.line('"event": "task.attempt"'))["task"] == "held"

    assert gae_broker("queues", "pause", "default").code == 0
    gae_broker.wait_until_held("default")
    gae_broker.add("default", "a", "b")
    assert "purged of 2 tasks" in gae_broker("queues", "purge", "default", "--yes").err
    assert gae_broker("queues", "resume", "default").code == 0
    gae_broker.add("default", "last")
    assert json.loads(dispatcher.line('"event": "task.attempt"'))["task"] == "last"
    assert dispatcher.end() == -signal.SIGTERM
    assert (gae_broker.folder / "ran").read_text().split() == ["free", "held", "last"]


def test_of_two_dispatchers_the_second_stands_by_and_says_when_it_serves(gae_broker) -> None:
    gae_broker.write("handler.py", APP)
    first = gae_broker.start("dispatch", "--target", "handler:app")
    first.line("serving here now: default")
    second = gae_broker.start("dispatch", "--target", "handler:app")
    second.line("Dispatching every push queue")
    gae_broker.add("default", "a")
    first.line("default a POST", "200")
    assert first.end() == -signal.SIGTERM
    second.line("serving here now: default")
    assert second.end() == -signal.SIGTERM
    assert [path.name for path in gae_broker.folder.glob("gae-broker.db*")] == ["gae-broker.db"]


def test_a_failed_attempts_line_says_what_comes_next_and_a_handlers_traceback_is_shown(gae_broker) -> None:
    gae_broker.write("queue.yaml", "queue:\n- name: default\n  retry_parameters: {min_backoff_seconds: 3}\n")
    gae_broker.write("raising.py", "def app(environ, start_response):\n    raise ValueError('on purpose')\n")
    gae_broker.add("default", "a")
    dispatcher = gae_broker.start("dispatch", "--target", "raising:app", "--processes", "1-2")
    dispatcher.line("ValueError: on purpose")
    dispatcher.line("default a POST /_ah/queue/default try 1: 500", ", retry in 3.0 s: ")
    assert dispatcher.end() == -signal.SIGTERM


def test_dispatch_waits_for_what_starts_together_with_it(gae_broker) -> None:
    gae_broker.write("handler.py", APP)
    ledger = gae_broker.folder / "ledger.db"
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        dispatcher = gae_broker.start("dispatch", "--target", "handler:app", "--ledger", f"sqlite:///{ledger}")
        dispatcher.line("locked", "waiting until it can be used")
    dispatcher.line("Dispatching every push queue to default=handler:app")
    assert dispatcher.end() == -signal.SIGTERM


def test_dispatch_with_a_pool_of_processes(gae_broker) -> None:
    gae_broker.write("handler.py", APP)
    dispatcher = gae_broker.start("dispatch", "--target", "handler:app", "--processes", "1-2")
    gae_broker.add("default", "a", "b", "c")
    for _ in range(3):
        dispatcher.line("200")
    assert dispatcher.end() == -signal.SIGTERM
    assert sorted((gae_broker.folder / "ran").read_text().split()) == ["a", "b", "c"]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"n\n", 1, 1), (b"y\n", 0, 0)])
def test_destruction_is_confirmed_at_a_terminal(gae_broker, answer: bytes, code: int, left: int) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    gae_broker("tasks", "add", "inbox", "--payload", "x")
    ours, theirs = pty.openpty()
    os.write(ours, answer)
    found = gae_broker("queues", "purge", "inbox", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert found.code == code
    assert "Really purge 1 task of queue 'inbox'? [y/N]" in found.err
    described = json.loads(gae_broker("queues", "describe", "inbox", "--format", "json").out)
    assert described["tasks_in_queue"] == left
