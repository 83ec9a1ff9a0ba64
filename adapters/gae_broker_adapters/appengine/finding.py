"""Finds our modules under App Engine's names, and leaves every other name to Python.

A module found here is ours itself, not a copy: classes and exceptions are the same objects under both names, so that
``isinstance`` and ``except`` hold whichever name a program used, and a replaced attribute is replaced under both.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from gae_broker_adapters.appengine.aliases import ALIASES, MEMBERS, PACKAGES, STAND_INS

_THEIRS = {
    "gae_broker.taskqueue": "google.appengine.api.taskqueue",
    "gae_broker.deferred": "google.appengine.ext.deferred",
}


class AliasLoader(Loader):
    """Loads a module by another name than its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - importlib's signature
        """The module itself, imported by its own name."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run; what importlib wrote into the module on our behalf is taken back."""
        module.__spec__ = self._spec


class PackageLoader(Loader):
    """Makes a package with nothing in it but what is a member of the package itself on App Engine."""

    def create_module(self, spec: ModuleSpec) -> None:
        """As importlib does it."""

    def exec_module(self, module: ModuleType) -> None:
        """Put its members into it."""
        for name, where in MEMBERS.get(module.__name__, {}).items():
            setattr(module, name, getattr(importlib.import_module(where), name))


class AppEngineFinder(MetaPathFinder):
    """Stands before Python's own finders; answers for App Engine's task queue modules alone."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - importlib's signature
    ) -> ModuleSpec | None:
        """The module's spec, ``None`` where it is not ours to answer for.

        Raises:
            ModuleNotFoundError: it would lie in a module of ours, where there is none of that name.
        """
        if fullname.startswith("gae_broker."):
            return self._behind_an_alias(fullname, path)
        if not fullname.startswith("google"):
            return None
        if fullname in ALIASES:
            return _alias(fullname, ALIASES[fullname])
        if fullname in PACKAGES:
            return None if _elsewhere(fullname, path) is not None else _package(fullname)
        if fullname in STAND_INS:
            return None if _elsewhere(fullname, path) is not None else _alias(fullname, STAND_INS[fullname])
        return self._inside_an_alias(fullname)

    @staticmethod
    def _behind_an_alias(fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """What ``from google.appengine.api.taskqueue import x`` asks for: Python names it after our module."""
        parent, _, name = fullname.rpartition(".")
        theirs = _THEIRS.get(parent)
        if theirs is None or _elsewhere(fullname, path) is not None:
            return None
        found = importlib.util.find_spec(f"{theirs}.{name}")
        return None if found is None else _alias(fullname, f"{theirs}.{name}")

    @staticmethod
    def _inside_an_alias(fullname: str) -> ModuleSpec | None:
        """Another module of a package that is ours: Google's, where it is installed.

        Python would look into our package's folder, and load our modules a second time under another name.
        """
        parent, _, _ = fullname.rpartition(".")
        if parent not in ALIASES:
            return None
        found = PathFinder.find_spec(fullname, [f"{folder}/{parent.rpartition('.')[2]}" for folder in _folders(parent)])
        if found is None:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return found


def _alias(fullname: str, name: str) -> ModuleSpec:
    # No package of its own: where our module has submodules, its `__path__` says so.
    return ModuleSpec(fullname, AliasLoader(name))


def _package(fullname: str) -> ModuleSpec:
    spec = ModuleSpec(fullname, PackageLoader(), is_package=True)
    spec.submodule_search_locations = []
    return spec


def _elsewhere(fullname: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What any other finder says."""
    for finder in sys.meta_path:
        if isinstance(finder, AppEngineFinder):
            continue
        find_spec = getattr(finder, "find_spec", None)
        found: ModuleSpec | None = None if find_spec is None else find_spec(fullname, path)
        if found is not None:
            return found
    return None


def _folders(package: str) -> list[str]:
    """Where the package that ours stands in for lies, if Google's library is installed."""
    holder = sys.modules.get(package.rpartition(".")[0])
    return list(getattr(holder, "__path__", ()))


def install() -> bool:
    """Answer for App Engine's names from now on; whether that is new.

    Raises:
        ImportError: Google's own task queue was imported before, so that part of the program uses that one already.
    """
    if any(isinstance(finder, AppEngineFinder) for finder in sys.meta_path):
        return False
    early = [name for name in ALIASES if name in sys.modules]
    if early:
        raise ImportError(
            f"{early[0]} was imported before gae-broker took its place; import gae_broker_adapters.appengine first, "
            "or set GAE_BROKER_SHIM=1 for gae-broker's commands and pytest",
            name=early[0],
        )
    sys.meta_path.insert(0, AppEngineFinder())
    return True
