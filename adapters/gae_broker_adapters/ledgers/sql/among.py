"""``column IN (these names)`` as one bound parameter, however many names there are.

SQLAlchemy's own ``in_`` writes the statement anew for each number of names, which costs more than the look-up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class Names(TypeDecorator[Sequence[str]]):
    """A bound list of names: an array in PostgreSQL, JSON text in SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> TypeEngine[Any]:
        """What the list is bound as."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.ARRAY(sa.Text()))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> object:
        """The list as the driver takes it."""
        names = list(value or ())
        return names if dialect.name == "postgresql" else json.dumps(names)


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
    return f"{column} = ANY({names})"
