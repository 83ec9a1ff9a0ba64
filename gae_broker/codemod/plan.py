"""What shall be done to a Python file: collected by its rules, carried out in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import libcst as cst

from gae_broker.codemod.reading import Reading, as_expression
from gae_broker.codemod.remark import Remark

Made: TypeAlias = cst.CSTNode | cst.FlattenSentinel[Any] | cst.RemovalSentinel
Change: TypeAlias = Callable[[Any], Made]
"""Of a node, changed inside already, what stands in its place."""


class Plan:
    """Changes and remarks for one file.

    Args:
        reading: the file.
        kept: lines that a comment keeps as they are.

    Attributes:
        remarks: what is left.
        settled: nodes that a rule has dealt with, so that no other says anything about them.
    """

    def __init__(self, reading: Reading, kept: frozenset[int]) -> None:
        self._reading = reading
        self._kept = kept
        self._changes: dict[cst.CSTNode, Change] = {}
        self._imports: dict[cst.CSTNode, list[str]] = {}
        self.remarks: list[Remark] = []
        self.settled: set[cst.CSTNode] = set()

    def is_kept(self, node: cst.CSTNode) -> bool:
        """Whether a comment on a node's line asks to leave it alone."""
        return self._reading.line(node) in self._kept

    def change(self, node: cst.CSTNode, change: Change) -> None:
        """Change a node."""
        self._changes[node] = change

    def replace(self, node: cst.CSTNode, name: str) -> None:
        """Put a dotted name in the place of an expression, within the parentheses that it had."""

        def renamed(updated: Any) -> Made:  # noqa: ANN401 - Name or Attribute, which share no base with parentheses
            return as_expression(name).with_changes(lpar=updated.lpar, rpar=updated.rpar)

        self.change(node, renamed)

    def remark(self, node: cst.CSTNode, what: str, todo: str) -> None:
        """Leave something to a person, unless a comment keeps it."""
        if not self.is_kept(node):
            self.remarks.append(Remark(self._reading.line(node), what, todo))

    def import_after(self, node: cst.CSTNode, module: str, name: str) -> None:
        """Import a name, behind the statement of the module that a node stands in. Idempotent."""
        lines = self._imports.setdefault(self._reading.top(node), [])
        line = f"from {module} import {name}"
        if not any(line in others for others in self._imports.values()):
            lines.append(line)

    def carry_out(self) -> cst.Module:
        """The file, changed."""
        if not self._changes:
            return self._reading.module
        return self._reading.module.visit(_Changing(self._changes, self._imports))


class _Changing(cst.CSTTransformer):
    def __init__(self, changes: Mapping[cst.CSTNode, Change], imports: Mapping[cst.CSTNode, list[str]]) -> None:
        super().__init__()
        self._changes = changes
        self._imports = imports

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:  # noqa: ANN401 - LibCST's own signature
        change = self._changes.get(original_node)
        made: Any = updated_node if change is None else change(updated_node)
        more = [cst.parse_statement(line) for line in self._imports.get(original_node, ())]
        if not more:
            return made
        return cst.FlattenSentinel([*(made if isinstance(made, cst.FlattenSentinel) else [made]), *more])
