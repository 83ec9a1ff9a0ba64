"""Imports form no ring, hide nowhere, and have no effect beside defining names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = {"gae_broker", "gae_broker_adapters"}

# Imports every module given on standard input under an audit hook and reports what they did beside being read.
WATCH = """
import json, os, sys, threading
before = dict(os.environ)
reads, effects = [], []

class Watched(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame.f_globals["__name__"] in {"os", "_collections_abc", "collections.abc"}:
            frame = frame.f_back
        if "gae_broker" in frame.f_globals["__name__"]:
            reads.append(f"{frame.f_globals['__name__']} reads {key}")
        return super().__getitem__(key)

os.environ.__class__ = Watched
EFFECTS = {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir", "os.fork"}

def audit(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in EFFECTS:
        effects.append(f"{event} {args[0]!r}")

sys.dont_write_bytecode = True
names = json.load(sys.stdin)
sys.addaudithook(audit)
for name in names:
    __import__(name)
print(json.dumps({"reads": reads, "effects": effects, "threads": threading.active_count(),
                  "environment": dict(os.environ) != before}))
"""


def imported(path: Path, module: str, known: set[str]) -> set[str]:
    """The modules of ours that a file imports, wherever in the file it does."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            prefix = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, (prefix, node.module or "")))
            names = [f"{source}.{alias.name}" for alias in node.names]
            names = [name if name in known else source for name in names]
        else:
            continue
        found.update(name for name in names if name in known)
    return found - {module}


@pytest.fixture(scope="module")
def graph(library_modules: dict[str, Path]) -> dict[str, set[str]]:
    known = set(library_modules)
    return {module: imported(path, module, known) for module, path in library_modules.items()}


def test_no_ring_of_imports_typing_included(graph: dict[str, set[str]]):
    assert len(graph) > 10
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a ring: " + " -> ".join(error.args[1]))


def test_a_ring_would_be_found(tmp_path: Path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("def late():\n    from gae_broker.second import x\n")
    second.write_text("import typing\nif typing.TYPE_CHECKING:\n    import gae_broker.first\n")
    known = {"gae_broker.first", "gae_broker.second"}
    ring = {f"gae_broker.{path.stem}": imported(path, f"gae_broker.{path.stem}", known) for path in (first, second)}
    assert ring == {"gae_broker.first": {"gae_broker.second"}, "gae_broker.second": {"gae_broker.first"}}


def test_no_contract_has_an_exception(root: Path):
    configuration = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    assert {contract["id"] for contract in configuration["contracts"]} >= {"layers", "acyclic", "core", "adapters"}
    assert [key for contract in configuration["contracts"] for key in contract if "ignore" in key] == []
    assert "exclude_type_checking_imports" not in configuration


def test_importing_opens_nothing_reads_no_environment_and_starts_no_thread(
    library_modules: dict[str, Path], root: Path
):
    # What stands on Google's library is imported where that is: tests/beside_google. Models can be imported in a
    # project that is set up, and nowhere else: Django insists. And google-cloud-ndb tries IPv6 when it is imported.
    elsewhere = (
        "gae_broker_adapters.appengine_service.",
        "gae_broker_adapters.django.models",
        "gae_broker_adapters.ndb",
    )
    names = [name for name in library_modules if not name.endswith("__main__") and not name.startswith(elsewhere)]
    ran = subprocess.run(
        [sys.executable, "-c", WATCH],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{root}:{root / 'adapters'}", "HOME": str(root)},
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {"reads": [], "effects": [], "threads": 1, "environment": False}
