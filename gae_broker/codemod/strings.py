"""The rule for dotted names in strings, as ``mock.patch`` takes them."""

from __future__ import annotations

import re

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.reading import dotted
from gae_broker.codemod.rule import Rule

_DOTTED = re.compile(r"google\.appengine\.(api|ext)(\.\w+)+")
_WITHIN = re.compile(r"google\.appengine\.(api\.(labs\.)?taskqueue|ext\.deferred)\b")
_TAKES_NAMES = frozenset({"patch", "multiple", "setattr", "delattr", "import_module", "import_string", "importorskip"})
"""The last part of what is called with a dotted name as its first argument, and imports it."""


class Strings(Rule):
    """Plans what becomes of ``mock.patch("google.appengine.api.taskqueue.add")``."""

    def apply(self) -> None:
        """As `Rule.apply`."""
        for whole in self._reading.all(cst.SimpleString):
            # A string that stands alone is a docstring or a comment; one of several side by side is no name.
            if not isinstance(self._reading.parent(whole), cst.Expr | cst.ConcatenatedString):
                self._whole(whole)
        for several in self._reading.all(cst.ConcatenatedString):
            value = several.evaluated_value
            if isinstance(value, str) and _DOTTED.fullmatch(value) and names.split(value, self._modules):
                self._leave(several, value)
        for made in self._reading.all(cst.FormattedStringText):
            if _WITHIN.search(made.value):
                self._leave(made, made.value)

    def _whole(self, node: cst.SimpleString) -> None:
        """A whole name."""
        value = node.evaluated_value
        if node in self._plan.settled or not isinstance(value, str) or not _DOTTED.fullmatch(value):
            return
        found = names.split(value, self._modules)
        if found is None or self._plan.is_kept(node):
            return
        module, members = found
        ours = self._modules[module]
        if not self._is_imported(node) or module not in node.value:
            self._leave(node, value)
        elif not names.offers(ours, members):
            self._plan.remark(node, f"{ours} has no {'.'.join(members)}", names.advice(members[0]))
        else:
            self._plan.change(node, lambda updated: updated.with_changes(value=updated.value.replace(module, ours, 1)))

    def _is_imported(self, node: cst.SimpleString) -> bool:
        """Whether a string is the first argument of something that imports what it names."""
        argument = self._reading.parent(node)
        call = self._reading.parent(argument) if isinstance(argument, cst.Arg) else None
        if not isinstance(call, cst.Call) or argument is not call.args[0]:
            return False
        called = dotted(call.func)
        if called == ("__import__",):
            return any(item.keyword is not None and item.keyword.value == "fromlist" for item in call.args)
        return called is not None and called[-1] in _TAKES_NAMES

    def _leave(self, node: cst.CSTNode, value: str) -> None:
        self._plan.remark(
            node,
            f"what is done with the name {value!r} cannot be seen",
            "if something is imported or patched by it, write gae_broker's name; else add '# gae-broker: keep'",
        )
