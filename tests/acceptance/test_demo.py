"""``make demo``: the shop under ``gae-broker dev``, from outside; and the demo's own judgement, in small."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.apps.demo.plan import KINDS, Expected, expectations
from tests.apps.demo.screen import Screen
from tests.apps.demo.tally import Row, Tally
from tests.apps.shop.journal import Entry

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_ends_well_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.apps.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Every task ended as it should." in result.stdout
    assert "\x1b" not in result.stdout
    rows = dict(re.findall(r"^(\w+) .*  (\d+)  ok", result.stdout, re.MULTILINE))
    assert list(rows) == list(KINDS)
    assert sum(map(int, rows.values())) == len(expectations())
    assert list(tmp_path.iterdir()) == []
    (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)", result.stdout)
    with pytest.raises(ConnectionRefusedError):
        _connect(int(port))


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def entry(item: str, outcome: str, *, at: float = 10.0, due: float = 0.0) -> Entry:
    return Entry("charge", item, outcome, 0, at, due)


GOOD = [entry("a", "done"), entry("b", "failed"), entry("b", "done"), entry("c", "declined"), entry("c", "declined")]


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        (GOOD, None),
        ([*GOOD, entry("a", "done")], None),
        (GOOD[1:], "charge a: never ran"),
        (GOOD[:1] + GOOD[2:], "charge b: done; expected 2 runs ending in done"),
        ([*GOOD[:2], *GOOD[3:]], "charge b: failed; expected 2 runs ending in done"),
        (GOOD[:4], "charge c: declined; expected 2 runs ending in declined"),
        ([*GOOD, entry("c", "declined")], "charge c: declined, declined, declined; expected 2 runs"),
        ([*GOOD, entry("a", "failed")], "charge a: done, failed; expected 1 runs"),
        ([*GOOD, entry("d", "done")], "charge d: ran, but nobody asked for it"),
        ([entry("a", "done", at=9.9, due=10.0), *GOOD[1:]], "charge a: ran before its eta"),
    ],
    ids=["good", "again", "never", "too few", "unfinished", "not given up", "too often", "undone", "unasked", "early"],
)
def test_what_counts_as_wrong(entries: list[Entry], fault: str | None) -> None:
    tally = Tally([Expected("charge", "a"), Expected("charge", "b", runs=2), Expected("charge", "c", "declined", 2)])
    for run in entries:
        tally.count(run)
    faults = tally.faults()
    assert [text for text in faults if fault and text.startswith(fault)] == faults
    assert bool(faults) == bool(fault) == bool(tally.row("charge").wrong)


class Terminal(io.StringIO):
    """A terminal's stand-in."""

    def isatty(self) -> bool:
        return True


ROW = Row("charge", expected=4, seen=3, succeeded=2, given_up=1, retried=5, again=1, wrong=0)


@pytest.mark.parametrize(
    ("environ", "moves", "colours"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, False, False),
    ],
    ids=["terminal", "NO_COLOR", "empty NO_COLOR", "dumb"],
)
def test_a_terminal_is_drawn_on(environ: dict[str, str], moves: bool, colours: bool) -> None:
    out = Terminal()
    screen = Screen(out, environ)
    for elapsed_s in (0.0, 0.1):
        screen.progress([ROW], elapsed_s)
    screen.summary([ROW])
    text = out.getvalue()
    assert ("\x1b[2A" in text) == moves
    assert ("\x1b[32m" in text) == colours
    assert "3/4" in text


def test_elsewhere_a_line_is_printed_now_and_then() -> None:
    out = io.StringIO()
    screen = Screen(out, {})
    for tenths in range(25):
        screen.progress([ROW if tenths < 15 else Row("charge", 4, 4, 3, 1, 5, 0, 0)], tenths / 10)
    assert out.getvalue() == "  0.0 s  charge 3/4\n  1.5 s  charge 4/4\n"
