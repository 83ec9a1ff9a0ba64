"""The codemod over a whole program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gae_broker.codemod import app_yaml, names, program, sources, testbeds
from gae_broker.codemod.outcome import Outcome, Surroundings, diff
from gae_broker.codemod.remark import Remark

_MOUNTED = re.compile(
    rb"\bTaskQueueMiddleware\b|\bgae_broker_adapters\.(flask|django)\b|\bdeferred\.(application|Handler|TaskHandler)\b"
)
_INSPECTED = re.compile(rb"\.(get_response|router|error_handlers)\b")
_UNSERVED = Remark(0, f"defers calls, and nothing here serves {names.DEFERRED_PATH}", names.MOUNT)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a run.

    Attributes:
        path: where it is.
        before: its content.
        outcome: what becomes of it.
    """

    path: Path
    before: bytes
    outcome: Outcome

    @property
    def is_changed(self) -> bool:
        """Whether anything in it shall change."""
        return self.outcome.data != self.before

    @property
    def diff(self) -> str:
        """What shall change, as a unified diff."""
        return diff(self.path.as_posix(), self.before, self.outcome.data, self.outcome.encoding)


@dataclass(frozen=True, slots=True)
class Migration:
    """What becomes of a program.

    Attributes:
        files: those that change, or of which something remains to be done.
        skipped: folders of other people's code, which were not looked into.
        looked_at: how many files were.
    """

    files: tuple[File, ...]
    skipped: tuple[Path, ...]
    looked_at: int

    @property
    def changed(self) -> tuple[File, ...]:
        """The files that change."""
        return tuple(file for file in self.files if file.is_changed)

    @property
    def remarks(self) -> Iterator[tuple[Path, Remark]]:
        """What remains to be done, in the order of files and lines."""
        for file in self.files:
            for remark in file.outcome.remarks:
                yield file.path, remark


def migrate(paths: Iterable[Path]) -> Migration:
    """Look at a program; nothing is written.

    Args:
        paths: files and folders. What one file says about another counts within one run, so give them together.

    Raises:
        OSError: a file cannot be read.
    """
    paths = tuple(paths)
    found = sources.Sources(paths)
    contents = {path: path.read_bytes() for path in found}
    files = [File(path, contents[path], outcome) for path, outcome in _outcomes(contents)]
    if any(path.is_dir() for path in paths):
        files = list(_with_unserved(files))
    told = tuple(file for file in files if file.is_changed or file.outcome.remarks)
    return Migration(told, tuple(found.skipped), len(files))


def write(file: File) -> None:
    """Write a file that changes.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    sources.replace(file.path, file.outcome.data)


def _is_yaml(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


def _outcomes(contents: Mapping[Path, bytes]) -> Iterator[tuple[Path, Outcome]]:
    programs = {path: data for path, data in contents.items() if not _is_yaml(path)}
    services = testbeds.services_elsewhere(programs.values())
    inspecting = {path for path, data in programs.items() if _INSPECTED.search(data)}
    for path, data in contents.items():
        if _is_yaml(path):
            yield path, app_yaml.analyse(data)
        else:
            yield path, program.analyse(data, Surroundings(services, inspected=bool(inspecting - {path})))


def _with_unserved(files: list[File]) -> Iterator[File]:
    """The same, with a remark at the first deferred call where nothing would take it."""
    served = any(_MOUNTED.search(file.outcome.data) for file in files if not _is_yaml(file.path))
    for file in files:
        outcome = file.outcome
        if served or outcome.defers is None:
            yield file
        else:
            served = True
            more = replace(_UNSERVED, line=outcome.defers)
            yield replace(file, outcome=replace(outcome, remarks=tuple(sorted({*outcome.remarks, more}))))
