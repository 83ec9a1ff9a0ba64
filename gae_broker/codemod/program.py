"""One Python file: read, given to the rules, written down again."""

from __future__ import annotations

import ast
import re
import sys
import warnings

import libcst as cst

from gae_broker.codemod import names, testbeds
from gae_broker.codemod.imports import Imports
from gae_broker.codemod.outcome import Outcome, Surroundings
from gae_broker.codemod.plan import Plan
from gae_broker.codemod.reading import Reading
from gae_broker.codemod.remark import Remark, kept_lines
from gae_broker.codemod.routes import Routes
from gae_broker.codemod.services import Services
from gae_broker.codemod.strings import Strings
from gae_broker.codemod.uses import Uses

_NAMED = re.compile(rb"google\.appengine|gae_broker|[\"']taskqueue[\"']")
_OF_TASKS = re.compile(rb"taskqueue|deferred|testbed|wrap_wsgi_app")
_CONCERNED = re.compile(
    rb"google\.appengine\.(api|ext)(\.labs)?\s+import\s[^\n]*\b(taskqueue|deferred)\b"
    rb"|google\.appengine\.(api\.(labs\.)?taskqueue|ext\.deferred)\b"
)
_PYTHON_2 = "if it is Python 2, make it Python 3 first (2to3 and modernize do most of it), then run this again"


def analyse(data: bytes, surroundings: Surroundings) -> Outcome:
    """What becomes of a file.

    Args:
        data: the file.
        surroundings: what the other files say about it.
    """
    if not (_NAMED.search(data) and _OF_TASKS.search(data)):
        return Outcome(data)
    with warnings.catch_warnings(action="ignore"):  # of "\\d" in the file, which is its own business
        return _analyse(data, surroundings)


def _analyse(data: bytes, surroundings: Surroundings) -> Outcome:
    try:
        # LibCST reads more than one Python does: of Python 2 `except Error, e`, which is two classes since 3.14.
        ast.parse(data)
        module = cst.parse_module(data)
    except SyntaxError as exc:
        return _unreadable(data, exc.lineno or 1, exc.msg)
    except cst.ParserSyntaxError as exc:
        return _unreadable(data, exc.raw_line, "LibCST cannot parse it")
    except (ValueError, LookupError, RecursionError, MemoryError) as exc:
        return _unreadable(data, 1, str(exc) or type(exc).__name__)
    reading = Reading(module)
    plan = Plan(reading, kept_lines(re.split(r"\r\n|\r|\n", module.code)))
    modules = dict(names.MODULES)
    if testbeds.is_replaced(reading, plan, surroundings.services):
        modules[names.TESTBED] = names.OUR_TESTBED
    for rule in (
        Routes(reading, plan, inspected=surroundings.inspected),
        Imports(reading, plan, modules),
        Uses(reading, plan, modules),
        Strings(reading, plan, modules),
        Services(reading, plan, modules),
    ):
        rule.apply()
    changed = plan.carry_out().bytes
    return Outcome(changed, tuple(sorted(set(plan.remarks))), module.encoding, _first_deferred(reading))


def _unreadable(data: bytes, line: int, why: str) -> Outcome:
    """A file that is left as it is, which matters only if there is something in it for us."""
    found = _CONCERNED.search(data)
    if found is None:
        return Outcome(data)
    used = data.count(b"\n", 0, found.start()) + 1
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    what = f"names the task queue in line {used}, and is nothing that Python {version} can read: {why}"
    return Outcome(data, (Remark(line, what, _PYTHON_2),), "latin-1")


def _first_deferred(reading: Reading) -> int | None:
    """The line where a file first calls ``deferred.defer``."""
    for call in reading.all(cst.Call):
        for name in reading.names(call.func, certain=False):
            module, _, function = name.rpartition(".")
            if function == "defer" and module in names.DEFERRED:
                return reading.line(call)
    return None
