"""With keys, a call is signed where it is deferred, and verified before a byte of it is loaded."""

from __future__ import annotations

import base64
import dataclasses
import io
import logging
import pickle
import random

import pytest

from gae_broker import deferred, taskqueue
from gae_broker.domain import keyring
from gae_broker.engine import runtime
from gae_broker.settings import Settings
from gae_broker.testing import testbed
from tests.unit.deferred import callables

NEW, OLD = "new:0123456789abcdef0123456789abcdef", "old:fedcba9876543210fedcba9876543210"


exploded: list[int] = []


def explode():
    exploded.append(1)


class Bomb:
    """Tells when it is loaded."""

    def __reduce__(self):
        return explode, ()


@pytest.fixture(autouse=True)
def forget():
    callables.calls.clear()
    exploded.clear()
    yield
    runtime.use(None)


@pytest.fixture
def setting(monkeypatch):
    """Sets what the process finds in its environment, with no runtime in use."""

    def set_to(**values):
        runtime.use(None)
        for name in ("SIGNING_KEYS", "DEFERRED_UNSIGNED", "DEFERRED_ALLOW"):
            monkeypatch.delenv(f"GAE_BROKER_{name}", raising=False)
        for name, value in values.items():
            monkeypatch.setenv(f"GAE_BROKER_{name.upper()}", value)

    set_to()
    return set_to


def test_the_pickle_is_the_same_with_and_without_keys(setting):
    plain = deferred.serialize(callables.record, 1, a=2)
    setting(signing_keys=NEW)
    sealed = deferred.serialize(callables.record, 1, a=2)
    assert sealed.startswith(plain)
    assert plain != sealed
    assert pickle.loads(sealed) == pickle.loads(plain)
    assert deferred.run(sealed) == (1,)


def test_without_keys_a_signature_is_not_looked_at(setting):
    setting(signing_keys=NEW)
    sealed = deferred.serialize(callables.record, 1)
    setting()
    assert deferred.run(sealed) == (1,)
    assert deferred.run(sealed[:-3]) == (1,)


def test_keys_are_replaced_one_after_the_other(setting):
    setting(signing_keys=OLD)
    before = deferred.serialize(callables.record, "before")
    setting(signing_keys=f"{OLD},{NEW}")
    meanwhile = deferred.serialize(callables.record, "meanwhile")
    setting(signing_keys=f"{NEW},{OLD}")
    after = deferred.serialize(callables.record, "after")
    assert [deferred.run(data) for data in (before, meanwhile, after)] == [("before",), ("meanwhile",), ("after",)]
    setting(signing_keys=NEW)
    assert deferred.run(after) == ("after",)
    with pytest.raises(deferred.PermanentTaskFailure, match="signing key is not known"):
        deferred.run(before)


def test_nothing_is_loaded_of_what_does_not_hold(setting):
    unsigned = pickle.dumps(Bomb())
    setting(signing_keys=NEW)
    sealed = deferred.serialize(callables.record, Bomb())
    for data in (unsigned, sealed.replace(b"record", b"recorD"), unsigned + sealed[-100:], sealed[:-1]):
        with pytest.raises(deferred.PermanentTaskFailure, match="this deferred call is not made"):
            deferred.run(data)
    assert not exploded
    assert deferred.run(sealed) == (None,)
    assert exploded


def test_unsigned_calls_of_the_time_before_may_be_accepted(setting, caplog):
    unsigned = deferred.serialize(callables.record, "before")
    setting(signing_keys=NEW, deferred_unsigned="accept")
    assert deferred.run(unsigned) == ("before",)
    assert "without a signature" in caplog.text
    forged = deferred.serialize(callables.record, 1).replace(b"record", b"recorD")
    with pytest.raises(deferred.PermanentTaskFailure, match="does not fit"):
        deferred.run(forged)


def test_the_handler_ends_a_forged_task_and_logs_no_content(setting, caplog):
    setting(signing_keys=NEW)
    body = pickle.dumps((callables.record, ("secret-argument",), {}))
    environ = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "0.1.0.2",
        "HTTP_X_APPENGINE_TASKNAME": "n",
        "wsgi.input": io.BytesIO(body),
    }
    answer = deferred.Handler().post(environ)
    assert (answer[0], answer[1]) == ("PermanentTaskFailure", 200)
    assert not callables.calls
    assert "not signed" in caplog.text
    assert "secret-argument" not in caplog.text
    assert "record" not in [word for record in caplog.records for word in record.getMessage().split()]


@pytest.fixture
def keyed(world):
    """The engine with keys."""
    world.runtime.settings = dataclasses.replace(world.runtime.settings, signing_keys=keyring.parse(NEW))
    return world


def _payload():
    (task,) = runtime.current().browser.tasks("default", 10)
    return task.content.payload


def test_a_task_carries_its_signature(keyed):
    deferred.defer(callables.record, 1)
    payload = _payload()
    assert b"#gae-broker v1 key=new s=" in payload
    assert deferred.run(payload) == (1,)


def test_a_stored_payload_is_verified_too(keyed):
    deferred.defer(callables.record, b"x" * 200_000)
    reference = _payload()
    assert b"run_from_datastore" in reference
    key = pickle.loads(reference)[1][0]
    stored = keyed.runtime.payloads.fetch(key)
    assert b"#gae-broker v1 key=new s=" in stored
    keyed.runtime.payloads.forget(key)
    keyed.runtime.ledger.put_payload(key, pickle.dumps(Bomb()), 1)
    with pytest.raises(deferred.PermanentTaskFailure, match="not signed"):
        deferred.run(reference)
    assert not exploded


def test_a_large_call_runs(keyed):
    deferred.defer(callables.record, b"x" * 200_000)
    deferred.run(_payload())
    assert callables.calls == [((b"x" * 200_000,), {})]


def test_the_testbeds_bodies_are_pickles_without_keys_in_the_environment_and_with(setting):
    setting(signing_keys=NEW)
    bed = testbed.Testbed()
    bed.activate()
    try:
        assert deferred.serialize(callables.record) == deferred.serialize(callables.record)
        bed.init_taskqueue_stub()
        deferred.defer(callables.record, 1)
        (task,) = bed.get_stub("taskqueue").GetTasks("default")
        body = base64.b64decode(task["body"])
        assert pickle.loads(body) == (callables.record, (1,), {})
        assert b"#gae-broker" not in body
        deferred.run(body)
    finally:
        bed.deactivate()


def test_ten_thousand_altered_payloads_run_nothing(setting):
    setting(signing_keys=f"{NEW},{OLD}")
    rng = random.Random(20261105)
    sealed = [deferred.serialize(callables.record, Bomb(), "x" * rng.randrange(200)) for _ in range(50)]
    plain = [data[: data.rindex(b"\n#gae-broker")] for data in sealed]
    logging.getLogger("gae_broker.deferred.deferred").setLevel(logging.CRITICAL)
    try:
        for _ in range(10_000):
            forged = _forged(rng, rng.choice(sealed), rng.choice(plain), rng.choice(sealed))
            with pytest.raises(deferred.PermanentTaskFailure, match="this deferred call is not made"):
                deferred.run(forged)
    finally:
        logging.getLogger("gae_broker.deferred.deferred").setLevel(logging.NOTSET)
    assert not exploded
    assert not callables.calls


def _forged(rng, sealed, plain, other):
    """Something that was never signed, made of what was."""
    place = rng.randrange(len(sealed))
    kind = rng.randrange(9)
    made = {
        0: lambda: sealed[:place] + bytes([sealed[place] ^ 1 << rng.randrange(8)]) + sealed[place + 1 :],
        1: lambda: sealed[:place],
        2: lambda: sealed[:place] + rng.randbytes(rng.randrange(1, 5)) + sealed[place:],
        3: lambda: plain,
        4: lambda: plain + rng.randbytes(1) + sealed[len(sealed) - 93 :],
        5: lambda: sealed.replace(b"key=new", rng.choice([b"key=old", b"key=", b"key=\xff", b"key=" + b"n" * 5000])),
        6: lambda: rng.randbytes(rng.randrange(300)),
        7: lambda: sealed + rng.randbytes(rng.randrange(1, 20)),
        8: lambda: pickle.dumps((exec, ("raise SystemExit",), {})) + sealed[sealed.rindex(b"\n#gae-broker") :],
    }[kind]()
    return made if made not in (sealed, other) else plain


def test_a_queue_of_another_kind_is_not_concerned(keyed):
    """Only deferred payloads are signed; what applications send themselves is theirs."""
    taskqueue.add(payload=b"mine", url="/work")
    assert _payload() == b"mine"


def test_settings_without_a_runtime_are_found_once(setting, monkeypatch):
    setting(signing_keys=NEW)
    assert runtime.settings().signing_keys.signer.id == "new"
    monkeypatch.setenv("GAE_BROKER_SIGNING_KEYS", OLD)
    assert runtime.settings().signing_keys.signer.id == "new"
    runtime.use(None)
    assert runtime.settings().signing_keys.signer.id == "old"
    assert Settings.load().signing_keys.signer.id == "old"
