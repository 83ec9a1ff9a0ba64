"""Which files a run looks at, and how one is replaced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_SUFFIXES = frozenset({".py", ".pyi", ".yaml", ".yml"})
_NOT_OURS = frozenset(
    {
        "dist-packages",
        "google_appengine",
        "node_modules",
        "site-packages",
        "third-party",
        "third_party",
        "vendor",
        "vendored",
    }
)
"""Folders of other people's code, by their names."""
_SIGNS = (".dist-info", ".egg-info")
"""What lies beside packages that pip unpacked with ``-t lib``."""
_BUILT_FROM = frozenset({"setup.py", "setup.cfg", "pyproject.toml"})


class Sources:
    """The files below some paths, each once.

    What is named is looked at in any case. Below it, hidden folders, environments, and folders of other people's code
    are left out.

    Args:
        paths: files and folders.

    Attributes:
        skipped: folders of other people's code that were left out; known when all files have been seen.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self.skipped: list[Path] = []

    def __iter__(self) -> Iterator[Path]:
        """The files, in an order that is the same each time."""
        seen: set[Path] = set()
        for path in self._paths:
            for file in [path] if path.is_file() else self._below(path):
                real = file.resolve()
                if real not in seen:
                    seen.add(real)
                    yield file

    def _below(self, folder: Path) -> Iterator[Path]:
        for place, folders, files in os.walk(folder):
            here = Path(place)
            folders[:] = sorted(name for name in folders if self._is_entered(here / name))
            for name in sorted(files):
                file = here / name
                if file.suffix in _SUFFIXES and not name.startswith(".") and file.is_file() and not file.is_symlink():
                    yield file

    def _is_entered(self, folder: Path) -> bool:
        if folder.name.startswith(".") or folder.name == "__pycache__":
            return False
        if folder.name in _NOT_OURS or (folder / "pyvenv.cfg").exists() or _is_unpacked(folder):
            self.skipped.append(folder)
            return False
        return True


def _is_unpacked(folder: Path) -> bool:
    try:
        names = {item.name for item in folder.iterdir()}
    except OSError:
        return False
    # A project that is installed for development has such a sign too, and what it is built from beside it.
    return names.isdisjoint(_BUILT_FROM) and any(name.endswith(_SIGNS) for name in names)


def replace(path: Path, data: bytes) -> None:
    """Put new content into a file: wholly or not at all, with the permissions it had.

    Args:
        path: the file; where it is a link, what that leads to.
        data: the content.

    Raises:
        OSError: the file or its folder cannot be written; the file is as it was.
    """
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
