"""Celery, in a process of its own: ``python -m benchmarks.rabbitmq.celery_peer VERB URL QUEUE COUNT POOL QUEUE_TYPE``.

It acks late, as an at-least-once queue must, and keeps no results. Mingling, gossip, remote control and events are
off: they would only cost it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.stores import PAYLOAD

_DELAY_S = 86_400


def add(url: str, queue: str, count: int = 1, *, delayed: bool = False, queue_type: str = "quorum") -> None:
    """Add no-op tasks, without confirms; ``delayed``: due in a day."""
    _run(_command("delay" if delayed else "add", url, queue, count, queue_type=queue_type)).check_returncode()


def drain(url: str, queue: str, count: int, pool: str) -> float:
    """Run so many tasks with a worker; tasks per second, first to last."""
    ran = _run(_command("drain", url, queue, count, pool))
    if ran.returncode or not ran.stdout.strip():
        raise RuntimeError(f"Celery's worker failed: {ran.stderr[-2000:]}")
    return float(ran.stdout.split()[-1])


@contextmanager
def worker(url: str, queue: str, queue_type: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that runs until the end of the block."""
    process = subprocess.Popen(
        _command("hold", url, queue, 0, queue_type=queue_type), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _command(verb: str, url: str, queue: str, count: int, pool: str = "solo", queue_type: str = "quorum") -> list[str]:
    return [sys.executable, "-m", "benchmarks.rabbitmq.celery_peer", verb, url, queue, str(count), pool, queue_type]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=550, check=False)


def _main(verb: str, url: str, queue: str, count: int, pool: str, queue_type: str) -> None:
    from celery import Celery  # noqa: PLC0415 - only in the process that is Celery's
    from celery.worker.consumer.delayed_delivery import DelayedDelivery  # noqa: PLC0415
    from kombu import Exchange, Queue  # noqa: PLC0415

    # With a quorum queue Celery would make native delayed delivery's 28 queues and as many exchanges, which tasks
    # without a delay have no use for; with a classic one, its default, a delayed task waits in the worker.
    DelayedDelivery.include_if = lambda *_: False
    app = Celery("bench", broker=url)
    app.conf.update(
        task_queues=[Queue(queue, Exchange(queue), routing_key=queue, queue_arguments={"x-queue-type": queue_type})],
        task_default_queue=queue,
        task_default_exchange=queue,
        task_default_routing_key=queue,
        task_ignore_result=True,
        task_acks_late=True,
        # On RabbitMQ 4.3 a running consumer's prefetch cannot be raised, as Celery does for each delayed task that it
        # holds: with a limit it would stop at so many, and let all other tasks wait behind them.
        worker_prefetch_multiplier=0 if verb == "hold" else 100,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"confirm_publish": False},
    )
    seen: list[float] = []

    def finish() -> None:
        sys.__stdout__.write(f"{(count - 1) / (seen[-1] - seen[0])}\n")
        sys.__stdout__.flush()
        time.sleep(0.5)  # the last acks
        os._exit(0)

    @app.task(name="noop")
    def noop(_text: str) -> None:
        seen.append(time.perf_counter())
        if len(seen) == count:
            threading.Thread(target=finish, daemon=True).start()

    if verb in {"add", "delay"}:
        text = PAYLOAD.decode()
        options = {"countdown": _DELAY_S} if verb == "delay" else {}
        with app.producer_pool.acquire(block=True) as producer:
            for _ in range(count):
                noop.apply_async((text,), producer=producer, **options)
        return
    size = [] if pool == "solo" else ["-c", "10"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    app.worker_main(["worker", "-P", pool, *size, "-Q", queue, *quiet])


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5], sys.argv[6])
