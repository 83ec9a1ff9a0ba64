"""A Python file as its rules see it: the tree, where each node stands, and what a name was imported as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import libcst as cst
from libcst import metadata
from libcst.metadata import ClassScope, CodeRange, GlobalScope, ImportAssignment, Scope

_Node = TypeVar("_Node", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a name may stand for where it is used.

    Attributes:
        imports: by the dotted name of what was imported, the statements that import it.
        plain: whether an ``import a.b`` without ``as`` bound it, so that a use spells the dotted name out.
        certain: whether nothing but imports binds it there.
    """

    imports: Mapping[str, cst.Import | cst.ImportFrom | None]
    plain: bool
    certain: bool


_NOTHING = Bound({}, plain=False, certain=True)


class Reading:
    """One parsed file.

    Args:
        module: the tree.

    Attributes:
        module: a copy of it, in which each node occurs once; all that is planned names nodes of this one.
    """

    def __init__(self, module: cst.Module) -> None:
        wrapper = metadata.MetadataWrapper(module)
        self.module = wrapper.module
        self._positions: Mapping[cst.CSTNode, CodeRange] = wrapper.resolve(metadata.PositionProvider)
        self._scopes: Mapping[cst.CSTNode, Scope | None] = wrapper.resolve(metadata.ScopeProvider)
        nodes = _Nodes()
        self.module.visit(nodes)
        self._parents = nodes.parents
        self._kinds = nodes.kinds
        self._bound: dict[tuple[Scope, str], Bound] = {}

    def all(self, kind: type[_Node]) -> Sequence[_Node]:
        """All nodes of a class, in the order of the file. LibCST is slow to walk a tree, so it is walked once."""
        return cast("Sequence[_Node]", self._kinds.get(kind, ()))

    def line(self, node: cst.CSTNode) -> int:
        """Where a node begins, from 1."""
        return self._positions[node].start.line

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """What a node stands in."""
        return self._parents[node]

    def top(self, node: cst.CSTNode) -> cst.CSTNode:
        """The statement of the module itself that a node stands in."""
        while self._parents[node] is not self.module:
            node = self._parents[node]
        return node

    def is_global(self, node: cst.CSTNode) -> bool:
        """Whether a node stands in the module's own scope."""
        return isinstance(self._scopes.get(node), GlobalScope)

    def names(self, node: cst.BaseExpression, *, certain: bool = True) -> tuple[str, ...]:
        """What an expression may stand for, as dotted names of what was imported.

        Args:
            node: the expression.
            certain: give none where the name that it begins with is bound by more than imports.
        """
        chain = dotted(node)
        if chain is None:
            return ()
        bound = self.bound(node, chain[0])
        if certain and not bound.certain:
            return ()
        return tuple(".".join((name, *chain[1:])) for name in bound.imports)

    def bound(self, node: cst.CSTNode, name: str) -> Bound:
        """What a name stands for at a node: what the nearest scope that binds it says."""
        scope = self._scopes.get(node)
        if scope is None:
            return _NOTHING
        found = self._bound.get((scope, name))
        if found is None:
            found = self._bound[scope, name] = _look_up(scope, name)
        return found


class _Nodes(cst.CSTVisitor):
    """The nodes by their classes, and what each stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self.kinds: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        self._open: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if self._open:
            self.parents[node] = self._open[-1]
        self.kinds.setdefault(type(node), []).append(node)
        self._open.append(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:  # noqa: ARG002 - LibCST's own signature
        self._open.pop()


def dotted(node: cst.BaseExpression | cst.BaseAssignTargetExpression) -> tuple[str, ...] | None:
    """The parts of ``a.b.c``; ``None`` for any other expression."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if not isinstance(node, cst.Name):
        return None
    return (node.value, *reversed(parts))


def as_expression(name: str) -> cst.Name | cst.Attribute:
    """The expression that a dotted name is."""
    first, *rest = name.split(".")
    node: cst.Name | cst.Attribute = cst.Name(first)
    for part in rest:
        node = cst.Attribute(node, cst.Name(part))
    return node


def outermost(reading: Reading) -> Iterator[cst.Attribute]:
    """The dotted names of a file that stand in no longer one, import statements left out."""
    for node in reading.all(cst.Attribute):
        parent = reading.parent(node)
        if not isinstance(parent, cst.Attribute | cst.ImportAlias | cst.ImportFrom):
            yield node


def imported(statement: cst.Import | cst.ImportFrom) -> list[tuple[cst.ImportAlias, str, str]]:
    """The names that a statement binds: alias, name, and what is imported; none of relative and star imports.

    The name that an ``import a.b`` binds is given as ``a.b``; in fact that binds ``a``.
    """
    if isinstance(statement, cst.Import):
        prefix = ""
    elif statement.relative or statement.module is None or isinstance(statement.names, cst.ImportStar):
        return []
    else:
        prefix = ".".join(dotted(statement.module) or ()) + "."
    aliases = [alias for alias in statement.names if isinstance(alias, cst.ImportAlias)]  # type: ignore[union-attr]
    return [(alias, alias.evaluated_alias or alias.evaluated_name, prefix + alias.evaluated_name) for alias in aliases]


def _look_up(scope: Scope, name: str) -> Bound:
    first = True
    while True:
        if first or not isinstance(scope, ClassScope):
            found = [item for item in scope.assignments if item.name == name or item.name.startswith(f"{name}.")]
            if found:
                break
        if isinstance(scope, GlobalScope) or scope.parent is scope:
            return _NOTHING
        scope, first = scope.parent, False
    imports: dict[str, cst.Import | cst.ImportFrom] = {}
    plain = False
    for item in found:
        if not isinstance(item, ImportAssignment) or not isinstance(item.node, cst.Import | cst.ImportFrom):
            continue
        for alias, as_name, target in imported(item.node):
            if as_name == item.name:
                is_plain = isinstance(item.node, cst.Import) and alias.asname is None
                plain = plain or is_plain
                imports.setdefault(name if is_plain else target, item.node)
    certain = all(isinstance(item, ImportAssignment) for item in found)
    return Bound(imports, plain, certain)
