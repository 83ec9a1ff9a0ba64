"""The files of compose/: what they promise, and the whole stack started from them, used over HTTP and stopped."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import session
from tests.servers.availability import unavailable
from tests.servers.ports import free_port
from tests.servers.rabbitmq import open_files

COMPOSE = Path(__file__).resolve().parents[2] / "compose"
FILES = ("dev.yaml", "cluster.yaml")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUILD_S, UP_S, RUN_S = 600, 300, 60
DIED_OF_SIGTERM = 143


@pytest.fixture(scope="module")
def docker() -> str:
    found = shutil.which("docker")
    if found is None or subprocess.run([found, "compose", "version"], check=False, capture_output=True).returncode:
        unavailable("no `docker compose` here; run .ci/servers as root, or install Docker's compose plugin")
    return found


@pytest.fixture(params=FILES)
def model(request, docker) -> dict:
    """A file as the compose tool understands it, everything filled in."""
    command = [docker, "compose", "--file", COMPOSE / request.param, "config", "--format", "json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr  # a warning, such as one for a key that is no longer used
    return json.loads(done.stdout)


def test_ports_are_open_to_this_machine_only(model):
    published = [port for service in model["services"].values() for port in service.get("ports", [])]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_data_is_kept_in_named_volumes(model):
    mounts = [mount for service in model["services"].values() for mount in service["volumes"]]
    assert {mount["type"] for mount in mounts} == {"volume"}
    assert {mount["source"] for mount in mounts} == set(model["volumes"])


def test_no_password_stands_in_an_environment(model):
    values = [value for service in model["services"].values() for value in (service.get("environment") or {}).values()]
    assert not [value for value in values if "://" in value and "@" in value]
    assert "for-development-only" not in json.dumps(model)


def test_whoever_waits_waits_for_health(model):
    waits = [
        wait["condition"] for service in model["services"].values() for wait in service.get("depends_on", {}).values()
    ]
    assert set(waits) <= {"service_healthy", "service_completed_successfully"}
    brokers = [service for service in model["services"].values() if service["image"].startswith("rabbitmq:")]
    assert brokers
    for broker in brokers:
        (_, check) = broker["healthcheck"]["test"]
        assert "check_running" in check
        assert "check_local_alarms" in check


class Stack:
    """One start of ``dev.yaml``, beside others that may run."""

    def __init__(self, docker: str, folder: Path) -> None:
        self.project = f"gae-broker-test-{secrets.token_hex(4)}"
        self.image = f"{self.project}-sample"
        self.port = free_port()
        pip = folder / "pip.conf"
        pip.write_text(_pip_conf(), encoding="utf-8")
        self._docker = docker
        self._environment = {
            **os.environ,
            "DEV_IMAGE": self.image,
            "DEV_PORT": str(self.port),
            "DEV_AMQP_PORT": str(free_port()),
            "DEV_MANAGEMENT_PORT": str(free_port()),
            "DEV_NOFILE": str(open_files()),
            "DEV_BUILD_PIP": str(pip),
            "DEV_BUILD_CA": str(CERTIFICATES if CERTIFICATES.exists() else "/dev/null"),
        }
        session.current().ends_label(f"com.docker.compose.project={self.project}")

    def __call__(self, *arguments: str, timeout_s: float = 120) -> str:
        """What ``docker compose`` prints."""
        files = ["--project-name", self.project, "--file", COMPOSE / "dev.yaml"]
        done = subprocess.run(
            [self._docker, "compose", *files, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
            timeout=timeout_s,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout[-6000:]}"
        return done.stdout

    def post(self, path: str, **form: str) -> object:
        """What the shop answers."""
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data, timeout=30) as response:
            return json.load(response)

    def done(self) -> set[tuple[str, str]]:
        """What the shop's handlers have done: their kind, and what they worked on."""
        lines = self("exec", "--no-TTY", "app", "cat", "/var/lib/gae-broker/journal.jsonl").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return {(entry["kind"], entry["item"]) for entry in entries if entry["outcome"] == "done"}

    def remove(self) -> None:
        """Stop it, and remove its containers, volumes, network and image."""
        self("down", "--volumes", "--timeout", "5")
        subprocess.run([self._docker, "rmi", self.image], check=False, capture_output=True)


@pytest.fixture
def stack(docker, tmp_path) -> Iterator[Stack]:
    stack = Stack(docker, tmp_path)
    yield stack
    stack.remove()


@pytest.mark.slow
def test_the_stack_runs_tasks_and_stops_as_told(stack):
    stack("build", timeout_s=BUILD_S)
    stack("up", "--detach", "--wait", "--wait-timeout", str(UP_S), timeout_s=UP_S + 60)

    assert stack.post("/orders", id="o1", card="flaky", mail="ann@shop.example", warehouse="oslo")["accepted"]
    assert not stack.post("/orders", id="o1", card="flaky", mail="ann@shop.example", warehouse="oslo")["accepted"]
    stack.post("/reminders", **{"in": "2", "basket": "b1"})
    wanted = {("charge", "o1"), ("receipt", "o1"), ("reserve", "o1"), ("label", "o1"), ("remind", "b1")}
    deadline = time.monotonic() + RUN_S
    while not wanted <= stack.done():
        assert time.monotonic() < deadline, stack("logs", "--tail", "50")
        time.sleep(0.5)

    with pytest.raises(urllib.error.HTTPError, match="403"):
        stack.post("/tasks/charge", id="o2", card="good", mail="eve@shop.example", warehouse="oslo")
    assert stack("exec", "--no-TTY", "dispatcher", "id", "--user").strip() == "10001"
    stack("stop", "dispatcher")
    states = [json.loads(line) for line in stack("ps", "--all", "--format", "json", "dispatcher").splitlines()]
    assert [state["ExitCode"] for state in states] == [DIED_OF_SIGTERM]


def _pip_conf() -> str:
    """Where this machine's pip finds packages, for the image's build; empty where that is PyPI."""
    done = subprocess.run(["pip", "config", "get", "global.index-url"], check=False, capture_output=True, text=True)
    index = os.environ.get("PIP_INDEX_URL") or done.stdout.strip()
    return f"[global]\nindex-url = {index}\n" if index else ""
