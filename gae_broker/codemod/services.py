"""The rule for what reaches App Engine's task queue past its API: Google's API proxy, its errors, its REST service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.reading import Reading, dotted
from gae_broker.codemod.rule import Rule

_PROXY_CALLS = frozenset({"GetStub", "RegisterStub", "ReplaceStub", "MakeSyncCall", "UserRPC", "CreateRPC", "Append"})
_ERRORS = "google.appengine.runtime.apiproxy_errors."
_OUR_ERRORS = {"DeadlineExceededError": "DeadlineExceededError", "Error": "ApiProxyError"}


class Services(Rule):
    """Remarks on calls and handlers that know Google's infrastructure."""

    def apply(self) -> None:
        """As `Rule.apply`."""
        for call in self._reading.all(cst.Call):
            self._call(call)
        for statement in self._reading.all(cst.Try):
            self._try(statement)

    def _call(self, node: cst.Call) -> None:
        """``apiproxy.GetStub("taskqueue")``, ``build("taskqueue", "v1beta2")``."""
        called = dotted(node.func)
        last = node.func.attr.value if isinstance(node.func, cst.Attribute) else (called or ("",))[-1]
        texts = [arg.value.evaluated_value for arg in node.args if isinstance(arg.value, cst.SimpleString)]
        if "taskqueue" not in texts:
            return
        if last in _PROXY_CALLS:
            self._plan.remark(
                node,
                f"{last}('taskqueue') reaches Google's task queue, not ours",
                "use gae_broker.testing.testbed in tests, gae_broker.taskqueue in programs",
            )
        elif last == "build" and not any(arg.keyword and "iscovery" in arg.keyword.value for arg in node.args):
            self._plan.remark(
                node,
                "build('taskqueue', ...) asks Google for its REST service",
                "give it the discoveryServiceUrl= and a token of 'gae-broker serve': docs/how-to/lease-from-outside.md",
            )

    def _try(self, node: cst.Try) -> None:
        """``except apiproxy_errors.DeadlineExceededError`` around calls that are ours from now on."""
        for handler in node.handlers:
            caught = [name for kind in _kinds(handler.type) for name in self._reading.names(kind, certain=False)]
            theirs = [name.removeprefix(_ERRORS) for name in caught if name.startswith(_ERRORS)]
            wanted = [_OUR_ERRORS[name] for name in theirs if name in _OUR_ERRORS]
            there = {name.rpartition(".")[2] for name in caught if name.startswith("gae_broker.")}
            if not there.issuperset(wanted) and self._is_ours(node.body):
                errors = ", ".join(f"gae_broker.errors.{name}" for name in wanted)
                self._plan.remark(handler, f"our calls raise {errors}, which is not Google's", "catch that here too")

    def _is_ours(self, body: cst.BaseSuite) -> bool:
        looking = _Looking(self._reading, self._modules)
        body.visit(looking)
        return looking.found


class _Looking(cst.CSTVisitor):
    """Whether anything of the task queue is named."""

    def __init__(self, reading: Reading, modules: Mapping[str, str]) -> None:
        super().__init__()
        self._reading = reading
        self._modules = modules
        self.found = False

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Name | cst.Attribute):
            self.found = self.found or any(
                names.split(name, self._modules) or name.startswith(("gae_broker.taskqueue", "gae_broker.deferred"))
                for name in self._reading.names(node, certain=False)
            )
        return not self.found


def _kinds(node: cst.BaseExpression | None) -> Iterator[cst.BaseExpression]:
    """The classes that an ``except`` names."""
    if isinstance(node, cst.Tuple):
        for element in node.elements:
            yield element.value
    elif node is not None:
        yield node
