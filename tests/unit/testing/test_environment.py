"""The environment variables that a testbed sets."""

from __future__ import annotations

import os

import pytest

from gae_broker.testing.environment import DEFAULT_ENVIRONMENT, Environment


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULT_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def test_everything_is_put_back_whoever_changed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("REMOVED", "2")
    before = dict(os.environ)
    environment = Environment()
    environment.set(overwrite=False, variables={"NEW": "3"})
    os.environ["KEPT"] = "changed"
    del os.environ["REMOVED"]
    os.environ["STRAY"] = "4"
    assert os.environ["HTTP_HOST"] == "testbed.example.com"
    environment.restore()
    assert dict(os.environ) == before


def test_what_is_set_stays_unless_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_HOST", "mine.example.com")
    environment = Environment()
    environment.set(overwrite=False, variables={"HTTP_HOST": "other"})
    assert os.environ["HTTP_HOST"] == "mine.example.com"
    environment.set(overwrite=True, variables={"HTTP_HOST": "other"})
    assert os.environ["HTTP_HOST"] == "other"
    environment.restore()


def test_overwriting_sets_no_defaults() -> None:
    environment = Environment()
    environment.set(overwrite=True, variables={"USER_EMAIL": "a@b.example"})
    assert os.environ["USER_EMAIL"] == "a@b.example"
    assert "SERVER_SOFTWARE" not in os.environ
    environment.restore()


@pytest.mark.parametrize(("app_id", "project"), [("shop", "shop"), ("s~shop", "shop")])
def test_an_app_id_names_the_application_and_its_project(app_id: str, project: str) -> None:
    environment = Environment()
    environment.set(overwrite=False, variables={"APP_ID": app_id})
    assert (os.environ["GAE_APPLICATION"], os.environ["GOOGLE_CLOUD_PROJECT"]) == (app_id, project)
    assert "APP_ID" not in os.environ
    environment.restore()
