"""Push on RabbitMQ, one dispatcher: to a web server, to a WSGI application in process, and deferred calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import handlers, plain_http, servers, stores
from benchmarks.dispatching import drain
from benchmarks.measure import Figure, against, at_least, median, side_by_side
from benchmarks.rabbitmq import bare, celery_peer
from benchmarks.rabbitmq.dramatiq_peer import DramatiqPeer
from gae_broker import deferred
from gae_broker.engine.runtime import Runtime

_ROUNDS = 3
_OURS, _PEERS = 10_000, 5_000
_SOLO, _THREADS = "Celery's no-op drain, solo", "Celery's no-op drain, 10 threads"
_DRAMATIQ, _LOOP = "Dramatiq's no-op drain", "bare pika + aiohttp loop"


def dispatch() -> Iterator[Figure]:
    """Each contestant drains a queue that was filled before; between rounds it is filled again."""
    with ExitStack() as stack:
        web = stack.enter_context(plain_http.serving())
        url = stack.enter_context(servers.virtual_host())
        where = stack.enter_context(stores.directory())
        bare.declare(url, "bare", **{"x-single-active-consumer": True})

        def ours(target: str, kind: str) -> float:
            # A queue of its own for each kind, so that the fillings do not meet.
            ledger = f"sqlite:///{where}/{kind}.db"
            queues = stores.QUEUES.replace("name: push", f"name: {kind}")
            with stores.rabbitmq(url, ledger, queues, {"default": target}) as opened:
                if kind == "deferred":
                    _fill_deferred(opened, kind, _OURS)
                else:
                    stores.fill(opened, kind, _OURS, "POST")
                return drain(opened, _OURS)

        def loop() -> float:
            bare.Publisher(url, "bare", 1000, refill=True).run(_OURS)
            return asyncio.run(bare.consume_and_post(url, "bare", f"{web}/work", _OURS))

        def drained_by_dramatiq() -> float:
            peer = DramatiqPeer(url, "dramatiq")
            try:
                peer.add(1)
                bare.multiply(url, "dramatiq", _PEERS)
                return peer.drain(_PEERS)
            finally:
                peer.close()

        def drained_by_celery(pool: str) -> float:
            celery_peer.add(url, f"celery-{pool}")
            bare.multiply(url, f"celery-{pool}", _PEERS)
            return celery_peer.drain(url, f"celery-{pool}", _PEERS, pool)

        contestants = {
            "HTTP": lambda: ours(web, "http"),
            _LOOP: loop,
            "WSGI": lambda: ours("benchmarks.handlers:wsgi", "wsgi"),
            _DRAMATIQ: drained_by_dramatiq,
            "deferred": lambda: ours("gae_broker.deferred:application", "deferred"),
            _SOLO: lambda: drained_by_celery("solo"),
            _THREADS: lambda: drained_by_celery("threads"),
        }
        results = side_by_side(contestants, _ROUNDS)
    name = "RabbitMQ: dispatch, HTTP"
    yield at_least(name, median(results["HTTP"]), 4_000, _LOOP, median(results[_LOOP]))
    yield against(name, results, "HTTP", _SOLO, 2)
    yield against(name, results, "HTTP", _THREADS)
    yield against("RabbitMQ: dispatch, in-process WSGI", results, "WSGI", _DRAMATIQ, 1.5)
    yield against("RabbitMQ: dispatch, deferred no-op", results, "deferred", _SOLO, 3)
    yield against("RabbitMQ: dispatch, deferred no-op", results, "deferred", _THREADS)


def _fill_deferred(opened: Runtime, queue: str, count: int) -> None:
    """Deferred calls of a no-op, with a payload of 200 bytes; one is made by `deferred.defer`, the others like it."""
    deferred.defer(handlers.noop, stores.PAYLOAD, _queue=queue)
    payload = deferred.serialize(handlers.noop, stores.PAYLOAD)
    stores.fill(opened, queue, count - 1, "POST", url="/_ah/queue/deferred", payload=payload)
