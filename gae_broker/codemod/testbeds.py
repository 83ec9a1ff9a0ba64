"""The rule for ``google.appengine.ext.testbed``: ours stands in for it where the task queue is the only service."""

from __future__ import annotations

import re
from collections.abc import Iterable

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.plan import Plan
from gae_broker.codemod.reading import Reading, dotted, imported

_SERVICE = re.compile(r"init_(\w+)_stubs?|(\w+)_SERVICE_NAME")
_IMPORTED = re.compile(rb"google\.appengine\.ext(\.testbed\b|\s+import\b[^\n]*(\n[^\n=:]*)*\btestbed\b)")
_CALLED = re.compile(rb"\.init_(\w+)_stubs?\b")
_OURS = "taskqueue"
_ADVICE = (
    "import gae_broker_adapters.appengine first in the tests' conftest.py (or set GAE_BROKER_SHIM=1 for pytest): "
    "Google's testbed then makes our task queue; or use gae_broker.testing.testbed for the task queue alone"
)


def services_elsewhere(files: Iterable[bytes]) -> frozenset[str]:
    """The services that are initialised on testbeds which were made in another file."""
    found: set[str] = set()
    for data in files:
        if not _IMPORTED.search(data) and b"gae_broker.testing" not in data:
            found.update(name.decode() for name in _CALLED.findall(data))
    return frozenset(found)


def is_replaced(reading: Reading, plan: Plan, elsewhere: frozenset[str]) -> bool:
    """Whether this file's testbed becomes ours; if that is not certain, remark on it.

    Args:
        reading: the file.
        plan: where remarks go.
        elsewhere: services that files without an import of testbed initialise, perhaps on this file's.
    """
    place = _imported_at(reading)
    if place is None:
        return False
    found = (_SERVICE.fullmatch(node.value) for node in reading.all(cst.Name))
    services = elsewhere.union((service[1] or service[2]).lower() for service in found if service)
    if services == {_OURS}:
        return True
    if _OURS in services or "all" in services:
        others = ", ".join(sorted(services - {_OURS}))
        what = "initialises all services" if "all" in services else f"is used for other services too: {others}"
        plan.remark(place, f"testbed {what}", _ADVICE)
    return False


def _imported_at(reading: Reading) -> cst.CSTNode | None:
    """Where a file first imports Google's testbed."""
    statements: list[cst.Import | cst.ImportFrom] = [*reading.all(cst.Import), *reading.all(cst.ImportFrom)]
    for statement in statements:
        for alias, _, target in imported(statement):
            if target == names.TESTBED or target.startswith(f"{names.TESTBED}."):
                return alias
        if isinstance(statement, cst.ImportFrom) and isinstance(statement.names, cst.ImportStar):
            module = statement.module
            if module is not None and ".".join(dotted(module) or ()) == names.TESTBED:
                return statement
    return None
