"""Dead letters of a real RabbitMQ: looked at and left, put back, and a redrive that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gae_broker.domain.queue import Queue, QueueFile
from gae_broker.domain.task import Content, Copy, Kind, Progress, Try
from gae_broker.domain.wire import decode, encode
from gae_broker.engine.redrive import Selection
from gae_broker.engine.runtime import Runtime
from gae_broker.settings import Settings
from gae_broker.testing.contracts.broker_bench import eventually
from tests.integration.rabbitmq_world import message, publish, received, world

newest = pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)
"""What does not depend on the version is tested on one."""

ROOT = Path(__file__).parents[2]
EVERY = Selection()


@pytest.fixture
def place(rabbitmq):
    with world(rabbitmq) as made:
        yield made


@pytest.fixture
def runtime(place, tmp_path):
    settings = Settings(
        url=place.url,
        ledger=f"sqlite:///{tmp_path}/ledger.db",
        queue_yaml=str(tmp_path / "queue.yaml"),
        claim_takeover_s=1.0,
    )
    (tmp_path / "queue.yaml").write_text("queue: [{name: mail}]")
    with Runtime.open(settings, queues=QueueFile({"mail": Queue("mail")})) as opened:
        yield opened


def bury(runtime: Runtime, count: int, payload: bytes = b"body") -> list[str]:
    """Dead letters as a dispatcher leaves them; every third answered 410."""
    names = [f"t{number:05}" for number in range(count)]
    messages = []
    for number, name in enumerate(names):
        status = 410 if number % 3 == 0 else 503
        progress = Progress(3, 3, 1_000_000, status, f"status {status}", (Try(2_000_000, 10, status, "no"),))
        copy = Copy(
            f"dead-{name}", "mail", Content(name, url="/x", payload=payload, named=number % 2 == 0), 0, progress
        )
        messages.append(encode(copy, Kind.DEAD))
    for start in range(0, count, 1000):
        assert set(runtime.broker.publish(messages[start : start + 1000], 30.0)) == {None}
    wait_for_dead(runtime, count)
    return names


def wait_for_dead(runtime: Runtime, count: int) -> None:
    eventually(lambda: runtime.broker.depth(Kind.DEAD, "mail").ready == count, f"{count} dead letters")


def queued(runtime: Runtime, count: int) -> Counter[str]:
    return Counter(delivery.message.key for delivery in received(runtime.broker, "mail", count))


def test_looking_takes_nothing_however_often(runtime):
    """More often than the 20 times after which 4.0 drops what has no delivery limit of its own."""
    bury(runtime, 5)
    for _ in range(25):
        found = runtime.redriver.dead("mail", EVERY, 10)
        assert len(found) == 5
        wait_for_dead(runtime, 5)
    assert {dead.copy.progress.last_status for dead in found} == {410, 503}
    assert runtime.redriver.redrive("mail", EVERY, dry_run=True).done == 5
    wait_for_dead(runtime, 5)


@newest
def test_what_is_meant_is_put_back_and_the_rest_stays(runtime):
    names = bury(runtime, 1200)
    report = runtime.redriver.redrive("mail", Selection(status=410))
    assert (report.looked, report.done, report.kept) == (1200, 400, {})
    assert queued(runtime, 400) == Counter(names[::3])
    wait_for_dead(runtime, 800)
    assert runtime.redriver.redrive("mail", EVERY).done == 800
    assert queued(runtime, 800) == Counter(set(names) - set(names[::3]))
    wait_for_dead(runtime, 0)


def test_headers_that_rabbitmq_added_do_not_travel_on(place, runtime):
    """A task that the broker itself dead-lettered carries x-death, which must not come back to it."""
    policy = place.policy("mail", "push", **{"message-ttl": 1})
    broker = runtime.broker
    assert broker.publish([encode(Copy("c", "mail", Content("lost", url="/x", created_us=1), 0))], 5.0) == [None]
    wait_for_dead(runtime, 1)
    place.management.call("DELETE", f"policies/{place.virtual_host}/{policy}")
    assert runtime.redriver.redrive("mail", EVERY).done == 1
    (delivery,) = received(broker, "mail", 1)
    assert decode(delivery.message).name == "lost"


@newest
def test_a_redrive_that_is_killed_loses_nothing(place, runtime, tmp_path):
    names = bury(runtime, 3000)
    command = [sys.executable, "-m", "gae_broker", "tasks", "redrive", "mail", "--all"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GAE_BROKER_")},
        "GAE_BROKER_URL": place.url,
        "GAE_BROKER_LEDGER": f"sqlite:///{tmp_path}/ledger.db",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
    }
    kills = 0
    while runtime.broker.depth(Kind.DEAD, "mail").ready and kills < 3:
        before = runtime.broker.depth(Kind.PUSH, "mail").ready
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
            while runtime.broker.depth(Kind.PUSH, "mail").ready == before and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
        kills += 1
    assert kills > 0

    def none_is_dead() -> bool:
        runtime.housekeeper.run_once()  # finishes the claims that the killed left
        runtime.redriver.redrive("mail", EVERY)
        return runtime.broker.depth(Kind.DEAD, "mail").ready == 0

    eventually(none_is_dead, "every dead letter to be put back")
    there = runtime.broker.depth(Kind.PUSH, "mail").ready
    assert set(queued(runtime, there)) == set(names)


@newest
def test_a_message_that_is_not_ours_stays_and_is_told(runtime):
    publish(runtime.broker, message(Kind.DEAD, "mail", key="strange"))
    wait_for_dead(runtime, 1)
    report = runtime.redriver.redrive("mail", EVERY)
    assert (report.done, report.kept.total()) == (0, 1)
    wait_for_dead(runtime, 1)
