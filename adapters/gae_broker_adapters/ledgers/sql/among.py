"""``column IN (these names)`` as one bound parameter, however many names there are.

SQLAlchemy's own ``in_`` writes the statement anew for each number of names, which costs more than the look-up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Self

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class Names(TypeDecorator[Sequence[str]]):
    """A bound list of names, as JSON text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> str:  # noqa: ARG002
        """The list as the driver takes it."""
        return json.dumps(list(value or ()), ensure_ascii=False)


class Among(FunctionElement[bool]):
    """Whether a text column's value is one of the names bound to a parameter of type `Names`."""

    name = "among"
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: object = None) -> Self:  # noqa: ARG002 - SQLAlchemy's signature
        """As it is: for SQLite, SQLAlchemy would compare a boolean with 1, which no index serves."""
        return self


def among(column: sa.ColumnElement[str], parameter: str) -> Among:
    """The condition; ``parameter`` names the bound list."""
    return Among(column, sa.bindparam(parameter, type_=Names()))


@compiles(Among, "sqlite")
def _sqlite(element: Among, compiler: SQLCompiler, **options: object) -> str:
    column, names = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({names}))"  # noqa: S608 - both parts are SQLAlchemy's


@compiles(Among, "postgresql")
def _postgresql(element: Among, compiler: SQLCompiler, **options: object) -> str:
    column, names = (compiler.process(clause, **options) for clause in element.clauses)
    # As an array of its own, so that the planner uses the index; psycopg takes long to write one itself.
    return f"{column} = ANY(ARRAY(SELECT json_array_elements_text(CAST({names} AS json))))"
