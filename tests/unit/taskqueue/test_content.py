"""What the engine is given to store of a Task."""

from __future__ import annotations

import datetime as dt

from gae_broker.domain.task import Content
from gae_broker.taskqueue import Task
from gae_broker.taskqueue.taskqueue import _UTC

NAMESPACE = ("X-AppEngine-Current-Namespace", "")


def test_a_push_task():
    task = Task(
        "é",
        name="n",
        url="/u",
        method="PUT",
        headers={"A": ["1", "ü"], b"B": b"\xff", "C": 5},
        dispatch_deadline_usec=20_000_000,
        target="v1",
    )
    assert task._content("q") == Content(
        "n",
        "PUT",
        url="/u",
        headers=(
            ("A", "1"),
            ("A", "ü"),
            ("B", "ÿ"),
            ("C", "5"),
            NAMESPACE,
            ("content-type", "text/plain; charset=utf-8"),
        ),
        payload="é".encode(),
        deadline_us=20_000_000,
        target="v1",
        named=True,
    )


def test_an_empty_push_task():
    assert Task()._content("q") == Content("", "POST", url="/_ah/queue/q", headers=(NAMESPACE,))
    assert Task(0)._content("q").payload == b""


def test_the_form_of_a_post_is_bytes_there():
    assert Task(params={"a": 1})._content("q").payload == b"a=1"


def test_a_pull_task_is_its_payload_and_tag():
    assert Task("x", method="PULL", tag=b"t")._content("q") == Content("", "PULL", payload=b"x", tag="t")
    assert Task("x", method="PULL", tag="")._content("q").tag is None


def test_the_time_zone_of_etas():
    assert dt.datetime(2026, 1, 1, tzinfo=_UTC) == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    eta = Task().eta
    assert (eta.utcoffset(), eta.dst(), eta.tzname()) == (dt.timedelta(0), dt.timedelta(0), "UTC")
