"""Migrated programs run, and what their names stand for is ours: imports of every form, at every place, combined."""

from __future__ import annotations

import ast

from hypothesis import given, settings
from hypothesis import strategies as st

import gae_broker.deferred.deferred
import gae_broker.taskqueue.taskqueue
import gae_broker.testing.testbed
from gae_broker.codemod import names, program
from gae_broker.codemod.outcome import Surroundings

TASKQUEUE, DEFERRED = gae_broker.taskqueue, gae_broker.deferred
# An import statement, an expression that uses what it binds, and what that must be.
FORMS = [
    ("from google.appengine.api import taskqueue", "taskqueue.add", TASKQUEUE.add),
    ("from google.appengine.api import taskqueue as tq", "tq.Task", TASKQUEUE.Task),
    ("from google.appengine.api.labs import taskqueue as labs", "labs.Queue", TASKQUEUE.Queue),
    ("from google.appengine.api.taskqueue import Task, Queue as Q", "(Task, Q)", (TASKQUEUE.Task, TASKQUEUE.Queue)),
    ("from google.appengine.api.taskqueue import taskqueue as low", "low", TASKQUEUE.taskqueue),
    ("from google.appengine.ext import deferred, testbed", "deferred.defer", DEFERRED.defer),
    ("from google.appengine.ext.deferred import defer", "defer", DEFERRED.defer),
    ("from google.appengine.ext.deferred.deferred import run, taskqueue as t2", "(run, t2)", (DEFERRED.run, TASKQUEUE)),
    ("from google.appengine.ext import testbed as tb", "tb", gae_broker.testing.testbed),
    ("import google.appengine.api.taskqueue", "google.appengine.api.taskqueue.Error", TASKQUEUE.Error),
    ("import google.appengine.api.taskqueue as m", "m", TASKQUEUE),
    (
        "import google.appengine.api.taskqueue.taskqueue",
        "google.appengine.api.taskqueue.taskqueue",
        TASKQUEUE.taskqueue,
    ),
    ("import google.appengine.ext.deferred.deferred", "google.appengine.ext.deferred.deferred", DEFERRED.deferred),
    ("import json, google.appengine.ext.deferred as d, os", "(json and d)", DEFERRED),
    ("import importlib", "importlib.import_module('google.appengine.api.taskqueue')", TASKQUEUE),
]
PLACES = [
    "{statement}\n{use}\n",
    "try:\n    {statement}\nexcept ImportError:\n    pass\n{use}\n",
    "if True:\n\t{statement}; pass\n{use}\n",
    "def function{n}():\n    {statement}\n    def inner():\n        {use}\n    inner()\nfunction{n}()\n",
    "class C{n}:\n    {statement}\n    {use}\n",
    "if True: {statement}\n{use}\n",
    "lambda google: google.appengine.api.taskqueue\n{statement}\nf{n} = lambda: [{found} for _ in '1']\nf{n}()\n",
]
CHOSEN = st.lists(st.tuples(st.integers(0, len(FORMS) - 1), st.sampled_from(PLACES)), min_size=1, max_size=6)


def program_of(chosen: list[tuple[int, str]]) -> str:
    """A program that reports each thing it used as ``found(index, thing)``."""
    text = "# init_taskqueue_stub\n_ = lambda bed: bed.init_taskqueue_stub()\n"
    for n, (index, place) in enumerate(chosen):
        statement, use, _ = FORMS[index]
        found = f"found({index}, {use})"
        text += place.format(statement=statement, use=found, found=found, n=n)
    return text


@settings(max_examples=40)
@given(CHOSEN)
def test_names_are_ours_when_a_migrated_program_runs(chosen: list[tuple[int, str]]) -> None:
    outcome = program.analyse(program_of(chosen).encode(), Surroundings())
    assert outcome.remarks == ()
    seen: list[int] = []

    def found(index: int, thing: object) -> None:
        assert thing == FORMS[index][2]
        seen.append(index)

    exec(compile(outcome.data, "migrated", "exec"), {"found": found, "__name__": "migrated"})
    assert seen == [index for index, _ in chosen]
    again = program.analyse(outcome.data, Surroundings())
    assert (again.data, again.remarks) == (outcome.data, ())


@settings(max_examples=40)
@given(CHOSEN, st.sampled_from(["utf-8", "latin-1", "utf-8-sig"]), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_is_not_ours_keeps_its_bytes(
    chosen: list[tuple[int, str]], encoding: str, newline: str, has_end: bool
) -> None:
    cookie = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    text = cookie + "NAME = 'Bj\u00f6rn'  \t\n\n\x0c\n" + program_of(chosen) + "LAST = 'caf\u00e9'" + "\n" * has_end
    data = text.replace("\n", newline).encode(encoding)
    changed = program.analyse(data, Surroundings()).data
    before, after = data.split(newline.encode()), changed.split(newline.encode())
    assert before[:2] == after[:2]
    theirs = [line for line in before if b"google" not in line or b"lambda google" in line]
    assert theirs == [line for line in after if b"gae_broker" not in line]
    ast.parse(changed)


def test_every_module_that_is_named_is_there() -> None:
    for module in {*names.MODULES.values(), names.OUR_TESTBED}:
        assert names.offers(module, ())
    assert all(names.offers(names.OUR_TESTBED, (name,)) for name in gae_broker.testing.testbed.__all__)
    assert not names.offers(names.OUR_TESTBED, ("NO_SERVICE_NAME",))
