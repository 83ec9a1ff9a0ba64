"""With a list, a pickle can neither call nor make anything that is not on it, by whatever way."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import functools
import importlib
import pickle
import subprocess
import sys
import uuid
import zoneinfo
from pathlib import Path, PurePosixPath

import pytest

from gae_broker import deferred
from gae_broker.deferred.allow_list import NotAllowedError
from gae_broker.engine import runtime
from tests.unit.deferred import callables
from tests.unit.deferred.callables import Shop

ROOT = Path(__file__).parents[3]
HERE = callables.__name__
MARK = "/gae-broker-allow-list-test"


@pytest.fixture(autouse=True)
def allow(monkeypatch):
    def only(*patterns):
        runtime.use(None)
        monkeypatch.setenv("GAE_BROKER_DEFERRED_ALLOW", ",".join(patterns))

    only(f"{HERE}.*")
    yield only
    runtime.use(None)


VALUES = [
    1,
    2.5,
    1j,
    "é",
    b"\xff",
    bytearray(b"x"),
    None,
    {1, 2},
    frozenset({1}),
    [1, (2, {"a": 3})],
    range(3),
    slice(1, 2),
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    collections.deque([1]),
    collections.defaultdict(list, a=[1]),
    dt.datetime(2026, 11, 5, tzinfo=dt.UTC),
    dt.datetime(2026, 11, 5, tzinfo=zoneinfo.ZoneInfo("UTC")),
    dt.date(2026, 1, 2),
    dt.timedelta(1),
    decimal.Decimal("1.5"),
    uuid.UUID(int=5),
    PurePosixPath("/a"),
    Shop.Inner(3),
]


@pytest.mark.parametrize("value", VALUES, ids=[type(value).__name__ for value in VALUES])
@pytest.mark.parametrize("cross_compatible", ["", "1"])
def test_plain_values_and_what_is_on_the_list_pass(monkeypatch, value, cross_compatible):
    monkeypatch.setenv("DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL", cross_compatible)
    assert deferred.run(deferred.serialize(callables.record, value)) == (value,)


@pytest.mark.parametrize(
    ("obj", "args"),
    [
        (callables.record, (1,)),
        (Shop("a").method, (1,)),
        (Shop.of_class, (1,)),
        (Shop.static, (1,)),
        (Shop("b"), (1,)),
        (Shop, ("c",)),
        (Shop.Inner, (1,)),
        (Shop.method, (Shop("c"), 1)),
    ],
)
def test_callables_of_every_kind_are_on_a_modules_list(obj, args):
    deferred.run(deferred.serialize(obj, *args))


def test_a_single_name_is_that_name(allow):
    allow(f"{HERE}.record")
    assert deferred.run(deferred.serialize(callables.record, 1)) == (1,)
    for obj, args in [(callables.fail, ()), (Shop.static, (1,)), (Shop, ())]:
        with pytest.raises(deferred.PermanentTaskFailure):
            deferred.run(deferred.serialize(obj, *args))
    allow(f"{HERE}.Shop", f"{HERE}.Shop.of_class")
    assert deferred.run(deferred.serialize(Shop.of_class, 1)) == ("class", "Shop", 1)
    with pytest.raises(deferred.PermanentTaskFailure, match="static"):
        deferred.run(deferred.serialize(Shop.static, 1))


def test_a_modules_name_is_not_the_beginning_of_others(allow):
    allow("tests.unit.deferred.call.*", "tests.unit.deferred.callables")
    with pytest.raises(deferred.PermanentTaskFailure):
        deferred.run(deferred.serialize(callables.record))


def global_(module, name):
    """Protocol 4's way to name a global, dots and all."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return texts + b"\x93"


def calling(function, *arguments):
    """A pickle that makes a call while it is loaded, and then looks like a harmless task."""
    call = function + b"".join([b"(", *arguments, b"t"]) + b"R"
    return b"\x80\x04" + call + b"0" + b"(" + global_(HERE, "record") + b")}t."


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


DEFERRED = "gae_broker.deferred.deferred"
TOUCH = text(f"touch {MARK}")
ATTACKS = {
    "os.system": calling(global_("os", "system"), TOUCH),
    "posix.system": calling(global_("posix", "system"), TOUCH),
    "eval": calling(global_("builtins", "eval"), text("1/0")),
    "Python 2's eval": b"c__builtin__\neval\n(S'1/0'\ntR.",
    "getattr": calling(global_("builtins", "getattr"), global_(HERE, "record"), text("__globals__")),
    "through a module of the list": calling(global_(HERE, "deferred.pickling.pickle.loads"), text("")),
    "a function that a module of the list imports": calling(global_(HERE, "deferred.set_log_level"), b"K\x14"),
    "a decorated function's inside": calling(global_(HERE, "guarded.__wrapped__"), text("forbidden")),
    "through a module's import": calling(global_(HERE, "deferred"), text("")),
    "a function's globals": calling(global_(HERE, "record.__globals__.get"), text("calls")),
    "a class's subclasses": calling(global_(HERE, "Shop.__subclasses__")),
    "a class's base": calling(global_(HERE, "Shop.__base__.__subclasses__")),
    "a name of the list that is defined elsewhere": calling(global_(HERE, "NoReturn"), text("x")),
    "a method while it is loaded": calling(
        global_(DEFERRED, "invoke_member"), global_(HERE, "record"), text("__getattribute__"), text("__globals__")
    ),
    "a stored call while it is loaded": calling(global_(DEFERRED, "run_from_datastore"), text("key")),
    "the library itself": calling(global_(DEFERRED, "run"), b"C\x01."),
    "a nested pickle": calling(
        global_("gae_broker.deferred.main_program", "resolve"),
        text("elsewhere"),
        text("f"),
        b"C" + bytes([len(nested := pickle.dumps(print))]) + nested,
    ),
    "cloudpickle": calling(global_("cloudpickle.cloudpickle", "_make_function"), text("x")),
    "cloudpickle's import": calling(global_("cloudpickle.cloudpickle", "subimport"), text("os")),
    "getattr of a class": calling(global_("builtins", "getattr"), global_(HERE, "Shop"), text("__subclasses__")),
    "getattr of a class's method": calling(global_("builtins", "getattr"), global_(HERE, "Shop"), text("mro")),
    "getattr of a plain type": calling(global_("builtins", "getattr"), global_("builtins", "dict"), text("fromkeys")),
    "getattr of a value": calling(global_("builtins", "getattr"), text("x"), text("join")),
    "an import": calling(global_("importlib", "import_module"), text("antigravity")),
    "partial": pickle.dumps((functools.partial(print, 1), (), {})),
    "a call that is no call": pickle.dumps((5, (), {})),
    "a type as the call": pickle.dumps((dict, (), {})),
    "a method of a plain value": deferred.serialize([1].count, 1),
    "a hidden method": pickle.dumps((deferred.invoke_member, (Shop(), "__reduce_ex__", 2), {})),
    "a method without an object": pickle.dumps((deferred.invoke_member, (), {})),
    "a method that is no name": pickle.dumps((deferred.invoke_member, (Shop(), 5), {})),
    "outermost of App Engine": b"cgoogle.appengine.ext.deferred.deferred\ninvoke_member\n(c" + HERE.encode()
    + b"\nrecord\nS'__getattribute__'\ntR.",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_no_way_leads_around_the_list(name):
    callables.calls.clear()
    with pytest.raises(deferred.PermanentTaskFailure) as caught:
        deferred.run(ATTACKS[name])
    (error,) = caught.value.args
    assert isinstance(error, NotAllowedError) or "'Outermost' object is not callable" in str(error)
    assert not callables.calls
    assert not Path(MARK).exists()


def test_these_attacks_would_do_something_without_the_list(allow):
    allow()
    with pytest.raises(deferred.PermanentTaskFailure) as caught:
        deferred.run(ATTACKS["eval"])
    assert isinstance(caught.value.args[0], ZeroDivisionError)
    callables.calls.clear()
    deferred.run(calling(global_(HERE, "record.__globals__.get"), text("calls")))
    assert callables.calls


def test_what_is_refused_is_not_even_imported():
    assert "this" not in sys.modules
    with pytest.raises(deferred.PermanentTaskFailure):
        deferred.run(b"cthis\ns\n.")
    assert "this" not in sys.modules
    assert importlib.util.find_spec("this") is not None


def test_the_refusal_says_what_to_add():
    with pytest.raises(deferred.PermanentTaskFailure) as caught:
        deferred.run(deferred.serialize(print, "x" * 100))
    (error,) = caught.value.args
    assert isinstance(error, NotAllowedError)
    assert str(error) == "'builtins.print' is not on the list deferred_allow; add it there if tasks may call it"


def test_what_goes_by_value_is_refused_unless_the_list_gives_itself_up(allow):
    by_value = deferred.serialize(lambda: 5)
    with pytest.raises(deferred.PermanentTaskFailure, match="cloudpickle"):
        deferred.run(by_value)


def test_old_pickles_of_app_engine_pass_by_their_new_names(allow):
    old = pickle.dumps((callables.record, (1,), {}), 2)
    assert deferred.run(old) == (1,)
    method = pickle.dumps((deferred.invoke_member, (Shop("a"), "method", 1), {}), 0)
    named = method.replace(b"gae_broker.deferred.deferred", b"google.appengine.ext.deferred.deferred")
    assert b"google" in named
    assert deferred.run(named) == ("method", "a", 1, 0)


MAIN = """
import os, sys
os.environ["GAE_BROKER_DEFERRED_ALLOW"] = "{allow}"
from gae_broker import deferred
def task(): return "ran"
from os import getcwd
data = deferred.serialize(task)
try:
    print(deferred.run(data))
except deferred.PermanentTaskFailure as exc:
    print(exc)
"""


@pytest.mark.parametrize(
    ("allow_", "expected"), [("__main__.*", "ran"), ("__main__.task", "ran"), ("shop.*", "not on the list")]
)
def test_what_main_defines_goes_by_its_name(tmp_path, allow_, expected):
    script = tmp_path / "main.py"
    script.write_text(MAIN.format(allow=allow_))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert expected in done.stdout, done.stderr


def test_what_another_main_defines_goes_by_value_and_is_refused(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "import sys\nfrom gae_broker import deferred\ndef task(): return 5\n"
        "sys.stdout.buffer.write(deferred.serialize(task))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, capture_output=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    with pytest.raises(deferred.PermanentTaskFailure, match="cloudpickle"):
        deferred.run(done.stdout)
