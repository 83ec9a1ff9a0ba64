"""A built wheel, an editable install and an uninstalled checkout all give the same working library."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from gae_broker import registry

DATA_FILES = {"gae_broker/py.typed", "gae_broker_adapters/py.typed", "gae_broker/queue.schema.json"}

# Adds a task to the embedded broker in memory and leases it: facade, engine, registry and both adapters at work.
USE_IT = """
import json
from importlib.resources import files
import gae_broker, gae_broker_adapters
from gae_broker import deferred, taskqueue
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings

json.loads((files("gae_broker") / "queue.schema.json").read_text())
with open("queue.yaml", "w") as file:
    file.write("queue:\\n- name: jobs\\n  mode: pull\\n")
with using(Runtime.open(Settings(url="embedded://", ledger="sqlite://"))):
    taskqueue.Queue("jobs").add(taskqueue.Task(payload=b"x", method="PULL"))
    [task] = taskqueue.Queue("jobs").lease_tasks(60, 10)
    print(task.payload.decode(), gae_broker.__file__, gae_broker_adapters.__file__)
"""
ADAPTERS_RESOLVE = """
from importlib.metadata import entry_points
for group in ("gae_broker.brokers", "gae_broker.ledgers"):
    found = entry_points(group=group)
    print(group, *sorted({point.name for point in found if callable(point.load())}))
"""


def run(command: list[str | Path], cwd: Path, **environment: str) -> str:
    """What a command printed; its complaints where it failed."""
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    ran = subprocess.run(command, cwd=cwd, env=clean | environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as a release would be."""
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], root)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the wheel and its locked dependencies, nothing else of ours."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    uv = Path(sysconfig.get_path("scripts")) / "uv"
    install = [uv, "pip", "install", "--quiet", "--python", python]
    locked = [*install, "--require-hashes", "-r", root / "requirements" / "runtime.lock"]
    try:
        run([*locked, "--offline"], folder)  # from the cache that `make venv` filled
    except AssertionError:
        run(locked, folder)
    run([*install, "--no-deps", "--offline", wheel], folder)
    return python


def test_the_wheel_holds_both_packages_their_data_and_nothing_else(wheel: Path, root: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= DATA_FILES
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"gae_broker", "gae_broker_adapters"}
    modules = {
        str(path.relative_to(source))
        for package, source in (("gae_broker", root), ("gae_broker_adapters", root / "adapters"))
        for path in (source / package).rglob("*.py")
    }
    assert modules <= names


def test_the_wheel_works_in_a_new_environment(installed: Path, tmp_path: Path):
    payload, core, adapters = run([installed, "-c", USE_IT], tmp_path).split()
    assert payload == "x"
    assert "site-packages" in core
    assert "site-packages" in adapters
    assert run([installed, "-c", ADAPTERS_RESOLVE], tmp_path).splitlines() == [
        " ".join((registry.BROKER_GROUP, *sorted(registry.BROKERS))),
        " ".join((registry.LEDGER_GROUP, *sorted(registry.LEDGERS))),
    ]


def test_the_wheel_brings_the_command(installed: Path, tmp_path: Path):
    assert "dispatch" in run([installed.parent / "gae-broker", "--help"], tmp_path)


def test_an_editable_install_works_outside_the_checkout(tmp_path: Path, root: Path):
    payload, core, adapters = run([sys.executable, "-c", USE_IT], tmp_path).split()
    assert payload == "x"
    assert Path(core).is_relative_to(root / "gae_broker")
    assert Path(adapters).is_relative_to(root / "adapters")


def test_an_uninstalled_checkout_works(installed: Path, tmp_path: Path, root: Path):
    """With nothing but the two source roots on the path, as the adapters are also in the registry's own table."""
    roots = f"{root}{os.pathsep}{root / 'adapters'}"
    payload, core, adapters = run([installed, "-c", USE_IT], tmp_path, PYTHONPATH=roots).split()
    assert payload == "x"
    assert Path(core).is_relative_to(root / "gae_broker")
    assert Path(adapters).is_relative_to(root / "adapters")


def test_the_source_root_named_adapters_is_no_package(installed: Path, tmp_path: Path):
    say = "import importlib.util as u; print(u.find_spec('adapters'))"
    assert run([installed, "-c", say], tmp_path).strip() == "None"


def test_locks_name_no_host_and_hash_everything(root: Path):
    for lock in sorted((root / "requirements").glob("*.lock")):
        text = lock.read_text()
        assert "://" not in text, lock
        assert "--index" not in text, lock
        assert "--find-links" not in text, lock
        pinned = [line for line in text.splitlines() if "==" in line and not line.lstrip().startswith("#")]
        assert pinned, lock
        assert [line for line in pinned if not line.endswith("\\")] == [], lock


def test_every_declared_dependency_is_locked(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text())
    declared = {
        "runtime": project["project"]["dependencies"],
        "extras": [r for extra in project["project"]["optional-dependencies"].values() for r in extra],
        "dev": project["dependency-groups"]["dev"],
    }
    for lock, requirements in declared.items():
        text = (root / "requirements" / f"{lock}.lock").read_text().lower()
        for requirement in requirements:
            name = requirement.partition(">=")[0].partition("[")[0].lower()
            assert f"\n{name}==" in text or f"\n{name}[" in text, f"{requirement} is not in {lock}.lock: make lock"
