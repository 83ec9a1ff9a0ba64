"""What the integration tests of dispatching share."""

from __future__ import annotations

import sys

import pytest

from tests.integration.dispatching import Application, as_module


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    """An application that the target ``handlers_of_a_test:app`` finds."""
    made = Application()
    monkeypatch.setitem(sys.modules, "handlers_of_a_test", as_module("handlers_of_a_test", app=made.app))
    return made
