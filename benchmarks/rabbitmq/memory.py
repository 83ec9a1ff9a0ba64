"""What a worker's memory does while a million tasks wait for their eta."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import plain_http, servers, stores
from benchmarks.measure import Figure
from benchmarks.rabbitmq import celery_peer, processes
from gae_broker import taskqueue

_MANY = 1_000_000
_CELERY = 50_000
_FLAT_MB = 10.0
_DELAY_S = 86_400


def memory() -> Iterator[Figure]:
    """The dispatcher's before and after a million delayed adds; Celery's worker with fewer, by its growth a task."""
    grown, begun_mb = _celery()
    peer = f"Celery's worker with {_CELERY:,} (classic queue, no prefetch limit): {begun_mb:.0f} MB + {grown:.0f} MB"
    before, after = _ours()
    name = f"RabbitMQ: dispatcher's growth with {_MANY:,} delayed tasks"
    yield Figure(name, after - before, "MB", f"<= {_FLAT_MB:g}", after - before <= _FLAT_MB, peer)
    yield Figure("RabbitMQ: dispatcher's memory before", before, "MB", "", None, "")


def _ours() -> tuple[float, float]:
    with (
        plain_http.serving() as web,
        servers.virtual_host() as url,
        stores.directory() as where,
        stores.rabbitmq(url, f"sqlite:///{where}/ledger.db"),
        processes.dispatcher(where, url, f"sqlite:///{where}/ledger.db", web) as process,
    ):
        _add(1_000, 0)  # it has served before, as in life
        while len(plain_http.arrivals(web)) < 1_000:
            if process.poll() is not None:
                raise RuntimeError(f"the dispatcher ended: {(where / 'dispatch.log').read_text('utf-8')[-2000:]}")
            time.sleep(0.5)
        before = processes.settled_mb(process.pid)
        _add(_MANY, _DELAY_S)
        return before, processes.settled_mb(process.pid)


def _add(count: int, delay_s: int) -> None:
    queue = taskqueue.Queue("push")
    for _ in range(count // 100):
        queue.add([taskqueue.Task(url="/work", payload=stores.PAYLOAD, countdown=delay_s) for _ in range(100)])


def _celery() -> tuple[float, float]:
    """How many MB a worker grew by, and had before."""
    with servers.virtual_host(queue_type="classic") as url, celery_peer.worker(url, "celery", "classic") as worker:
        celery_peer.add(url, "celery", queue_type="classic")  # the queue is there, and the worker at work
        before = processes.settled_mb(worker.pid)
        celery_peer.add(url, "celery", _CELERY, delayed=True, queue_type="classic")
        while servers.ready(url, "celery"):
            time.sleep(0.5)
        return processes.settled_mb(worker.pid) - before, before
