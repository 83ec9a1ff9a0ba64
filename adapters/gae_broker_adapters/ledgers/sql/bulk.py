"""One statement for any number of rows, with the driver's own parameters.

SQLAlchemy builds the parameters of each row of an ``executemany`` anew, and psycopg then sends a row at a time; both
cost several times what the database does with the rows. Here PostgreSQL gets all rows as one JSON text, in one round
trip (arrays would be the same there, but psycopg searches each element for quotes), and SQLite's driver gets the rows
as they are. A statement's text never depends on how many rows there are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

_TYPES = {sa.Text: "text", sa.BigInteger: "bigint", sa.Integer: "int", sa.Boolean: "boolean", sa.LargeBinary: "bytea"}
_POSTGRESQL = "postgresql"

Values = Sequence[object]


@dataclass(frozen=True, slots=True)
class Bulk:
    """A statement about rows, each a sequence of ``columns``.

    Attributes:
        sqlite: the text with a ``?`` for each column.
        postgresql: the text with one ``%s``, for the rows.
        binary: places of the columns that are bytes.
    """

    sqlite: str
    postgresql: str
    binary: tuple[int, ...]

    def run(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Send it, unless there are no rows."""
        if not rows:
            return
        if connection.dialect.name == _POSTGRESQL:
            connection.exec_driver_sql(self.postgresql, (self._json(rows),))
        else:
            connection.exec_driver_sql(self.sqlite, [tuple(row) for row in rows])

    def _json(self, rows: Sequence[Values]) -> str:
        if not self.binary:
            return _encode(rows)
        texts = [list(row) for row in rows]
        for row in texts:
            for place in self.binary:
                value = row[place]
                row[place] = base64.b64encode(value).decode() if isinstance(value, bytes) else None
        return _encode(texts)


def insert(table: sa.Table, columns: Sequence[str]) -> Bulk:
    """Makes rows; columns that are not named are null."""
    names, marks = ", ".join(columns), ", ".join("?" for _ in columns)
    return Bulk(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608 - names of ours, here and below
        f"INSERT INTO {table.name} ({names}) {_rows(table, columns)}",
        _binary(table, columns),
    )


def update(table: sa.Table, key: Sequence[str], changed: Sequence[str], nulled: Sequence[str] = ()) -> Bulk:
    """Changes rows; a row's values are first those of ``changed``, then those of ``key``."""
    columns = (*changed, *key)
    nulls = [f"{name} = NULL" for name in nulled]
    here = ", ".join([f"{name} = ?" for name in changed] + nulls)
    there = ", ".join([f"{name} = v.{name}" for name in changed] + nulls)
    return Bulk(
        f"UPDATE {table.name} SET {here} WHERE {_both(key, '{0} = ?')}",  # noqa: S608
        f"UPDATE {table.name} AS t SET {there} FROM ({_rows(table, columns)}) AS v"  # noqa: S608
        f" WHERE {_both(key, 't.{0} = v.{0}')}",
        _binary(table, columns),
    )


def delete(table: sa.Table, key: Sequence[str]) -> Bulk:
    """Removes rows by key."""
    return Bulk(
        f"DELETE FROM {table.name} WHERE {_both(key, '{0} = ?')}",  # noqa: S608
        f"DELETE FROM {table.name} AS t USING ({_rows(table, key)}) AS v"  # noqa: S608
        f" WHERE {_both(key, 't.{0} = v.{0}')}",
        _binary(table, key),
    )


def _rows(table: sa.Table, columns: Sequence[str]) -> str:
    """A query of the rows in PostgreSQL: JSON arrays, in their order."""
    values = []
    for place, name in enumerate(columns):
        kind = _TYPES[type(table.c[name].type)]
        value = f"r.value ->> {place}"
        values.append(f"decode({value}, 'base64') AS {name}" if kind == "bytea" else f"({value})::{kind} AS {name}")
    return f"SELECT {', '.join(values)} FROM json_array_elements(%s::json) AS r"  # noqa: S608


def _binary(table: sa.Table, columns: Sequence[str]) -> tuple[int, ...]:
    return tuple(place for place, name in enumerate(columns) if isinstance(table.c[name].type, sa.LargeBinary))


def _both(key: Sequence[str], form: str) -> str:
    return " AND ".join(form.format(name) for name in key)


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
