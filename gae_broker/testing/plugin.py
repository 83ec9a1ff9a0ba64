"""A pytest plugin: task queues without a server, and with a clock to move.

It is found by itself where gae-broker is installed; elsewhere: ``pytest_plugins = ["gae_broker.testing.plugin"]``.
Each test gets a runtime of its own, so tests may run in any order and in any number of processes.

Nothing of gae-broker is imported before a fixture is used: pytest loads this module in suites that need none.
``GAE_BROKER_SHIM=1`` in the environment is the exception: App Engine's import names then lead to our modules, from
before the first conftest.py is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gae_broker.domain.queue import QueueFile
    from gae_broker.testing.bench import TaskBench
    from gae_broker.testing.testbed import Testbed

_MARKER = "gae_queues"
_SHIM = "GAE_BROKER_SHIM"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Put us in App Engine's place before a conftest.py imports its names."""
    _install_shim()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the shim where the plugin was named in a conftest.py and so came after that."""
    _install_shim()
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(queues): the test's queues: a path (relative to the test's file, or to the root folder), "
        "queue.yaml's text, or a mapping of names to entries.",
    )


@pytest.fixture
def gae_app() -> object:
    """The WSGI or ASGI application that tasks run into; override it in a conftest.py. ``None``: deferred calls only."""
    return None


@pytest.fixture
def gae_testbed(request: pytest.FixtureRequest, gae_app: object) -> Iterator[Testbed]:
    """An active `Testbed` with the task queue's stub; with ``gae_tasks`` in the same test, both are one."""
    from gae_broker.testing.testbed import Testbed  # noqa: PLC0415

    testbed = Testbed()
    testbed.activate()
    try:
        testbed.init_taskqueue_stub(app=gae_app, queues=_queues(request))
        yield testbed
    finally:
        testbed.deactivate()


@pytest.fixture
def gae_tasks(request: pytest.FixtureRequest, gae_app: object) -> Iterator[TaskBench]:
    """The test's task queue: add, list, filter and run tasks, and let time pass."""
    if "gae_testbed" in request.fixturenames:
        stub = request.getfixturevalue("gae_testbed").get_stub("taskqueue")
        yield stub.bench
        return
    from gae_broker.testing.bench import TaskBench  # noqa: PLC0415
    from gae_broker.testing.environment import Environment  # noqa: PLC0415

    environment = Environment()
    environment.set(overwrite=False, variables={})
    try:
        with TaskBench(_queues(request), app=gae_app) as bench:
            yield bench
    finally:
        environment.restore()


def _install_shim() -> None:
    written = os.environ.get(_SHIM)
    if not written:
        return
    from gae_broker import registry  # noqa: PLC0415
    from gae_broker.domain import shim  # noqa: PLC0415
    from gae_broker.errors import SettingsError  # noqa: PLC0415

    try:
        registry.install_shim(shim.parse(written))
    except (SettingsError, ValueError) as exc:
        raise pytest.UsageError(f"{_SHIM}={written}: {exc}") from exc


def _queues(request: pytest.FixtureRequest) -> QueueFile | None:
    from gae_broker.domain.queue import QueueFile  # noqa: PLC0415
    from gae_broker.testing.queue_source import read_queues  # noqa: PLC0415

    marker = request.node.get_closest_marker(_MARKER)
    if marker is None:
        return None
    if len(marker.args) != 1 or marker.kwargs:
        raise pytest.UsageError(f"{_MARKER} takes one argument: a path, a text or a mapping")
    queues = marker.args[0]
    if isinstance(queues, str) and "\n" not in queues and ":" not in queues:
        queues = _find(Path(queues), request)
    if not isinstance(queues, (str, Path, Mapping, QueueFile)):
        raise pytest.UsageError(f"{_MARKER}: a path, a text or a mapping is needed, not {queues!r}")
    return read_queues(queues)


def _find(path: Path, request: pytest.FixtureRequest) -> Path:
    folders = [request.path.parent, request.config.rootpath]
    found = next((folder / path for folder in folders if (folder / path).is_file()), None)
    if found is None:
        looked = " and ".join(str(folder) for folder in folders)
        raise pytest.UsageError(f"{_MARKER}: there is no {path} in {looked}")
    return found
