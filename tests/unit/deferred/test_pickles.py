"""serialize and run: what can be deferred, and which bytes it becomes."""

from __future__ import annotations

import datetime as dt
import math
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gae_broker import deferred, taskqueue
from tests.unit.deferred import callables
from tests.unit.deferred.callables import Shop

ROOT = Path(__file__).parents[3]

PLAIN = {
    "function": (callables.record, (1, "é", b"\xff"), {}, (1, "é", b"\xff")),
    "method": (Shop("a").method, (1,), {"extra": 2}, ("method", "a", 1, 2)),
    "class method": (Shop.of_class, (1,), {}, ("class", "Shop", 1)),
    "static method": (Shop.static, (1,), {}, ("static", 1)),
    "instance": (Shop("b"), (1,), {}, ("instance", "b", 1)),
    "class": (Shop.Inner, (1,), {}, Shop.Inner(1)),
    "built-in function": (math.hypot, (3, 4), {}, 5.0),
    "built-in of builtins": (len, ("abc",), {}, 3),
    "built-in method": ("a-b".split, ("-",), {}, ["a", "b"]),
    "built-in method of something falsy": ("".join, (["a", "b"],), {}, "ab"),
    "type": (dict, (), {"a": 1}, {"a": 1}),
    "unbound method": (Shop.method, (Shop("c"), 1), {}, ("method", "c", 1, 0)),
    "method of a class": (dt.date.fromisoformat, ("2026-11-23",), {}, dt.date(2026, 11, 23)),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("cross_compatible", ["", "1"])
def test_what_plain_pickle_can_take(monkeypatch, name, cross_compatible):
    monkeypatch.setenv("DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL", cross_compatible)
    obj, args, kwargs, result = PLAIN[name]
    data = deferred.serialize(obj, *args, **kwargs)
    assert deferred.run(data) == result
    assert b"cloudpickle" not in data
    assert data[:1] == (b"\x80" if not cross_compatible else data[:1])
    assert (data[0] == 0x80) == (not cross_compatible)
    function, its_args, its_kwargs = pickle.loads(data)
    assert function(*its_args, **its_kwargs) == result


def test_the_shapes_of_the_tuples():
    shop = Shop()
    assert pickle.loads(deferred.serialize(callables.record, 1, a=2)) == (callables.record, (1,), {"a": 2})
    function, (owner, name, number), kwargs = pickle.loads(deferred.serialize(shop.method, 1, extra=2))
    assert (function, owner.name, name, number, kwargs) == (deferred.invoke_member, "shop", "method", 1, {"extra": 2})
    assert pickle.loads(deferred.serialize(Shop.of_class, 1)) == (deferred.invoke_member, (Shop, "of_class", 1), {})
    assert pickle.loads(deferred.serialize([1].count, 1)) == (deferred.invoke_member, ([1], "count", 1), {})
    assert pickle.loads(deferred.serialize([].count, 1))[0] != deferred.invoke_member


@pytest.mark.parametrize("obj", [5, "text", None, object()])
def test_what_cannot_be_called_cannot_be_deferred(obj):
    with pytest.raises(ValueError, match="must be callable"):
        deferred.serialize(obj)


def make_adder(number):
    def add(other):
        return number + other

    return add


@pytest.mark.parametrize("cross_compatible", ["", "1"])
def test_what_app_engine_could_not_defer(monkeypatch, cross_compatible):
    monkeypatch.setenv("DEFERRED_USE_CROSS_COMPATIBLE_PICKLE_PROTOCOL", cross_compatible)

    class Nested:
        def __init__(self, number):
            self.number = number

        def twice(self):
            return 2 * self.number

    assert deferred.run(deferred.serialize(lambda a, b=1: a + b, 5, b=2)) == 7
    assert deferred.run(deferred.serialize(make_adder(3), 4)) == 7
    assert deferred.run(deferred.serialize(Nested(4).twice)) == 8
    assert deferred.run(deferred.serialize(callables.record, make_adder(1)))[0](1) == 2


@pytest.mark.parametrize("arguments", [(threading.Lock(),), ((number for number in ()),)], ids=["lock", "generator"])
def test_what_nothing_can_pickle(arguments):
    with pytest.raises((TypeError, pickle.PicklingError)):
        deferred.serialize(callables.record, *arguments)


SCRIPT = """
import sys
from gae_broker import deferred

FACTOR = 3

class Order:
    def __init__(self, number):
        self.number = number
    def total(self):
        return times(self.number)

def times(number):
    return FACTOR * number

{call}
"""


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("deferred.serialize(times, 5)", 15),
        ("deferred.serialize(Order(7).total)", 21),
        ("deferred.serialize(map, times, [1])", None),
        ("deferred.serialize(sorted, [3, 1, 2], key=times)", [1, 2, 3]),
    ],
)
def test_what_is_of_main_goes_by_value_to_other_programs(tmp_path, call, result):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(call=f"sys.stdout.buffer.write({call})"))
    done = subprocess.run([sys.executable, script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    answer = deferred.run(done.stdout)
    assert (list(answer) if isinstance(answer, map) else answer) == (result or [3])


SUITE = """
from gae_broker import deferred
from gae_broker.testing import testbed

ran = []

class Order:
    class Line:
        pass
    def ship(self, line):
        assert type(line) is Order.Line and type(self) is Order
        ran.append("shipped")

def bill(order, then=None):
    assert type(order) is Order
    ran.append("billed")
    deferred.defer(order.ship, Order.Line())

bed = testbed.Testbed()
bed.activate()
bed.init_taskqueue_stub()
deferred.defer(bill, Order())
deferred.defer(lambda: None)
stub = bed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)
while tasks := stub.get_filtered_tasks():
    for task in tasks:
        deferred.run(task.payload)
        stub.DeleteTask("default", task.name)
bed.deactivate()
print(*ran)
"""


def test_a_suite_that_is_the_program_itself_runs_its_own_functions(tmp_path):
    script = tmp_path / "suite.py"
    script.write_text(SUITE)
    done = subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "billed shipped\n")


# ------------------------------------------------------------------------------------------- Python 2


MODULE = callables.__name__.encode()
INVOKE = b"google.appengine.ext.deferred.deferred\ninvoke_member\n"

PYTHON_2 = {
    "protocol 0, str arguments": (
        b"(c" + MODULE + b"\nrecord\n(S'caf\\xc3\\xa9'\nVtext\ntp1\n(dp2\nt.",
        ("cafÃ©", "text"),
    ),
    "protocol 0, long and unicode": (b"(c" + MODULE + b"\nrecord\n(L5L\nV\\u20ac\ntp1\n(dp2\nt.", (5, "€")),
    "protocol 1, short str": (b"(c" + MODULE + b"\nrecord\n(U\x02\xff\xfet}t.", ("\xff\xfe",)),
    "protocol 2, builtins of Python 2": (b"\x80\x02c__builtin__\nlen\nU\x03abc\x85}\x87.", 3),
    "protocol 2, xrange": (b"\x80\x02c__builtin__\nxrange\nK\x03\x85}\x87.", range(3)),
    "protocol 2, keyword arguments": (b"\x80\x02c__builtin__\ndict\n)}U\x01aK\x01s\x87.", {"a": 1}),
    "protocol 2, a member": (
        b"\x80\x02c" + INVOKE + b"c" + MODULE + b"\nShop\n)\x81}U\x04nameU\x01zsbU\x06methodK\x05\x87}\x87.",
        ("method", "z", 5, 0),
    ),
    "protocol 0, a date": (
        b"(c"
        + MODULE
        + b"\nrecord\n(cdatetime\ndatetime\n(S'\\x07\\xdf\\x0c\\x1f\\x17;;\\x00\\x00\\x00'\ntRtp1\n(dp2\nt.",
        (dt.datetime(2015, 12, 31, 23, 59, 59),),  # noqa: DTZ001
    ),
    "protocol 2, a date": (
        b"\x80\x02c" + MODULE + b"\nrecord\ncdatetime\ndatetime\nU\n\x07\xdf\x0c\x1f\x17;;\x0f\x42\x3f\x85R\x85}\x87.",
        (dt.datetime(2015, 12, 31, 23, 59, 59, 999999),),  # noqa: DTZ001
    ),
}


@pytest.mark.parametrize("name", PYTHON_2)
def test_pickles_of_python_2(name):
    data, result = PYTHON_2[name]
    assert deferred.run(data) == result


def test_an_object_that_python_2_reconstructed():
    data = (
        b"(c" + MODULE + b"\nrecord\n(ccopy_reg\n_reconstructor\n(c" + MODULE + b"\nOldStyle\nc__builtin__\nobject\n"
        b"NtR(dS'name'\nS'x'\nsbtp1\n(dp2\nt."
    )
    (instance,) = deferred.run(data)
    assert (type(instance), instance.name) == (callables.OldStyle, "x")


def test_an_old_style_instance():
    (instance,) = deferred.run(
        b"(c" + MODULE + b"\nrecord\n((i" + MODULE + b"\nOldStyle\n(dS'name'\nS'x'\nsbtp1\n(dp2\nt."
    )
    assert (type(instance), instance.name) == (callables.OldStyle, "x")


@pytest.mark.parametrize(
    ("module", "name", "ours"),
    [
        ("google.appengine.ext.deferred.deferred", "invoke_member", deferred.invoke_member),
        ("google.appengine.ext.deferred.deferred", "run_from_datastore", deferred.run_from_datastore),
        ("google.appengine.ext.deferred.deferred", "defer", deferred.defer),
        ("google.appengine.ext.deferred", "run", deferred.run),
        ("google.appengine.api.taskqueue.taskqueue", "TaskRetryOptions", taskqueue.TaskRetryOptions),
        ("google.appengine.api.taskqueue", "add", taskqueue.add),
        ("google.appengine.api.labs.taskqueue.taskqueue", "add", taskqueue.add),
    ],
)
def test_names_of_app_engines_modules_become_ours(module, name, ours):
    (found,) = deferred.run(b"(c" + MODULE + f"\nrecord\n(c{module}\n{name}\ntp1\n(dp2\nt.".encode())
    assert found is ours


def test_retry_options_that_app_engine_pickled():
    state = b"S'_TaskRetryOptions__task_retry_limit'\nI3\ns"
    data = b"(c" + MODULE + b"\nrecord\n(ccopy_reg\n_reconstructor\n(cgoogle.appengine.api.taskqueue.taskqueue\n"
    (options,) = deferred.run(data + b"TaskRetryOptions\nc__builtin__\nobject\nNtR(d" + state + b"btp1\n(dp2\nt.")
    assert options.task_retry_limit == 3


def test_a_module_that_can_be_imported_has_no_successor(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.appengine.ext.deferred", callables)
    (found,) = deferred.run(b"(c" + MODULE + b"\nrecord\n(cgoogle.appengine.ext.deferred\nrecord\ntp1\n(dp2\nt.")
    assert found is callables.record


# ------------------------------------------------------------------------------------------------- run


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", EOFError),
        (b"no pickle", Exception),
        (b"\x80\x04.", Exception),
        (pickle.dumps((1, 2)), ValueError),
        (pickle.dumps((1, 2, 3, 4)), ValueError),
        (pickle.dumps(5), TypeError),
        (b"cno_such_module\nname\n.", ModuleNotFoundError),
        (b"c" + MODULE + b"\nno_such_name\n.", AttributeError),
        (b"cgoogle.appengine.ext.deferred.deferred\nno_such_name\n.", AttributeError),
        (b"cgoogle.appengine.ext.db\nno_such_name\n.", ModuleNotFoundError),
    ],
    ids=repr,
)
def test_what_cannot_be_loaded_fails_for_good(data, cause):
    with pytest.raises(deferred.PermanentTaskFailure) as raised:
        deferred.run(data)
    assert isinstance(raised.value.args[0], cause)
    assert raised.value.__cause__ is raised.value.args[0]


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (callables.fail, ZeroDivisionError),
        (callables.fail_once, deferred.SingularTaskFailure),
        (callables.fail_permanently, deferred.PermanentTaskFailure),
    ],
)
def test_the_functions_own_error_is_raised(function, error):
    with pytest.raises(error):
        deferred.run(deferred.serialize(function))


def test_a_wrong_number_of_arguments_is_the_functions_own_error():
    with pytest.raises(TypeError):
        deferred.run(deferred.serialize(len))
