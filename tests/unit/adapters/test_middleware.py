"""What the middlewares let pass, and how: the same cases through WSGI and ASGI."""

from __future__ import annotations

import dataclasses
import io
import logging
import tempfile
from dataclasses import replace

import pytest

from gae_broker import deferred
from gae_broker.domain.keyring import Keyring
from gae_broker.domain.origin import Origin
from gae_broker.errors import ConfigurationError
from gae_broker.settings import Settings
from gae_broker_adapters import spool
from gae_broker_adapters.current_task import current_task
from gae_broker_adapters.guard import ProcessReplays
from tests.integration.forging import SETTINGS, on_the_wire, signed
from tests.unit.adapters.through import HEADERS, NO_KEYS, REQUEST, TASK, ThroughAsgi, ThroughWsgi
from tests.unit.deferred import callables


@pytest.fixture(params=[ThroughWsgi, ThroughAsgi], ids=["wsgi", "asgi"])
def through(request):
    return request.param


def with_headers(*added):
    return replace(REQUEST, headers=(*HEADERS, *added))


def test_a_signed_request_is_as_on_app_engine(through):
    made = through(settings=SETTINGS)
    assert made.send(signed(REQUEST)) == (200, b"ok")
    seen = made.sees()
    assert (seen.body, seen.remote, seen.origin) == (b"abc", "0.1.0.2", Origin.SIGNED)
    assert seen.task == seen.current == TASK
    assert seen.headers["x-appengine-user-ip"] == "0.1.0.2"
    assert current_task() is None


def test_an_older_key_will_do(through):
    made = through(settings=SETTINGS)
    assert made.send(signed(REQUEST, keys="old:fedcba9876543210fedcba9876543210")) == (200, b"ok")


def test_a_strangers_request_loses_what_it_must_not_say(through):
    made = through(settings=SETTINGS)
    wire = on_the_wire(with_headers(("X_AppEngine_Cron", "1"), ("x-appengine-USER-ip", "0.1.0.2"), ("X-Mine", "1")))
    assert made.send(wire, **made.remote("10.0.0.1")) == (200, b"ok")
    seen = made.sees()
    assert [name for name in seen.headers if "appengine" in name] == []
    assert (seen.headers["x-mine"], seen.body, seen.remote) == ("1", b"abc", "10.0.0.1")
    assert (seen.task, seen.current, seen.origin) == (None, None, None)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/_ah/queue/default", 403),
        ("/_ah/queue", 403),
        ("/_ah/queue/", 403),
        ("/_AH/queue/deferred", 403),
        ("//_ah/queue/default", 403),
        ("/x/../_ah/queue/default", 403),
        ("/./_ah//queue/default?x=1", 403),
        ("/%5fah/queue/default", 403),
        ("/_ah/queuex", 200),
        ("/tasks", 403),
        ("/tasks/a", 403),
        ("/tasksa", 200),
        ("/cron/a", 403),
        ("/mail/a", 403),
        ("/", 200),
        ("/work", 200),
    ],
)
def test_paths_that_only_the_dispatcher_may_ask_for(through, url, status):
    settings = dataclasses.replace(SETTINGS, signed_paths=("/tasks",))
    made = through(settings=settings, signed_paths=["/cron/*", "/mail/"])
    assert made.send(on_the_wire(replace(REQUEST, url=url)))[0] == status
    assert len(made.seen) == (status == 200)
    if not url.startswith("//"):
        assert made.send(signed(replace(REQUEST, url=url)))[0] == 200


def test_a_refusal_says_why_and_logs_no_content(through, caplog):
    made = through(settings=SETTINGS)
    wire = signed(replace(REQUEST, url="/work\u00e9?secret=1"))
    made.send(wire)
    made.seen.clear()
    status, body = made.send(wire)
    assert (status, body) == (403, b"This is not taken for a request of the task queue: it was received before.\n")
    assert not made.seen
    (record,) = [record for record in caplog.records if record.name == "gae_broker.security"]
    assert record.getMessage() == "refused a request for '/work\\xe9' from 127.0.0.1: it was received before"
    assert (record.event, record.reason, record.remote) == ("request.refused", "replayed", "127.0.0.1")
    assert "secret" not in caplog.text
    assert "abc" not in caplog.text


def test_the_same_task_may_come_again_signed_anew(through):
    made = through(settings=SETTINGS)
    assert [made.send(signed(REQUEST))[0] for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("shift_s", [-301, 301, -(10**6)])
def test_old_signatures_are_refused(through, shift_s):
    made = through(settings=SETTINGS)
    status, body = made.send(signed(REQUEST, shift_us=shift_s * 1_000_000))
    assert status == 403
    assert b"signed too long ago" in body


def test_a_body_that_is_not_the_one_that_was_signed_reaches_nobody(through):
    made = through(settings=SETTINGS)
    wire = signed(REQUEST)
    for body in (b"abd", b"ab", b""):
        altered = replace(
            wire,
            body=body,
            headers=tuple((n, b"%d" % len(body) if n == b"Content-Length" else v) for n, v in wire.headers),
        )
        assert made.send(altered)[0] == 403
    assert not made.seen
    assert made.send(wire)[0] == 200  # none of them has used the signature up


def test_a_large_body_is_spooled_and_reaches_the_application_unchanged(through):
    body = bytes(range(256)) * 20_000
    headers = (*HEADERS[:-2], ("Content-Length", str(len(body))), ("Content-Type", "image/png"))
    made = through(settings=SETTINGS)
    assert made.send(signed(replace(REQUEST, body=body, headers=headers)))[0] == 200
    assert made.sees().body == body


def test_a_body_that_cannot_be_stored_is_tried_again(through, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool.tempfile, "SpooledTemporaryFile", lambda _: Full())
    made = through(settings=SETTINGS)
    status, body = made.send(signed(REQUEST))
    assert status == 503
    assert b"No space left" in body
    assert not made.seen


def test_no_temporary_file_is_left(through, monkeypatch):
    made_files = []
    real = tempfile.SpooledTemporaryFile

    def keep(size):
        made_files.append(real(size))
        return made_files[-1]

    monkeypatch.setattr(spool.tempfile, "SpooledTemporaryFile", keep)
    made = through(settings=SETTINGS)
    made.send(signed(REQUEST))
    made.send(replace(signed(REQUEST), body=b"abd"))
    assert [file.closed for file in made_files] == [True, True]


def test_what_a_proxy_takes_off_the_path_can_be_put_back(through):
    wire = signed(replace(REQUEST, url="/shop/work"))
    stripped = replace(wire, target=b"/work")
    assert through(settings=SETTINGS).send(stripped)[0] == 403
    made = through(settings=SETTINGS, stripped_prefix="/shop/")
    assert made.send(stripped)[0] == 200
    assert made.sees().path == "/work"


def test_a_mounted_application_is_signed_for_with_all_of_its_path():
    made = ThroughWsgi(settings=SETTINGS)
    assert made.send(signed(replace(REQUEST, url="/shop/work")), SCRIPT_NAME="/shop", PATH_INFO="/work")[0] == 200
    made = ThroughAsgi(settings=SETTINGS)
    assert made.send(signed(replace(REQUEST, url="/shop/work")), root_path="/shop")[0] == 200
    for scope in (
        {"root_path": "/shop", "path": "/work", "raw_path": b"/work"},
        {"root_path": "/shop", "raw_path": None},
    ):
        assert made.send(signed(replace(REQUEST, url="/shop/work")), **scope)[0] == 200
    wire = on_the_wire(replace(REQUEST, url="/shop/_ah/queue/x"))
    assert made.send(wire, root_path="/shop")[0] == 403
    assert ThroughWsgi(settings=SETTINGS).send(wire, SCRIPT_NAME="/shop", PATH_INFO="/_ah/queue/x")[0] == 403


@pytest.mark.parametrize("settings", [SETTINGS, NO_KEYS])
def test_what_the_dispatcher_calls_in_its_own_process_needs_no_signature(through, settings):
    made = through(settings=settings)
    assert made.in_process(replace(REQUEST, url="/_ah/queue/mail")) == 200
    seen = made.sees()
    assert (seen.task, seen.current, seen.origin) == (TASK, TASK, Origin.IN_PROCESS)


@pytest.mark.parametrize("forged", ["IN_PROCESS", True, 1, "Origin.IN_PROCESS"])
def test_a_text_is_no_origin(through, forged):
    made = through(settings=SETTINGS)
    assert made.send(on_the_wire(replace(REQUEST, url="/_ah/queue/x")), **{"gae_broker.origin": forged})[0] == 403


def test_a_middleware_within_another_believes_it():
    inner = ThroughWsgi(settings=SETTINGS)
    outer = ThroughWsgi(settings=SETTINGS)
    outer.app.app = inner.app
    assert outer.send(signed(REQUEST)) == (200, b"ok")
    assert inner.sees().task == TASK
    inner, outer = ThroughAsgi(settings=SETTINGS), ThroughAsgi(settings=SETTINGS)
    outer.app.app = inner.app
    assert outer.send(signed(REQUEST)) == (200, b"ok")
    assert inner.sees().task == TASK


# ------------------------------------------------------------------------------------------ without keys


def test_without_keys_task_requests_are_refused_and_that_is_said_at_start(through, caplog):
    made = through(settings=NO_KEYS)
    assert "there are no signing keys: task requests over HTTP are refused" in caplog.text
    assert made.send(on_the_wire(replace(REQUEST, url="/_ah/queue/mail")))[0] == 403
    assert made.send(on_the_wire(REQUEST))[0] == 200
    assert made.sees().task is None
    assert made.send(signed(REQUEST))[0] == 403


LOOPBACK = Settings(unsigned_requests="loopback")


@pytest.mark.parametrize(
    ("remote", "header", "believed"),
    [
        ("127.0.0.1", None, True),
        ("127.8.0.1", None, True),
        ("::1", None, True),
        ("::ffff:127.0.0.1", None, True),
        ("10.0.0.1", None, False),
        ("::ffff:10.0.0.1", None, False),
        ("localhost", None, False),
        ("", None, False),
        ("127.0.0.1", "X-Forwarded-For", False),
        ("127.0.0.1", "Forwarded", False),
        ("127.0.0.1", "Via", False),
    ],
)
def test_unsigned_requests_from_this_machine_can_be_believed(through, caplog, remote, header, believed):
    made = through(settings=LOOPBACK)
    assert "UNSIGNED TASK REQUESTS ARE BELIEVED" in caplog.text
    request = with_headers((header, "10.0.0.1")) if header else REQUEST
    assert made.send(on_the_wire(replace(request, url="/_ah/queue/mail")), **made.remote(remote))[0] == (
        200 if believed else 403
    )
    if believed:
        seen = made.sees()
        assert (seen.task, seen.remote, seen.origin) == (TASK, "0.1.0.2", Origin.LOOPBACK)
    plain = replace(REQUEST, headers=HEADERS[-2:], url="/_ah/queue/mail")
    assert made.send(on_the_wire(plain), **made.remote(remote))[0] == 403


def test_believing_this_machine_although_there_are_keys_is_a_mistake(through):
    with pytest.raises(ConfigurationError, match="unset GAE_BROKER_UNSIGNED_REQUESTS"):
        through(settings=dataclasses.replace(SETTINGS, unsigned_requests="loopback"))


def test_settings_come_from_the_environment(through, monkeypatch):
    monkeypatch.setenv("GAE_BROKER_SIGNING_KEYS", "new:0123456789abcdef0123456789abcdef")
    assert through().send(signed(REQUEST))[0] == 200


# ------------------------------------------------------------------------------------------ deferred


def deferred_request(*args):
    body = deferred.serialize(callables.record, *args)
    headers = (*HEADERS[:-2], ("Content-Length", str(len(body))), ("Content-Type", "application/octet-stream"))
    return replace(REQUEST, url="/_ah/queue/deferred", body=body, headers=headers)


def test_deferred_calls_are_served_where_they_are_mounted(through):
    callables.calls.clear()
    made = through(settings=SETTINGS, deferred=True)
    assert made.send(signed(deferred_request(1))) == (200, b"Success")
    assert made.in_process(deferred_request(2)) == 200
    assert made.send(on_the_wire(deferred_request(3)))[0] == 403
    assert made.send(signed(replace(deferred_request(4), method="GET")))[0] == 405
    assert callables.calls == [((1,), {}), ((2,), {})]
    assert not made.seen
    assert through(settings=SETTINGS).send(signed(deferred_request(5))) == (200, b"ok")


def tell_task():
    callables.calls.append(current_task())


def test_a_deferred_call_knows_its_task(through):
    callables.calls.clear()
    body = deferred.serialize(tell_task)
    headers = (*HEADERS[:-2], ("Content-Length", str(len(body))))
    made = through(settings=SETTINGS, deferred=True)
    assert made.send(signed(replace(REQUEST, url="/_ah/queue/deferred", body=body, headers=headers)))[0] == 200
    assert callables.calls == [TASK]


def test_what_a_deferred_call_raises_is_the_servers_to_answer(through):
    body = deferred.serialize(callables.fail)
    headers = (*HEADERS[:-2], ("Content-Length", str(len(body))))
    made = through(settings=SETTINGS, deferred=True)
    with pytest.raises(ZeroDivisionError):
        made.send(signed(replace(REQUEST, url="/_ah/queue/deferred", body=body, headers=headers)))


def test_the_memory_of_replays_can_be_anothers(through):
    """As where several processes serve one application."""
    shared = ProcessReplays(300_000_000)
    first, second = through(settings=SETTINGS, replays=shared), through(settings=SETTINGS, replays=shared)
    wire = signed(REQUEST)
    assert first.send(wire)[0] == 200
    assert second.send(wire)[0] == 403
    assert through(settings=SETTINGS).send(wire)[0] == 200


def test_keys_are_in_no_log(through, caplog):
    caplog.set_level(logging.DEBUG)
    made = through(settings=SETTINGS)
    made.send(signed(REQUEST, keys="new:guessed-guessed-guessed"))
    assert "0123456789abcdef" not in caplog.text
    assert Keyring() == NO_KEYS.signing_keys
