"""The rule for routes to App Engine's deferred handler: our middleware serves its path in front of the application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import libcst as cst

from gae_broker.codemod import names
from gae_broker.codemod.plan import Plan
from gae_broker.codemod.reading import Reading, dotted

_APPLICATIONS = frozenset({"webapp2.WSGIApplication", "google.appengine.ext.webapp.WSGIApplication"})
_HANDLERS = frozenset(f"{module}.{name}" for module in names.DEFERRED for name in ("TaskHandler", "application"))
_WRAP = "google.appengine.api.wrap_wsgi_app"
_EXACT = names.DEFERRED_PATH
_EVERY = frozenset({".*", "/.*"})
_ADVICE = f"take the route out, and {names.MOUNT}"


class Routes:
    """Plans what becomes of ``WSGIApplication([..., ("/_ah/queue/deferred", deferred.TaskHandler)])``.

    Args:
        reading: the file.
        plan: where to.
        inspected: whether another file looks into a WSGIApplication, so that it must not be wrapped.
    """

    def __init__(self, reading: Reading, plan: Plan, *, inspected: bool) -> None:
        self._reading = reading
        self._plan = plan
        self._inspected = inspected

    def apply(self) -> None:
        """Plan."""
        for node in self._reading.all(cst.Call):
            self._call(node)

    def _call(self, node: cst.Call) -> None:
        """An application that is made, or wrapped by Google's library."""
        called = self._reading.names(node.func)
        if _WRAP in called:
            self._unwrap(node)
        elif _APPLICATIONS.intersection(called) and node.args and not self._plan.is_kept(node):
            routes = node.args[0].value
            if isinstance(routes, cst.List):
                self._look_at(node, routes)

    def _look_at(self, call: cst.Call, routes: cst.List) -> None:
        found = [(element, *route) for element in routes.elements if (route := self._route(element.value)) is not None]
        if not found:
            return
        for _, _, handler in found:
            self._plan.settled.add(handler)
        why = self._why_not(call, [path for _, path, _ in found], len(routes.elements))
        if why:
            self._plan.remark(found[0][0], f"a route to App Engine's deferred handler, in {why}", _ADVICE)
        elif found[0][1] in _EVERY:
            self._replace(call, found[0][2])
        else:
            gone = {element for element, _, _ in found}
            self._plan.change(routes, lambda updated: _without(routes, updated, gone))
            self._wrap(call, call.func)

    def _why_not(self, call: cst.Call, paths: Sequence[str], count: int) -> str:
        """What stands against taking routes out; empty where nothing does."""
        if count == 1 and paths[0] in _EVERY:
            return ""
        if any(path != _EXACT for path in paths):
            return f"a pattern that may mean more than {_EXACT}"
        name = self._assigned_to(call)
        if name is None:
            return "an application that is not simply assigned to a global name"
        if self._inspected or self._is_inspected(name):
            return "an application whose router, error handlers or get_response are used elsewhere"
        return ""

    def _assigned_to(self, call: cst.Call) -> str | None:
        statement = self._reading.parent(call)
        if not isinstance(statement, cst.Assign) or not self._reading.is_global(statement):
            return None
        targets = [dotted(target.target) for target in statement.targets]
        return targets[0][0] if len(targets) == 1 and targets[0] is not None and len(targets[0]) == 1 else None

    def _is_inspected(self, name: str) -> bool:
        chains = (dotted(node) for node in self._reading.all(cst.Attribute))
        return any(chain is not None and chain[0] == name for chain in chains)

    def _route(self, node: cst.BaseExpression) -> tuple[str, cst.BaseExpression] | None:
        """The pattern and the handler of a route to the deferred library."""
        if isinstance(node, cst.Tuple):
            values = [element.value for element in node.elements]
        elif isinstance(node, cst.Call) and (dotted(node.func) or ("",))[-1] == "Route":
            named = {arg.keyword.value: arg.value for arg in node.args if arg.keyword is not None}
            values = [arg.value for arg in node.args if arg.keyword is None and not arg.star]
            values += [named[key] for key in ("template", "handler") if key in named]
        else:
            return None
        if len(values) < 2 or not self._is_deferred(values[1]):  # noqa: PLR2004 - a path and its handler
            return None
        path = values[0]
        text = path.evaluated_value if isinstance(path, cst.SimpleString) else ""
        return (text.removeprefix("^").removesuffix("$") if isinstance(text, str) else "", values[1])

    def _is_deferred(self, node: cst.BaseExpression) -> bool:
        if isinstance(node, cst.SimpleString):
            return node.evaluated_value in _HANDLERS
        return not _HANDLERS.isdisjoint(self._reading.names(node))

    def _replace(self, call: cst.Call, handler: cst.BaseExpression) -> None:
        """An application of nothing but the handler becomes ours."""
        chain = dotted(handler)
        if chain is None or len(chain) == 1:
            self._plan.remark(call, "an application of App Engine's deferred handler alone", _ADVICE)
            return
        module = ".".join(chain[:-1])
        made = cst.parse_expression(f"{names.MIDDLEWARE_CLASS}({names.MODULES.get(module, module)}.application)")
        self._plan.change(call, lambda _: made)
        self._import_middleware(handler)

    def _unwrap(self, call: cst.Call) -> None:
        """``wrap_wsgi_app(app, use_deferred=True)``: the rest of Google's services stays, deferred is ours."""
        if self._plan.is_kept(call):
            return
        for arg in call.args:
            if arg.keyword is None or arg.keyword.value != "use_deferred":
                continue
            value = arg.value.value if isinstance(arg.value, cst.Name) else ""
            if value == "True":
                self._plan.change(call, lambda updated: self._wrapped(_without_argument(updated)))
                self._import_middleware(call.func)
            elif value != "False":
                self._plan.remark(
                    call, "whether Google's wrap_wsgi_app serves deferred calls is decided at run time", names.MOUNT
                )

    def _wrap(self, call: cst.Call, anchor: cst.BaseExpression) -> None:
        self._plan.change(call, self._wrapped)
        self._import_middleware(anchor)

    @staticmethod
    def _wrapped(call: cst.Call) -> cst.Call:
        keyword = cst.Arg(
            keyword=cst.Name("deferred"),
            value=cst.Name("True"),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
        )
        comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
        return cst.Call(cst.Name(names.MIDDLEWARE_CLASS), [cst.Arg(call, comma=comma), keyword])

    def _import_middleware(self, anchor: cst.BaseExpression) -> None:
        there = self._reading.bound(anchor, names.MIDDLEWARE_CLASS).imports
        if f"{names.MIDDLEWARE}.{names.MIDDLEWARE_CLASS}" not in there:
            self._plan.import_after(self._origin(anchor), names.MIDDLEWARE, names.MIDDLEWARE_CLASS)

    def _origin(self, node: cst.BaseExpression) -> cst.CSTNode:
        """The import that brought the name that an expression begins with."""
        chain = dotted(node) or ("",)
        statements = self._reading.bound(node, chain[0]).imports.values()
        return next((statement for statement in statements if statement is not None), node)


def _without(original: cst.List, updated: cst.List, gone: set[cst.BaseElement]) -> cst.List:
    kept: list[Any] = [new for old, new in zip(original.elements, updated.elements, strict=True) if old not in gone]
    if kept and original.elements[-1] in gone:
        kept[-1] = kept[-1].with_changes(comma=updated.elements[-1].comma)
    return updated.with_changes(elements=kept)


def _without_argument(call: cst.Call) -> cst.Call:
    kept = list(_kept(call.args))
    if kept:
        kept[-1] = kept[-1].with_changes(comma=call.args[-1].comma)
    return call.with_changes(args=kept)


def _kept(args: Sequence[cst.Arg]) -> Iterator[cst.Arg]:
    for arg in args:
        if arg.keyword is None or arg.keyword.value != "use_deferred":
            yield arg
