"""What becomes of programs, case by case: each file in cases/ is one, before and after, with what remains."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from gae_broker.codemod import program
from gae_broker.codemod.outcome import Surroundings

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))
PARTS = re.compile(r"^--- (?:before|after|remaining)\n", re.MULTILINE)


def parts(case: Path) -> tuple[str, str, list[str]]:
    _, before, after, remaining = PARTS.split(case.read_text("utf-8"))
    return before, after, remaining.splitlines()


def migrate(text: str) -> tuple[str, list[str]]:
    outcome = program.analyse(text.encode(), Surroundings())
    whats = (re.sub(r"Python 3\.\d+", "Python *", remark.what) for remark in outcome.remarks)
    return outcome.data.decode(), [
        f"{remark.line}: {what}" for remark, what in zip(outcome.remarks, whats, strict=True)
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_case(case: Path) -> None:
    before, after, remaining = parts(case)
    assert migrate(before) == (after, remaining)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_second_run_changes_nothing_and_finds_the_same(case: Path) -> None:
    _, after, remaining = parts(case)
    again, left = migrate(after)
    assert again == after
    assert len(left) == len(remaining)


@pytest.mark.parametrize("case", [case for case in CASES if case.stem != "python2"], ids=lambda case: case.stem)
def test_the_result_compiles(case: Path) -> None:
    ast.parse(parts(case)[1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_windows_line_ends_stay(case: Path) -> None:
    before, after, _ = parts(case)
    assert migrate(before.replace("\n", "\r\n"))[0] == after.replace("\n", "\r\n")


def test_everything_that_remains_says_what_to_do() -> None:
    for case in CASES:
        outcome = program.analyse(parts(case)[0].encode(), Surroundings())
        assert all(remark.todo for remark in outcome.remarks)


def unreadable(data: bytes) -> list[tuple[int, str]]:
    outcome = program.analyse(data, Surroundings())
    assert outcome.data == data
    return [(remark.line, remark.what) for remark in outcome.remarks]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"from google.appengine.api import taskqueue\nprint 'x'\n", 2),
        (b"from google.appengine.api import taskqueue\nname = 'Bj\xf6rn'\n", 1),
        (b"# -*- coding: no-such -*-\nfrom google.appengine.api import taskqueue\n", 1),
        (b"from google.appengine.api import taskqueue\n\0", 1),
        (b"from google.appengine.api import taskqueue\nx = " + b"(" * 5000 + b")" * 5000, 1),
    ],
    ids=["print", "no encoding", "unknown encoding", "null", "nested"],
)
def test_what_cannot_be_read_is_listed(data: bytes, line: int) -> None:
    [(found, what)] = unreadable(data)
    assert found in {line, 2}
    assert what.startswith(f"names the task queue in line {1 + data.startswith(b'#')}, and is nothing that Python 3")
    assert unreadable(data.replace(b"google", b"nobody")) == []  # nothing in it is ours to tell of


def test_a_warning_about_old_code_is_not_ours_to_make() -> None:
    data = b"from google.appengine.api import taskqueue\nPATTERN = '\\d'\n"
    assert program.analyse(data, Surroundings()).data == data.replace(b"google.appengine.api", b"gae_broker")
