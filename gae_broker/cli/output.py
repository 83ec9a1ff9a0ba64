"""Data on standard output: a plain table for people, JSON for programs."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from gae_broker.cli.session import Session

_US = 1_000_000
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; numbers are set to the right."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]

    def lines(self) -> list[str]:
        """The table as text, columns aligned, no trailing blanks."""
        texts = [list(self.headings), *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in texts) for column in range(len(self.headings))]
        right = [
            bool(self.rows) and all(isinstance(row[column], int | float | None) for row in self.rows)
            for column in range(len(self.headings))
        ]
        return [
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in texts
        ]


def _text(cell: object) -> str:
    return "-" if cell in (None, "") else str(cell)


def write(session: Session, data: Mapping[str, object], table: Table, empty: str = "") -> None:
    """Write data as the session wants it.

    Args:
        session: says which format.
        data: the JSON object; lists in it are never bare.
        table: the same for people.
        empty: what to say on standard error in place of a table without rows.
    """
    if session.format == "json":
        write_json(data)
    elif not table.rows and empty:
        session.tell(empty)
    else:
        for line in table.lines():
            click.echo(line)


def write_json(data: Mapping[str, object]) -> None:
    """Write one JSON object."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=str))


def write_fields(session: Session, data: Mapping[str, object], fields: Mapping[str, object]) -> None:
    """Write one thing: JSON, or a line for each of its fields."""
    if session.format == "json":
        write_json(data)
        return
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        lines = str("-" if value in (None, "") else value).splitlines()
        click.echo(f"{name.ljust(width)}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':{width}}  {line}")


def moment(time_us: int | None) -> str | None:
    """A time in ISO 8601, UTC, milliseconds; ``None`` where there is none."""
    if time_us is None:
        return None
    time = datetime.datetime.fromtimestamp(time_us // _US, datetime.UTC).replace(tzinfo=None)
    return f"{time.isoformat()}.{time_us % _US // 1000:03d}Z"


def distance(time_us: int | None, now_us: int) -> str:
    """How far a time is away, in its two largest units: ``in 2h 5m``, ``3s ago``."""
    if time_us is None:
        return "-"
    text = duration(abs(time_us - now_us))
    return f"in {text}" if time_us > now_us else f"{text} ago"


def duration(span_us: int) -> str:
    """A duration: milliseconds below a second, else its two largest units, to the nearest second."""
    if span_us < _US:
        return f"{span_us // 1000}ms"
    seconds = round(span_us / _US)
    parts: list[str] = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{unit}")
    return " ".join(part for part in parts[:2] if not part.startswith("0"))
