"""target and Host, each derived from the other (gae-semantics 2.4), and the namespace headers."""

from __future__ import annotations

import logging

import pytest

from gae_broker import taskqueue as tq
from gae_broker.taskqueue import host, surroundings
from gae_broker.taskqueue.taskqueue import _UNKNOWN_APP_VERSION

DEFAULT, UNKNOWN = tq.DEFAULT_APP_VERSION, _UNKNOWN_APP_VERSION
D = "app.example.com"


@pytest.mark.parametrize(
    ("variables", "arguments", "target", "header", "named"),
    [
        ({}, {}, UNKNOWN, None, None),
        ({}, {"target": "v1"}, "v1", None, "v1"),
        ({}, {"target": DEFAULT}, DEFAULT, None, None),
        ({}, {"headers": {"host": "x"}}, UNKNOWN, "x", None),
        ({"D": D}, {}, UNKNOWN, None, None),
        ({"D": D}, {"target": "v1"}, "v1", f"v1.{D}", "v1"),
        ({"D": D}, {"target": DEFAULT}, DEFAULT, D, None),
        ({"D": D}, {"target": ""}, "", f".{D}", None),
        ({"D": D}, {"headers": {"HOST": f"v2.{D}"}}, "v2", f"v2.{D}", "v2"),
        ({"D": D}, {"headers": {"Host": f"v2.module.{D}"}}, "v2.module", f"v2.module.{D}", "v2.module"),
        ({"D": D}, {"headers": {"Host": D}}, DEFAULT, D, None),
        ({"D": D}, {"headers": {"Host": "other.org"}}, DEFAULT, "other.org", None),
        ({"D": D}, {"headers": {"Host": f"bad{D}"}}, "ba", f"bad{D}", "ba"),
        ({"H": "h.org"}, {}, UNKNOWN, "h.org", None),
        ({"H": ""}, {}, UNKNOWN, None, None),
        ({"H": f"v3.{D}", "D": D}, {}, "v3", f"v3.{D}", None),
        ({"H": D, "D": D}, {}, DEFAULT, D, None),
        ({"H": f"v3.{D}", "D": D}, {"target": "v1"}, "v1", f"v1.{D}", "v1"),
        ({"H": f"v3.{D}", "D": D}, {"headers": {"Host": D}}, DEFAULT, D, None),
    ],
    ids=str,
)
def test_target_and_host(monkeypatch, variables, arguments, target, header, named):
    for short, value in variables.items():
        monkeypatch.setenv({"D": "DEFAULT_VERSION_HOSTNAME", "H": "HTTP_HOST"}[short], value)
    task = tq.Task(**arguments)
    assert task.target == target
    hosts = [value for name, value in task.headers.items() if name.lower() == "host"]
    assert hosts == ([] if header is None else [header])
    assert task._content("default").target == named


def test_the_singletons_say_what_they_are():
    assert repr(DEFAULT) == "<DefaultApplicationVersion>"
    assert repr(UNKNOWN) == "<UnknownApplicationVersion>"


def test_a_missing_host_is_told_once_and_quietly(monkeypatch, caplog):
    monkeypatch.setattr(host, "_told", set())
    with caplog.at_level(logging.DEBUG, logger="gae_broker"):
        tq.Task()
        tq.Task()
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "HTTP_HOST" in caplog.text


def test_the_requests_environ_comes_before_the_processs(monkeypatch):
    monkeypatch.setenv("HTTP_HOST", "process.org")
    token = surroundings.request_environ.set(
        {
            "HTTP_HOST": "request.org",
            "HTTP_X_APPENGINE_CURRENT_NAMESPACE": "shop",
            "HTTP_X_APPENGINE_DEFAULT_NAMESPACE": "domain.org",
        },
    )
    try:
        headers = tq.Task().headers
    finally:
        surroundings.request_environ.reset(token)
    assert headers == {
        "X-AppEngine-Default-Namespace": "domain.org",
        "X-AppEngine-Current-Namespace": "shop",
        "Host": "request.org",
    }
    assert tq.Task().headers == {"X-AppEngine-Current-Namespace": "", "Host": "process.org"}


def test_a_namespace_header_of_the_callers_stays():
    assert tq.Task(headers={"x-appengine-current-NAMESPACE": "mine"}).headers == {
        "x-appengine-current-NAMESPACE": "mine",
    }


def test_the_surroundings_can_be_replaced():
    class Elsewhere:
        def variable(self, name):
            return {"HTTP_HOST": "elsewhere.org"}.get(name)

        def namespace(self):
            return "north"

        def apps_namespace(self):
            return None

    previous = surroundings.use(Elsewhere())
    try:
        assert tq.Task().headers == {"X-AppEngine-Current-Namespace": "north", "Host": "elsewhere.org"}
    finally:
        surroundings.use(previous)
