"""The rule for dotted names: what spells App Engine's module out is changed, what is not ours to offer remarked on."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.plan import Plan
from gae_broker.codemod.reading import Bound, Reading, dotted, imported, outermost
from gae_broker.codemod.rule import Rule


class Uses(Rule):
    """Plans what becomes of ``google.appengine.api.taskqueue.add`` and ``taskqueue.add``."""

    def __init__(self, reading: Reading, plan: Plan, modules: Mapping[str, str]) -> None:
        super().__init__(reading, plan, {**names.OURS, **modules})
        plain = [item for node in reading.all(cst.Import) for item in imported(node)]
        self._spelt = {target for alias, _, target in plain if alias.asname is None and target.startswith("google.")}

    def apply(self) -> None:
        """As `Rule.apply`."""
        for node in outermost(self._reading):
            chain = dotted(node)
            if chain is not None and node not in self._plan.settled:
                self._look_at(node, chain)

    def _look_at(self, node: cst.Attribute, chain: tuple[str, ...]) -> None:
        bound = self._reading.bound(node, chain[0])
        if not bound.imports and bound.certain and chain[:2] == ("google", "appengine"):
            bound = Bound({"google": None}, plain=True, certain=True)
        for name in bound.imports:
            self._use(node, chain, name, bound)

    def _use(self, node: cst.Attribute, chain: tuple[str, ...], first: str, bound: Bound) -> None:
        is_spelt_out = bound.plain and first == chain[0]
        full = ".".join((first, *chain[1:]))
        found = names.split(full, self._modules)
        if found is None:
            if is_spelt_out and chain[:2] == ("google", "appengine"):
                self._check_orphan(node, chain)
            return
        module, members = found
        ours = self._modules[module]
        if len(chain) <= len(members):
            return  # a name imported from the module, which the imports' rule has looked at
        if members and not names.offers(ours, members[:1]):
            self._plan.remark(node, f"{ours} has no {members[0]}", names.advice(members[0]))
        elif ours != module and first not in self._modules and not self._plan.is_kept(node):
            why, todo = self._why_not(node, module, is_spelt_out=is_spelt_out, certain=bound.certain)
            if why:
                self._plan.remark(node, f"{module} is {why}", todo)
            else:
                self._plan.replace(_ancestor(node, len(members)), ours)

    def _why_not(self, node: cst.Attribute, module: str, *, is_spelt_out: bool, certain: bool) -> tuple[str, str]:
        """What stands against changing a dotted name, and what to do then; empty where nothing does."""
        ours = self._modules[module]
        if not is_spelt_out:
            return "used through a package", f"import {ours}, and use that"
        if not certain:
            return "used by a name that is bound otherwise too", f"import {ours}, and use that"
        if not any(name == module or name.startswith(f"{module}.") for name in self._spelt):
            return "used here, and imported in another file", f"import {ours}, and use that"
        if not self._reading.bound(node, "gae_broker").certain:
            return f"used where gae_broker is another thing than the package {ours} lies in", "rename that thing"
        return "", ""

    def _check_orphan(self, node: cst.Attribute, chain: tuple[str, ...]) -> None:
        """Another service, reached by a name that only an import of the task queue bound, if any did."""
        if any(names.split(name, self._modules) is None for name in self._spelt):
            return
        module = ".".join(chain[:4])
        self._plan.remark(
            node, f"{module} is used, and nothing here imports it but the task queue did", f"import {module}"
        )


def _ancestor(node: cst.Attribute, levels: int) -> cst.BaseExpression:
    """The part of a dotted name without so many of its last parts."""
    inner: cst.BaseExpression = node
    for _ in range(levels):
        assert isinstance(inner, cst.Attribute)  # noqa: S101 - it has that many parts
        inner = inner.value
    return inner
