"""Programs as they were written for App Engine, imports and all, served by ``gae-broker dev``."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from tests.acceptance.conftest import PATIENCE_S, ROOT, Commands, Running

OLD = ROOT / "tests" / "apps" / "old"


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class Program:
    """One program being served."""

    def __init__(self, running: Running, base: str) -> None:
        self.running, self._base = running, base
        self._opener = build_opener(_Stay)
        self._opener.process_response = {}  # a redirect is an answer like any other

    def get(self, path: str) -> str:
        return self._ask(Request(self._base + path))

    def post(self, path: str, body: bytes = b"", **form: Any) -> str:
        return self._ask(Request(self._base + path, data=body or urlencode(form).encode(), method="POST"))

    def until(self, path: str, condition: Callable[[str], bool]) -> str:
        """Ask until the program says so: nothing else tells of what happens in it."""
        give_up_s = time.monotonic() + PATIENCE_S * 2
        while not condition(answer := self.get(path)):
            assert time.monotonic() < give_up_s, (answer, self.running.seen[-20:])
            time.sleep(0.05)
        return answer

    def _ask(self, request: Request) -> str:
        with self._opener.open(request, timeout=PATIENCE_S) as answer:
            text: str = answer.read().decode()
            return text


@pytest.fixture
def carrier() -> dict[str, str]:
    """The settings of the broker; test_old_programs_rabbitmq.py has others."""
    return {"GAE_BROKER_URL": "embedded:///queues.db"}


@pytest.fixture
def serve(gae_broker: Commands, carrier: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    def start(name: str, app: str = "main:app", **variables: str) -> Program:
        shutil.copytree(OLD / name, tmp_path, dirs_exist_ok=True)
        shutil.copy(OLD / "webapp2.py", tmp_path)
        running = gae_broker.start("dev", "--app", app, "--port", "0", **carrier, **variables, GAE_BROKER_SHIM="1")
        found = re.search(r"http://\S+:\d+", running.line(f"{app} on http://"))
        assert found is not None
        return Program(running, found.group())

    yield start
    for running in gae_broker.running:
        assert running.end() in {-15, 143, 0}, running.seen[-20:]


def test_the_counter(serve: Callable[..., Program]) -> None:
    counter = serve("counter")
    counter.post("/", key="plain")
    counter.post("/", key="later", later="yes")
    for _ in range(3):
        counter.post("/", key="once", once="today")
    counter.post("/", key="flaky")
    assert counter.post("/batch", n=250) == "added, queue is counters\n"
    expected = "batch 250\nflaky 1\nlater 1\nonce 1\nplain 1\n"
    assert counter.until("/", lambda text: text == expected)
    counter.post("/", key="once", once="today")  # its name is taken for a week more
    counter.post("/", key="last")
    assert counter.until("/", lambda text: "last 1" in text) == expected.replace("later", "last 1\nlater")


def test_the_gallery(serve: Callable[..., Program], tmp_path: Path) -> None:
    gallery = serve("gallery", GALLERY_DATABASE=str(tmp_path / "gallery.db"))
    pixels = bytes(range(48))
    picture = b"P6 4 4 255\n" + pixels
    for title, body in (("good", picture), ("busy", picture), ("broken", b"GIF89a")):
        gallery.post(f"/photos?title={title}", body)

    def all_settled(text: str) -> bool:
        found = json.loads(text)["photos"]
        return all(p["rejected"] or (p["done"] and p["title"].endswith("(gallery)")) for p in found)

    photos = json.loads(gallery.until("/photos", all_settled))["photos"]
    assert [(p["done"], p["rejected"], p["attempts"]) for p in photos] == [
        (True, False, 1),
        (True, False, 2),
        (False, True, 1),
    ]
    shown = json.loads(gallery.get(f"/photos/{photos[0]['id']}"))
    assert shown["title"] == "good (gallery)"
    mean = bytes(sum(pixels[3 * i + c] for i in (0, 1, 4, 5)) // 4 for c in range(3))
    assert base64.b64decode(shown["thumbnail"])[: 11 + 3] == b"P6 2 2 255\n" + mean


def test_the_aggregator(serve: Callable[..., Program]) -> None:
    aggregator = serve("aggregator")
    games = ["chess", "go", None]
    events = [{"game": games[number % 3], "points": number} for number in range(600)]
    assert aggregator.post("/events", json.dumps(events).encode()) == "600"
    everything = {"chess", "go", "None"}

    def work_and_look(text: str) -> bool:
        found = json.loads(text)
        if found["left"] == 0 and set(found["totals"]) == everything:
            return True
        aggregator.post("/work")
        return False

    state = json.loads(aggregator.until("/totals", work_and_look))
    assert state["totals"] == {
        str(game): sum(event["points"] for event in events if event["game"] == game) for game in games
    }
    given_back = sum(-size for _, size in state["batches"] if size < 0)
    assert given_back > 0
    assert sum(size for _, size in state["batches"]) == 600 - given_back


def test_the_pipeline(serve: Callable[..., Program]) -> None:
    pipeline = serve("pipeline")
    steps = 2000
    pipeline.post("/start", id="squares", steps=steps)
    state = json.loads(pipeline.until("/status/squares", lambda text: json.loads(text)["finished"]))
    assert state["done"] == steps
    assert state["squares"] == sum(number * number for number in range(steps))
    assert state["tries"] >= steps + steps // 10


def test_the_guestbook(serve: Callable[..., Program]) -> None:
    guestbook = serve("guestbook", "guestbook:main")
    for text in ("hello world", "hello again"):
        guestbook.post("/sign", text=text)
    assert guestbook.until("/", lambda text: text == "2 2 3")
    assert guestbook.post("/digest") == "hello again\nhello world\n"
    assert guestbook.post("/digest") == ""


def test_worker_processes_answer_to_the_names_too(
    gae_broker: Commands, carrier: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(OLD / "counter", tmp_path, dirs_exist_ok=True)
    shutil.copy(OLD / "webapp2.py", tmp_path)
    added = gae_broker("tasks", "add", "counters", "--url", "/worker", "--param", "key=a", **carrier)
    assert added.code == 0, added.err
    words = ("dispatch", "--target", "main:app", "--processes", "1", "--queues", "counters")
    running = gae_broker.start(*words, **carrier, GAE_BROKER_SHIM="1")
    assert "200 in" in running.line("POST /worker try 1")
    assert running.end() in {-15, 143}


def test_the_guestbooks_own_tests(carrier: dict[str, str], tmp_path: Path) -> None:
    """With the original imports, by pytest and our plugin; whatever broker is configured, they leave it alone."""
    shutil.copytree(OLD / "guestbook", tmp_path, dirs_exist_ok=True)
    shutil.copy(OLD / "webapp2.py", tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GAE_BROKER_")}
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "adapters")])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "guestbook_test.py"],
        cwd=tmp_path,
        env=environment | paths | carrier | {"GAE_BROKER_SHIM": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout
    assert not (tmp_path / "queues.db").exists()
