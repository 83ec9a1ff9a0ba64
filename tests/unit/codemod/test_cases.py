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
    return outcome.data.decode(), [f"{remark.line}: {remark.what}" for remark in outcome.remarks]


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
