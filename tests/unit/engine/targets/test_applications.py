"""Finding an application by ``module:app``."""

from __future__ import annotations

import sys
import types

import pytest

from gae_broker.engine.targets.applications import Interface, is_application, load
from gae_broker.errors import ConfigurationError


def wsgi(environ, start_response):
    return []


async def asgi(scope, receive, send):
    pass


class AsgiObject:
    async def __call__(self, scope, receive, send):
        pass


@pytest.fixture(autouse=True)
def module(monkeypatch):
    module = types.ModuleType("sample_of_applications")
    module.wsgi, module.asgi, module.object = wsgi, asgi, AsgiObject()
    module.create = lambda: wsgi
    module.broken = lambda: 1 / 0
    module.number = 7
    module.nested = types.SimpleNamespace(app=asgi)
    monkeypatch.setitem(sys.modules, "sample_of_applications", module)


@pytest.mark.parametrize(
    ("path", "interface", "app"),
    [
        ("sample_of_applications:wsgi", Interface.WSGI, wsgi),
        ("sample_of_applications:asgi", Interface.ASGI, asgi),
        ("sample_of_applications:object", Interface.ASGI, None),
        ("sample_of_applications:nested.app", Interface.ASGI, asgi),
        ("sample_of_applications:create()", Interface.WSGI, wsgi),
        ("asgi+sample_of_applications:wsgi", Interface.ASGI, wsgi),
        ("wsgi+sample_of_applications:asgi", Interface.WSGI, asgi),
    ],
)
def test_found(path, interface, app):
    loaded = load(path)
    assert loaded.interface is interface
    assert app is None or loaded.app is app


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("no_such_module_anywhere:app", "cannot import no_such_module_anywhere"),
        ("sample_of_applications:gone", "has no gone"),
        ("sample_of_applications:number", "not callable"),
        ("sample_of_applications:number()", "not callable"),
        ("sample_of_applications:broken()", "ZeroDivisionError"),
        ("sample_of_applications", "write module:app"),
    ],
)
def test_what_cannot_be_used_says_why(path, text):
    with pytest.raises(ConfigurationError, match=text):
        load(path)


@pytest.mark.parametrize("missing", ["google", "google.appengine"])
def test_app_engines_imports_are_told_what_answers_them(tmp_path, monkeypatch, missing):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"old_{missing.replace('.', '_')}"
    (tmp_path / f"{name}.py").write_text(f"\nraise ModuleNotFoundError('No', name='{missing}')\n")
    with pytest.raises(
        ConfigurationError, match=rf"{name}.py:2; set GAE_BROKER_SHIM=1 .*, or run 'gae-broker migrate'"
    ):
        load(f"{name}:app")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("shop.main:app", True), ("wsgi+m:a()", True), ("http://localhost:80", False), ("https://h/p", False)],
)
def test_applications_are_told_from_addresses(spec, expected):
    assert is_application(spec) is expected
