"""The rule for import statements: what they import of ours is imported from us, the rest as before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.plan import Made
from gae_broker.codemod.reading import as_expression, dotted, imported
from gae_broker.codemod.rule import Rule

_WIDE = 3
"""How many names of a list in parentheses make one line."""


@dataclass(slots=True)
class _Sorting:
    """A ``from ... import`` of several names, taken apart."""

    kept: list[cst.ImportAlias] = field(default_factory=list)
    ours: dict[str, list[cst.ImportAlias]] = field(default_factory=dict)

    def add(self, module: str, alias: cst.ImportAlias) -> None:
        self.ours.setdefault(module, []).append(alias)


class Imports(Rule):
    """Plans what becomes of import statements."""

    def apply(self) -> None:
        """As `Rule.apply`."""
        for whole in self._reading.all(cst.Import):
            self._plain(whole)
        for some in self._reading.all(cst.ImportFrom):
            self._from(some)

    def _plain(self, node: cst.Import) -> None:
        """``import google.appengine.api.taskqueue [as name]``."""
        for alias, _, target in imported(node):
            ours = self._modules.get(target)
            if self._plan.is_kept(alias):
                continue
            if ours is not None and alias.asname is None and not self._reading.bound(alias, "google").certain:
                self._plan.remark(alias, f"{target} is imported where google is bound otherwise too", f"import {ours}")
            elif ours is not None:
                self._plan.replace(alias.name, ours)
            else:
                self._check_inside(alias, target)

    def _from(self, node: cst.ImportFrom) -> None:
        """``from google.appengine.api import taskqueue``, ``from google.appengine.api.taskqueue import Task``."""
        if node.relative or node.module is None:
            return
        module = ".".join(dotted(node.module) or ())
        if isinstance(node.names, cst.ImportStar):
            self._star(node, module)
            return
        sorting = _Sorting()
        for alias, _, target in imported(node):
            self._sort(sorting, module, alias, target)
        if not sorting.kept and len(sorting.ours) == 1:
            self._plan.replace(node.module, next(iter(sorting.ours)))
        elif sorting.ours:
            self._take_apart(node, sorting)

    def _sort(self, sorting: _Sorting, module: str, alias: cst.ImportAlias, target: str) -> None:
        ours = self._modules.get(target)
        if self._plan.is_kept(alias):
            sorting.kept.append(alias)
        elif ours is not None:
            sorting.add(ours.rpartition(".")[0], alias)
        elif module in names.DEFERRED and alias.evaluated_name == "taskqueue":
            sorting.add("gae_broker", alias)  # App Engine's deferred library has the module among its names
        elif module in self._modules and names.offers(self._modules[module], (alias.evaluated_name,)):
            sorting.add(self._modules[module], alias)
        else:
            sorting.kept.append(alias)
            self._check_inside(alias, target)

    def _check_inside(self, alias: cst.ImportAlias, target: str) -> None:
        """Remark on what lies in a module of ours and is not there."""
        found = names.split(target, self._modules)
        if found is not None:
            module, (member, *_) = found
            self._plan.remark(alias, f"{self._modules[module]} has no {member}", names.advice(member))

    def _star(self, node: cst.ImportFrom, module: str) -> None:
        if self._plan.is_kept(node):
            return
        if module in self._modules and node.module is not None:
            self._plan.replace(node.module, self._modules[module])
        elif module in names.PACKAGES and self._uses_unbound():
            self._plan.remark(
                node,
                f"whether taskqueue or deferred comes from {module} cannot be seen",
                "import by name what is used",
            )

    def _uses_unbound(self) -> bool:
        """Whether a name is used that only the star can have brought."""
        for node in self._reading.all(cst.Name):
            if node.value in {"taskqueue", "deferred"} and not isinstance(self._reading.parent(node), cst.Arg):
                bound = self._reading.bound(node, node.value)
                if not bound.imports and bound.certain:
                    return True
        return False

    def _take_apart(self, node: cst.ImportFrom, sorting: _Sorting) -> None:
        line = self._reading.parent(node)
        if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
            self._plan.change(line, lambda updated: _lines(updated, sorting))
        else:  # behind a semicolon or a colon
            self._plan.change(node, lambda updated: cst.FlattenSentinel(_statements(updated, sorting)))


def _statements(statement: cst.ImportFrom, sorting: _Sorting) -> list[cst.ImportFrom]:
    """What was left of a statement, and one for each module of ours."""
    made: list[cst.ImportFrom] = []
    if sorting.kept:
        aliases: list[Any] = list(sorting.kept)
        assert not isinstance(statement.names, cst.ImportStar)  # noqa: S101 - sorted by its names
        if aliases[-1] is not statement.names[-1]:
            aliases[-1] = aliases[-1].with_changes(comma=_without_comment(statement.names[-1].comma))
        made.append(statement.with_changes(names=aliases))
    for module, taken in sorting.ours.items():
        made.append(_from(module, taken, is_tall=statement.lpar is not None and len(taken) > _WIDE))
    if not sorting.kept:
        made[-1] = made[-1].with_changes(semicolon=statement.semicolon)
    return made


def _from(module: str, taken: list[cst.ImportAlias], *, is_tall: bool) -> cst.ImportFrom:
    """``from module import ...``: in one line, or a line for each name."""
    if not is_tall:
        ours = [alias.with_changes(comma=cst.MaybeSentinel.DEFAULT) for alias in taken]
        return cst.ImportFrom(module=as_expression(module), names=ours)
    inner = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace("    "))
    outer = cst.ParenthesizedWhitespace(indent=True)
    ours = [alias.with_changes(comma=cst.Comma(whitespace_after=inner)) for alias in taken]
    ours[-1] = ours[-1].with_changes(comma=cst.Comma())
    return cst.ImportFrom(
        module=as_expression(module),
        names=ours,
        lpar=cst.LeftParen(whitespace_after=inner),
        rpar=cst.RightParen(whitespace_before=outer),
    )


def _lines(line: cst.SimpleStatementLine, sorting: _Sorting) -> Made:
    """The same as lines; comments stay with what they were written at."""
    statement = line.body[0]
    assert isinstance(statement, cst.ImportFrom)  # noqa: S101 - planned for such lines alone
    made = _statements(statement, sorting)
    lines: list[cst.SimpleStatementLine] = []
    comments = [None] * bool(sorting.kept) + [_comment(taken) for taken in sorting.ours.values()]
    for number, (part, comment) in enumerate(zip(made, comments, strict=True)):
        trailing = cst.TrailingWhitespace()
        if comment is not None:
            trailing = cst.TrailingWhitespace(whitespace=cst.SimpleWhitespace("  "), comment=comment)
        if number == 0:
            lines.append(line.with_changes(body=[part]))
        else:
            lines.append(cst.SimpleStatementLine(body=[part], trailing_whitespace=trailing))
    return cst.FlattenSentinel(lines)


def _without_comment(comma: cst.Comma | cst.MaybeSentinel) -> cst.Comma | cst.MaybeSentinel:
    """The comma of a name that went, without the comment that goes along."""
    if not isinstance(comma, cst.Comma) or not isinstance(comma.whitespace_after, cst.ParenthesizedWhitespace):
        return comma
    after = comma.whitespace_after
    bare = cst.TrailingWhitespace(newline=after.first_line.newline)
    return comma.with_changes(whitespace_after=after.with_changes(first_line=bare))


def _comment(aliases: list[cst.ImportAlias]) -> cst.Comment | None:
    """The first comment behind a name of a list in parentheses."""
    for alias in aliases:
        after = alias.comma.whitespace_after if isinstance(alias.comma, cst.Comma) else None
        if isinstance(after, cst.ParenthesizedWhitespace) and after.first_line.comment is not None:
            return after.first_line.comment
    return None
