"""Files and functions stay small, and modules are named for what they are for (style.md)."""

from __future__ import annotations

import ast
from pathlib import Path

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
NAMES_THAT_SAY_NOTHING = {"base", "common", "helpers", "manager", "misc", "util", "utils"}


def test_no_file_is_longer_than_400_lines(library_files: list[Path], root: Path):
    others = [path for folder in ("tests", "benchmarks") for path in (root / folder).rglob("*.py")]
    lengths = {str(path.relative_to(root)): len(path.read_text().splitlines()) for path in library_files + others}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_longer_than_60_lines(library_files: list[Path], root: Path):
    assert {
        f"{path.relative_to(root)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in library_files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    } == {}


def test_no_module_has_a_name_that_says_nothing(library_modules: dict[str, Path]):
    assert [name for name in library_modules if NAMES_THAT_SAY_NOTHING & set(name.split("."))] == []


def test_nothing_is_left_for_later(library_files: list[Path], root: Path):
    marks = ("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")
    found = [
        f"{path.relative_to(root)}:{number}"
        for path in library_files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(mark in line for mark in marks)
    ]
    assert found == []
