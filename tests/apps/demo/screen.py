"""What the demo shows: bars that move on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from tests.apps.demo.plan import ABOUT
from tests.apps.demo.tally import Row

_BAR = 24
_PLAIN_EVERY_S = 1.0


class Screen:
    """Draws progress in place on a terminal, or prints a line now and then where the output is no terminal.

    Args:
        out: where to.
        environ: ``NO_COLOR`` set to anything but nothing keeps colours out; ``TERM=dumb`` movements, too.
    """

    def __init__(self, out: TextIO, environ: Mapping[str, str]) -> None:
        self._out = out
        self._live = out.isatty() and environ.get("TERM") != "dumb"
        self._colour = self._live and not environ.get("NO_COLOR")
        self._height = 0
        self._printed_s = float("-inf")
        self._printed = ""

    def say(self, text: str) -> None:
        """Print one line, above the bars where there are any."""
        self._erase()
        self._out.write(text + "\n")
        self._out.flush()

    def progress(self, rows: Sequence[Row], elapsed_s: float) -> None:
        """Show how far each kind is."""
        if self._live:
            self._erase()
            lines = [self._bar(row) for row in rows] + [self._dim(f"  {elapsed_s:4.1f} s")]
            self._out.write("\n".join(lines) + "\n")
            self._height = len(lines)
        else:
            figures = "  ".join(f"{row.kind} {row.succeeded + row.given_up}/{row.expected}" for row in rows)
            if elapsed_s - self._printed_s < _PLAIN_EVERY_S or figures == self._printed:
                return
            self._printed_s, self._printed = elapsed_s, figures
            self._out.write(f"{elapsed_s:5.1f} s  {figures}\n")
        self._out.flush()

    def summary(self, rows: Sequence[Row]) -> None:
        """The table at the end."""
        self._erase()
        columns = f"{'added':>6} {'succeeded':>10} {'retried':>8} {'given up':>9} {'expected':>9}"
        head = f"{'kind':<10} {'what it is':<22} {columns}"
        self._out.write(f"\n{self._paint('1', head)}\n")
        for row in rows:
            verdict = self._paint("32", "ok") if not row.wrong else self._paint("31", f"{row.wrong} wrong")
            more = f", {row.again} ran again" if row.again else ""
            self._out.write(
                f"{row.kind:<10} {ABOUT[row.kind]:<22} {row.seen:>6} {row.succeeded:>10} {row.retried:>8}"
                f" {row.given_up:>9} {row.expected:>9}  {verdict}{more}\n",
            )
        self._out.flush()

    def verdict(self, good: bool, text: str) -> None:
        """The last line."""
        self.say("\n" + self._paint("1;32" if good else "1;31", text))

    def _bar(self, row: Row) -> str:
        ended = row.succeeded + row.given_up
        full = _BAR * ended // max(row.expected, 1)
        bar = self._paint("32", "#" * full) + self._dim("-" * (_BAR - full))
        notes = [f"{row.retried} retried" if row.retried else "", f"{row.given_up} given up" if row.given_up else ""]
        return f"  {row.kind:<10} {bar} {ended:>4}/{row.expected:<4} {self._dim(', '.join(filter(None, notes)))}"

    def _erase(self) -> None:
        if self._height:
            self._out.write(f"\x1b[{self._height}A\x1b[J")
            self._height = 0

    def _dim(self, text: str) -> str:
        return self._paint("2", text)

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and text else text
