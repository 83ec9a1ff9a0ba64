"""Parts of the development server: what outside requests lose, what a new queue.yaml changes, what is found."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gae_broker.domain.queue_yaml import parse
from gae_broker.engine.targets.applications import Interface
from gae_broker.engine.targets.asgi import Message, Receive, Scope, Send
from gae_broker.errors import ConfigurationError
from gae_broker.settings import Settings
from gae_broker.web.development import changes, settings_for
from gae_broker.web.finding import find_application
from gae_broker.web.outside import Outside
from gae_broker.web.served import OnServersLoop


async def silent(_: Message) -> None:
    """Sends nothing."""


async def nothing() -> Message:
    return {"type": "http.request"}


@pytest.mark.parametrize(
    "name",
    [
        b"x-appengine-queuename",
        b"X-AppEngine-TaskName",
        b"x_appengine_tasketa",
        b"X-GaeBroker-Signature",
        b"x-appengine-",
    ],
)
def test_the_queues_own_headers_are_taken_from_outside_requests(name: bytes) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    scope = {"type": "http", "headers": [(name, b"evil"), (b"x-app", b"kept"), (b"host", b"h")]}
    asyncio.run(Outside(app)(scope, nothing, silent))
    assert seen[0]["headers"] == [(b"x-app", b"kept"), (b"host", b"h")]
    assert len(scope["headers"]) == 3


def test_a_lifespan_has_no_headers_and_passes() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        seen.append(scope)

    asyncio.run(Outside(app)({"type": "lifespan"}, nothing, silent))
    assert seen == [{"type": "lifespan"}]


def test_requests_cross_over_to_the_servers_loop_and_errors_come_back() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(asyncio.get_running_loop())
        assert scope["state"] == {"pool": 1}
        message = await receive()
        await send({"type": "http.response.body", "body": message["body"]})
        raise LookupError("handler")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"body": b"x", "loop": asyncio.get_running_loop()}

    async def send(message: Message) -> None:
        sent.append({**message, "loop": asyncio.get_running_loop()})

    async def call(bridge: OnServersLoop) -> asyncio.AbstractEventLoop:
        with pytest.raises(LookupError, match="handler"):
            await bridge({"type": "http"}, receive, send)
        return asyncio.get_running_loop()

    async def server() -> tuple[asyncio.AbstractEventLoop, asyncio.AbstractEventLoop]:
        bridge = OnServersLoop(app)
        bridge.served(asyncio.get_running_loop(), {"pool": 1})
        return asyncio.get_running_loop(), await asyncio.to_thread(asyncio.run, call(bridge))

    here, there = asyncio.run(server())
    assert loops == [here]
    assert sent == [{"type": "http.response.body", "body": b"x", "loop": there}]


@pytest.mark.parametrize("scope", [{"type": "lifespan"}, {"type": "http"}])
def test_what_the_server_does_not_run_is_refused(scope: Scope) -> None:
    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise AssertionError("called")

    with pytest.raises(RuntimeError, match=f"{scope['type']} is not for this caller"):
        asyncio.run(OnServersLoop(app)(scope, nothing, silent))


def test_changes_of_queue_yaml() -> None:
    before = parse("queue:\n- name: a\n- name: b\n")
    after = parse("queue:\n- name: b\n  rate: 1/s\n- name: c\n  mode: pull\n  rate: 1/s\n")
    assert changes(before, after) == [
        "queue.yaml changed: b, c, default",
        "queue 'a' is gone; its tasks are kept",
        "queue 'c' is new",
        "warning: queue.yaml:6: rate: ignored, 'c' is a pull queue",
    ]


def test_the_application_is_the_default_target_and_others_stay() -> None:
    settings = Settings(targets={"default": "http://old", "other": "http://b"})
    assert settings_for(settings, "m:app").targets == {"default": "m:app", "other": "http://b"}


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_applications_are_found_under_usual_names(modules: Path) -> None:
    (modules / "found_a.py").write_text("def application(environ, start_response): ...\n")
    (modules / "found_b.py").write_text("def create_app():\n  async def app(scope, receive, send): ...\n  return app\n")
    assert find_application("found_a").interface is Interface.WSGI
    assert find_application("found_a.py").interface is Interface.WSGI
    assert find_application("found_b").interface is Interface.ASGI
    assert find_application("asgi+found_a:application").interface is Interface.ASGI


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("found_none", ["cannot import found_none", "looked in {here}"]),
        ("found_c:appli", ["found_c has no appli", "found_c ({here}/found_c.py) has apply"]),
        ("found_c", ["tried found_c:app, found_c:application, found_c:create_app(), found_c:make_app()"]),
    ],
)
def test_what_is_not_found_is_explained(modules: Path, spec: str, parts: list[str]) -> None:
    (modules / "found_c.py").write_text("app = 5\ndef apply(): ...\n")
    with pytest.raises(ConfigurationError) as raised:
        find_application(spec)
    for part in parts:
        assert part.format(here=modules) in str(raised.value)


def test_an_application_that_is_there_and_cannot_be_imported_is_not_looked_for(modules: Path) -> None:
    (modules / "found_d.py").write_text("app = 5\nimport found_nowhere\n")
    with pytest.raises(ConfigurationError) as raised:
        find_application("found_d")
    assert str(raised.value).endswith(
        f"ModuleNotFoundError(\"No module named 'found_nowhere'\") in {modules}/found_d.py:2"
    )
