"""What is Django's alone: checks, commands, transactions, CSRF."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.test import RequestFactory, override_settings

from gae_broker import deferred
from gae_broker.domain.origin import ORIGIN, Origin
from gae_broker.testing.bench import TaskBench
from gae_broker_adapters.django.middleware import TaskQueueMiddleware
from tests.integration.forging import KEYS, on_the_wire, signed
from tests.unit.adapters.through import REQUEST
from tests.unit.deferred import callables
from tests.unit.frameworks.seen import SEEN

ROOT = Path(__file__).resolve().parents[3]
MIDDLEWARE = "gae_broker_adapters.django.middleware.TaskQueueMiddleware"

pytestmark = pytest.mark.usefixtures("django_site")


@pytest.fixture(params=["django-wsgi", "django-asgi"])
def front(request, front_of):
    return front_of(request.param, signing_keys=KEYS)


# ------------------------------------------------------------------------------------------ requests


def test_a_task_needs_no_csrf_token_and_a_visitor_does(front):
    request = replace(REQUEST, url="/form")
    assert front.send(on_the_wire(request))[0] == 403
    assert not SEEN
    assert front.send(signed(request)) == (200, b"ok")


def test_a_body_larger_than_django_takes_is_not_read(front):
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=2):
        assert front.send(signed(REQUEST))[0] == 400
    longer = replace(signed(REQUEST), body=b"abcd")
    headers = tuple((name, b"4" if name == b"Content-Length" else value) for name, value in longer.headers)
    assert front.send(replace(longer, headers=headers))[0] == 403
    assert not SEEN


def test_a_view_without_the_middleware_makes_no_call(caplog):
    from gae_broker_adapters.django.views import run_deferred  # noqa: PLC0415 - once settings can be read

    callables.calls.clear()
    body = deferred.serialize(callables.record, 1)
    headers = {"X-AppEngine-TaskName": "t", "X-AppEngine-QueueName": "q", "X-AppEngine-User-IP": "0.1.0.2"}
    request = RequestFactory(headers=headers).generic("POST", "/_ah/queue/deferred", body)
    assert run_deferred(request).status_code == 403
    assert "TaskQueueMiddleware is not in MIDDLEWARE" in caplog.text
    assert callables.calls == []
    request.META |= {ORIGIN: Origin.SIGNED}
    assert run_deferred(request).status_code == 200


def test_a_subclass_says_more(front_of):
    front = front_of("django-wsgi", signing_keys=KEYS, MIDDLEWARE=[f"{__name__}.Behind"])
    wire = signed(replace(REQUEST, url="/shop/work"))
    assert front.send(replace(wire, target=b"/work"))[0] == 200
    assert front.send(on_the_wire(replace(REQUEST, url="/cron/a")))[0] == 403


class Behind(TaskQueueMiddleware):
    """Behind a proxy."""

    stripped_prefix = "/shop"
    signed_paths = ("/cron",)


# ------------------------------------------------------------------------------------------ transactions


def write_and(outcome):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO written (what) VALUES ('something')")
    if outcome is not None:
        raise outcome


@pytest.fixture
def written():
    """Counts what was committed to a table."""

    def count():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM written")
            return cursor.fetchone()[0]

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE written (what text)")
    yield count
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE written")


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (None, 200),
        (ZeroDivisionError(), 500),
        (deferred.SingularTaskFailure(), 408),
        (deferred.PermanentTaskFailure(), 200),
    ],
)
def test_with_atomic_requests_a_call_that_fails_has_written_nothing(front_of, written, monkeypatch, outcome, status):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    app = front_of("django-wsgi").app
    with TaskBench(app=app) as tasks:
        deferred.defer(write_and, outcome)
        (run,) = tasks.run_pending()
    assert (run.status, written()) == (status, 1 if outcome is None else 0)


# ------------------------------------------------------------------------------------------ checks


def found(**options):
    return {message.id: message for message in run_checks(tags=["gae_broker"], **options)}


def test_a_project_as_it_should_be_has_nothing_to_be_said_of():
    with override_settings(GAE_BROKER={"signing_keys": KEYS}):
        assert found(include_deployment_checks=True) == {}


@pytest.mark.parametrize(
    ("configured", "id_", "text"),
    [
        (["amqp://"], "E001", r"GAE_BROKER in the Django settings: found list, expected a dict like"),
        ({"urls": "x"}, "E001", r"unknown key 'urls', did you mean 'url'"),
        ({"TARGETS": "?"}, "E001", r"targets \(from GAE_BROKER in the Django settings\): found '\?'"),
        ({"unsigned_requests": "loopback", "signing_keys": KEYS}, "E003", "'loopback' although there are signing keys"),
        ({}, "W001", "There are no signing keys"),
        ({"queue_yaml": "nowhere.yaml"}, "W002", "There is no nowhere.yaml"),
    ],
)
def test_settings_are_checked(configured, id_, text, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with override_settings(GAE_BROKER=configured):
        messages = found()
    assert f"gae_broker.{id_}" in messages
    assert re.search(text, messages[f"gae_broker.{id_}"].msg)


def test_queue_yaml_is_checked(tmp_path):
    file = tmp_path / "queue.yaml"
    file.write_text("queue:\n- name: default\n  rate: fast\n")
    with override_settings(GAE_BROKER={"signing_keys": KEYS, "queue_yaml": file}):
        (message,) = found().values()
    assert message.id == "gae_broker.E002"
    assert "rate" in message.msg


def test_believing_this_machine_is_told_of_before_a_deployment():
    with override_settings(GAE_BROKER={"unsigned_requests": "loopback"}):
        assert list(found()) == []
        assert list(found(include_deployment_checks=True)) == ["gae_broker.W005"]


@pytest.mark.parametrize(
    ("middleware", "ids"),
    [
        ([], ["gae_broker.W003"]),
        (["nowhere.Middleware"], ["gae_broker.W003"]),
        (["django.middleware.security.SecurityMiddleware", MIDDLEWARE], []),
        (["django.middleware.csrf.CsrfViewMiddleware", MIDDLEWARE], ["gae_broker.E004"]),
        ([f"{__name__}.Behind", "django.middleware.common.CommonMiddleware"], []),
    ],
)
def test_the_middleware_is_there_and_first(middleware, ids):
    with override_settings(GAE_BROKER={"signing_keys": KEYS}, MIDDLEWARE=middleware):
        assert list(found()) == ids


def test_the_url_of_deferred_calls_is_there():
    with override_settings(GAE_BROKER={"signing_keys": KEYS}, ROOT_URLCONF="tests.unit.frameworks.no_urls"):
        (message,) = found().values()
    assert (message.id, "leads nowhere" in message.msg) == ("gae_broker.W004", True)


# ------------------------------------------------------------------------------------------ commands


def test_the_command_line_has_the_projects_settings(capsys):
    with override_settings(GAE_BROKER={"PREFIX": "mine"}):
        call_command("gae_broker", "config", "show", "--format", "json")
    assert "GAE_BROKER in the Django settings" in json.dumps(json.loads(capsys.readouterr().out))


def test_a_command_that_fails_says_so_and_with_which_code(capsys, tmp_path):
    file = tmp_path / "queue.yaml"
    file.write_text("queue: 5\n")
    with override_settings(GAE_BROKER={"url": "embedded://", "queue_yaml": file}):
        with pytest.raises(CommandError) as raised:
            call_command("gae_broker", "check")
        assert raised.value.returncode == 4
        with pytest.raises(CommandError, match=r"No such command 'chek'\. Did you mean 'check'") as raised:
            call_command("gae_broker", "chek")
        assert raised.value.returncode == 2


def test_manage_py_runs_it_and_ends_as_it_ends(capsys):
    command = load_command_class(get_commands()["gae_broker"], "gae_broker")
    with override_settings(GAE_BROKER={"prefix": "mine"}), pytest.raises(SystemExit) as raised:
        command.run_from_argv(["manage.py", "gae_broker", "--settings=tests.x", "config", "show", "--pythonpath", "."])
    assert raised.value.code == 0
    assert "mine" in capsys.readouterr().out
    command.print_help("manage.py", "gae_broker")
    assert "Usage: manage.py gae_broker" in capsys.readouterr().out


@pytest.mark.parametrize(("yaml", "code"), [("queue:\n- name: mail\n", 0), ("queue: 5\n", 4)])
def test_a_projects_manage_py_is_the_command_line(tmp_path, yaml, code):
    (tmp_path / "queue.yaml").write_text(yaml)
    environ = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'adapters'}",
        "DJANGO_SETTINGS_MODULE": "tests.apps.django_site.settings",
        "GAE_BROKER_URL": f"embedded:///{tmp_path}/tasks.db",
    }
    command = [sys.executable, "-m", "tests.apps.django_site", "gae_broker", "deploy", "queue.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    if code == 0:
        assert "mail" in ran.stdout
