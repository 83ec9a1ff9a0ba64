"""``gae-broker serve`` from outside."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from gae_broker import taskqueue
from gae_broker.engine.runtime import Runtime, using
from gae_broker.settings import Settings

PATIENCE_S = 60.0
MB = 1024 * 1024
QUEUES = "queue:\n- name: pull\n  mode: pull\n  acl:\n  - user_email: ann@example.com\n- name: other\n  mode: pull\n"
BASE = "/taskqueue/v1beta2/projects/shop/taskqueues/pull"
TOKEN = "ann-token-of-twenty-letters"


def begun(gae_broker, *words: str, **variables: str):
    """A server that answers, and its address."""
    gae_broker.write("queue.yaml", QUEUES)
    server = gae_broker.start("serve", "--bind", "127.0.0.1:0", *words, **variables)
    found = re.search(r"http://([\d.:]+)/", server.line("Listening on"))
    assert found is not None
    server.line("Serving pull, other")
    return server, found[1]


def ask(url: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.loads(exc.read())


def test_tasks_come_and_go(gae_broker) -> None:
    server, address = begun(gae_broker)
    assert "every program of this machine" in "".join(server.seen)
    url = f"http://{address}{BASE}"
    assert ask(f"{url}/tasks", "POST", {"id": "a", "payloadBase64": "QUJD"})[0] == 200
    server.line(f"POST {BASE}/tasks: 200")
    assert "a" in gae_broker("tasks", "list", "pull").out
    assert ask(f"{url}/tasks/lease?numTasks=5&leaseSecs=60", "POST")[1]["items"][0]["payloadBase64"] == "QUJD"
    server.line(f"POST {BASE}/tasks/lease: 200", "1 tasks leased")
    assert ask(f"{url}/tasks/a", "DELETE") == (204, None)
    assert server.end() == -signal.SIGTERM
    assert not [line for line in server.seen if "Traceback" in line or "QUJD" in line]
    assert [path.name for path in gae_broker.folder.glob("gae-broker.db*")] == ["gae-broker.db"]


def test_tokens_come_from_a_file_and_are_nowhere_to_be_seen(gae_broker) -> None:
    path = gae_broker.write("tokens", f"ann@example.com:{TOKEN}\nzoe@example.com:{TOKEN}2\n")
    server, address = begun(gae_broker, "-v", GAE_BROKER_SERVE_TOKENS_FILE=str(path))
    seen = "".join(server.seen)
    assert "queue 'other' has no acl" in seen
    assert "zoe@example.com has a token, but no queue's acl names it" in seen
    url = f"http://{address}{BASE}"
    assert [
        ask(url)[0],
        ask(url, Authorization=f"Bearer {TOKEN}")[0],
        ask(url, Authorization=f"Bearer {TOKEN}2")[0],
    ] == [
        401,
        200,
        403,
    ]
    server.line("ann@example.com GET", "200")
    assert server.end(signal.SIGINT) == -signal.SIGINT
    shown = gae_broker("config", "show", GAE_BROKER_SERVE_TOKENS_FILE=str(path)).out
    assert "ann@example.com:***" in shown
    assert TOKEN not in "".join(server.seen) + shown


def test_it_does_not_open_itself_to_everybody(gae_broker) -> None:
    found = gae_broker("serve", "--bind", "0.0.0.0:0")
    assert found.code == 4
    assert "can be reached from other machines, and no token is set" in found.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = gae_broker("serve", "--bind", f"127.0.0.1:{taken.getsockname()[1]}")
    assert found.code == 3
    assert "choose another with --bind" in found.err


def test_probes_need_no_token(gae_broker) -> None:
    server, address = begun(gae_broker, GAE_BROKER_SERVE_TOKENS=f"ann@example.com:{TOKEN}")
    assert ask(f"http://{address}/healthz")[0] == 200
    give_up_s = time.monotonic() + PATIENCE_S
    while (found := ask(f"http://{address}/readyz"))[0] != 200:
        assert time.monotonic() < give_up_s, found
    assert {check["name"] for check in found[1]["checks"]} >= {"queue.yaml", "broker", "ledger"}
    server.end()


def test_while_it_waits_for_its_ledger_it_lives_and_says_so(gae_broker) -> None:
    gae_broker.write("queue.yaml", QUEUES)
    server = gae_broker.start(
        "serve", "--bind", "127.0.0.1:0", GAE_BROKER_LEDGER="postgresql://user:hunter2@127.0.0.1:1/none"
    )
    found = re.search(r"http://([\d.:]+)/", server.line("Listening on"))
    assert found is not None
    server.line("waiting until it can be used")
    assert ask(f"http://{found[1]}/healthz")[0] == 200
    status, answer = ask(f"http://{found[1]}{BASE}")
    assert (status, answer["error"]["errors"][0]["reason"]) == (503, "backendError")
    assert server.end() == -signal.SIGTERM


def test_a_request_under_way_is_finished_after_the_first_signal(gae_broker) -> None:
    server, address = begun(gae_broker)
    body = json.dumps({"id": "late", "payloadBase64": "QUJD"}).encode()
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection,
        connection.makefile("rb") as answer,
    ):
        head = f"POST {BASE}/tasks HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"  # the application waits for the body now
        server.send(signal.SIGTERM)
        server.line("SIGTERM: finishing what runs")
        connection.sendall(body)
        assert answer.readline() == b"\r\n"
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
    assert server.end(None) == -signal.SIGTERM
    assert "late" in gae_broker("tasks", "list", "pull").out


# ------------------------------------------------------------------------------------ memory


def add_large(folder: Path, count: int) -> bytes:
    """Add tasks of almost 1 MB each, every other one with a tag; the payload."""
    payload = bytes(range(256)) * (4 * 1023)
    settings = Settings(url=f"embedded:///{folder / 'gae-broker.db'}", queue_yaml=str(folder / "queue.yaml"))
    with Runtime.open(settings) as runtime, using(runtime):
        for number in range(count):
            tag = "x" if number % 2 else None
            taskqueue.Queue("pull").add(taskqueue.Task(payload, method="PULL", tag=tag, name=f"t{number:04}"))
    return payload


def peak_mb(pid: int) -> int:
    """The most memory that a process has had so far."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def lease_all(address: str, headers: dict[str, str]) -> tuple[int, int]:
    """Lease a thousand tasks and read the answer a little at a time: how many bytes, and how many tasks."""
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    connection.request("POST", f"{BASE}/tasks/lease?numTasks=1000&leaseSecs=3600&prettyPrint=false", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    size = tasks = 0
    tail = b""
    while piece := answer.read(256 * 1024):
        size += len(piece)
        tasks += (tail + piece).count(b'"taskqueues#task"') - tail.count(b'"taskqueues#task"')
        tail = piece[-64:]
    connection.close()
    return size, tasks


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_a_lease_of_large_tasks_takes_little_memory(gae_broker) -> None:
    server, address = begun(gae_broker)
    count = 250
    payload = add_large(gae_broker.folder, count)
    ask(f"http://{address}{BASE}?getStats=true")
    before = peak_mb(server.process.pid)
    size, tasks = lease_all(address, {})
    assert tasks == count
    assert size > count * len(base64.b64encode(payload))
    grown = peak_mb(server.process.pid) - before
    assert grown < size // MB // 2, f"{grown} MB for an answer of {size // MB} MB"
    server.end()
