"""``gae-broker dev`` from outside: one process that serves an application and runs its tasks."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.error
import urllib.request

import pytest

WSGI = """\
import pathlib, sys
from urllib.parse import parse_qs
from gae_broker import deferred, taskqueue

def app(environ, start_response):
    path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
    status, body = "200 OK", b"ok"
    if path == "/add":
        options = taskqueue.TaskRetryOptions(task_retry_limit=1)
        url, queue = query.get("url", ["/work"])[0], query.get("queue", ["default"])[0]
        taskqueue.add(url=url, name=query["name"][0], params={"n": query.get("n", ["0"])[0]}, retry_options=options,
                      queue_name=queue)
    elif path == "/who":
        body = repr(sorted(key for key in environ if "APPENGINE" in key or "GAE_BROKER" in key)).encode()
    elif path == "/work":
        n = int(parse_qs(environ["wsgi.input"].read().decode())["n"][0])
        if n:
            taskqueue.add(url="/work", params={"n": n - 1})
    elif path == "/fail":
        status, body = "500 Oops", b"the gateway is shut"
    elif path == "/slow":
        print("slow began", flush=True)
        while not pathlib.Path("go").exists():
            pass
    start_response(status, [("Content-Type", "text/plain")])
    return [body]

def create_app():
    return app

not_callable = 5
"""
ASGI = """\
import asyncio

class App:
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["loop"] = asyncio.get_running_loop()
            print("began", flush=True)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            print("ended", flush=True)
            await send({"type": "lifespan.shutdown.complete"})
            return
        message = await receive()
        same = scope["state"]["loop"] is asyncio.get_running_loop()
        status = 200 if same and message["type"] == "http.request" else 500
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

app = App()
"""


def get(url: str, headers: dict[str, str] | None = None) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
        return str(answer.read().decode())


@pytest.fixture
def serve(gae_broker):
    """Starts the development server on the WSGI application; it, and its address."""
    gae_broker.write("shop.py", WSGI)
    gae_broker.write("queue.yaml", "queue:\n- name: default\n  rate: 100/s\n")

    def start(*words: str, app: str = "shop:app", **variables: str):
        server = gae_broker.start("dev", "--app", app, "--port", "0", *words, **variables)
        found = re.search(r"http://127\.0\.0\.1:\d+", server.line("on http://127.0.0.1:"))
        assert found is not None
        return server, found[0]

    return start


def test_a_request_adds_a_task_that_adds_tasks(serve) -> None:
    server, url = serve()
    server.line("queues: default (100/s)")
    get(f"{url}/add?name=first&n=2")
    assert re.fullmatch(r"\d\d:\d\d:\d\d default first POST /work try 1: 200 in \d+ ms\n", server.line("first"))
    server.line("POST /work try 1: 200")
    server.line("POST /work try 1: 200")
    assert server.end(signal.SIGINT) == -signal.SIGINT
    assert not [line for line in server.seen if "Traceback" in line or "\x1b" in line]


def test_nobody_outside_can_pass_for_the_queue(serve) -> None:
    _, url = serve()
    assert (
        get(f"{url}/who", {"X-AppEngine-TaskName": "t", "x_appengine_queuename": "q", "X-GaeBroker-Key": "k"}) == "[]"
    )


def test_failures_say_when_the_next_try_is(serve) -> None:
    server, url = serve()
    get(f"{url}/add?url=/fail&name=f")
    server.line("default f POST /fail try 1: 500 in", "next try in 0.1 s: ", "(the gateway is shut)")
    server.line("default f POST /fail try 2: 500 in", "given up: ")


def test_attempts_as_json(serve) -> None:
    server, url = serve("--format", "json")
    get(f"{url}/add?url=/who&name=j")
    found = json.loads(server.line('"task"'))
    assert (found["queue"], found["task"], found["attempt"], found["status"], found["outcome"]) == (
        "default",
        "j",
        1,
        200,
        "success",
    )


def test_queue_yaml_is_read_again_when_it_changes(gae_broker, serve) -> None:
    server, url = serve()
    gae_broker.write("queue.yaml", "queue:\n- name: new\n  rate: 9/s\n- name: leased\n  mode: pull\n  rate: 1/s\n")
    server.line("queue.yaml changed: new, leased, default")
    server.line("queue 'leased' is new")
    server.line("queue 'new' is new")
    server.line("warning: ", "queue.yaml:6: rate: ignored, 'leased' is a pull queue")
    get(f"{url}/add?queue=new&url=/who&name=w")
    server.line("new ", "200")
    gae_broker.write("queue.yaml", "queue:\n- name: new\n  rate: fast\n")
    server.line("queue.yaml:3: rate: found 'fast', expected 0, or a number and a unit")
    gae_broker.write("queue.yaml", "queue:\n- name: newer\n")
    server.line("queue.yaml changed: newer, default")
    assert server.end() == -signal.SIGTERM


def test_an_asgi_application_runs_on_one_loop(gae_broker, serve) -> None:
    gae_broker.write("service.py", ASGI)
    server, url = serve(app="service")
    assert get(url) == ""
    gae_broker.add("default", "a")
    server.line("default a POST /_ah/queue/default try 1: 200")
    assert server.end() == -signal.SIGTERM
    assert [line for line in server.seen if line in ("began\n", "ended\n")] == ["began\n", "ended\n"]


def test_a_factory_makes_one_application(gae_broker, serve) -> None:
    server, url = serve(app="shop:create_app()")
    get(f"{url}/add?name=made")
    server.line("made", "200")


def test_the_first_signal_lets_attempts_finish(gae_broker, serve) -> None:
    server, url = serve()
    get(f"{url}/add?url=/slow&name=s")
    server.line("slow began")
    server.send(signal.SIGTERM)
    server.line("SIGTERM: finishing what runs")
    gae_broker.write("go", "")
    server.line("default s POST /slow try 1: 200")
    assert server.end(None) == -signal.SIGTERM
    assert "has no tasks" in gae_broker("tasks", "list", "default").err


def test_a_file_that_nobody_has_open_is_whole_by_itself(gae_broker, serve) -> None:
    server, url = serve()
    get(f"{url}/add?name=a")
    server.line("default a", "200")
    assert server.end(signal.SIGINT) == -signal.SIGINT
    assert [path.name for path in gae_broker.folder.glob("gae-broker.db*")] == ["gae-broker.db"]


def test_the_second_signal_does_not_wait_and_the_task_is_kept(gae_broker, serve) -> None:
    server, url = serve("--drain-timeout", "1h")
    get(f"{url}/add?url=/slow&name=s")
    server.line("slow began")
    server.send(signal.SIGTERM)
    server.line("SIGTERM: finishing what runs")
    assert server.end(signal.SIGTERM) == -signal.SIGTERM
    assert gae_broker("tasks", "describe", "default", "s").code == 0


def test_reset_forgets_tasks_and_taken_names(serve) -> None:
    server, url = serve()
    get(f"{url}/add?name=once")
    server.line("once", "200")
    with pytest.raises(urllib.error.HTTPError):
        get(f"{url}/add?name=once")
    assert server.end() == -signal.SIGTERM
    server, url = serve("--reset")
    get(f"{url}/add?name=once")
    server.line("once", "200")


def test_an_application_that_runs_elsewhere(gae_broker, serve) -> None:
    _, url = serve("--broker-url", "embedded:///other.db")
    server = gae_broker.start("dev", "--app", url)
    server.line(f"{url}, tasks in embedded:///gae-broker.db")
    gae_broker.add("default", "far")
    server.line("default far POST /_ah/queue/default try 1: 200")
    assert server.end() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("app", "parts"),
    [
        ("shp:app", ["cannot import shp", "looked in", "--app takes module:app or module:create()"]),
        ("shop:apq", ["shop has no apq", "shop.py) has app"]),
        ("shop:not_callable", ["int, not callable"]),
        ("broken", ["cannot import broken", "ZeroDivisionError"]),
        ("empty", ["empty has no app", "tried empty:app, empty:application, empty:create_app(), empty:make_app()"]),
    ],
)
def test_an_application_that_cannot_be_found(gae_broker, app: str, parts: list[str]) -> None:
    gae_broker.write("shop.py", WSGI)
    gae_broker.write("broken.py", "1 / 0\n")
    gae_broker.write("empty.py", "")
    found = gae_broker("dev", "--app", app, "--port", "0")
    assert (found.code, "Traceback" in found.err) == (4, False)
    for part in parts:
        assert part in found.err


def test_an_application_that_does_not_start(gae_broker) -> None:
    gae_broker.write(
        "strict.py", ASGI.replace('"lifespan.startup.complete"}', '"lifespan.startup.failed", "message": "no"}')
    )
    found = gae_broker("dev", "--app", "strict:app", "--port", "0")
    assert (found.code, "the application failed to start" in found.err) == (4, True)


def test_a_port_that_is_taken(gae_broker) -> None:
    gae_broker.write("shop.py", WSGI)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = gae_broker("dev", "--app", "shop:app", "--port", str(port))
    assert found.code == 3
    assert f"port {port} cannot be had (Address already in use); choose another with --port" in found.err
