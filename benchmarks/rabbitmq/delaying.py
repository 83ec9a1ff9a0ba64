"""Delayed tasks on RabbitMQ: adding them, and how late they come out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from benchmarks import handlers, servers, stores
from benchmarks.dispatching import drain
from benchmarks.measure import Figure, against, at_least, at_most, median, quantile, rate, side_by_side
from benchmarks.rabbitmq.kombu_peer import KombuPeer
from gae_broker import taskqueue
from gae_broker.engine.runtime import Runtime

_BATCH = 100
_LONGEST_S = 7 * 86_400
_SPREAD_S = 10.0
_TARGETS = {"default": "benchmarks.handlers:timing"}


def adds() -> Iterator[Figure]:
    """Batches of 100 with etas at random within a week, beside kombu's native delayed delivery."""
    many, few = 20_000, 1_000
    with servers.virtual_host() as url, stores.directory() as where:
        kombu = KombuPeer(url, "kombu", delayed=True)
        with stores.rabbitmq(url, f"sqlite:///{where}/ledger.db"):
            results = side_by_side(
                {
                    "ours": lambda: rate(many, lambda: _add(many)),
                    "kombu native delayed delivery": lambda: rate(few, lambda: kombu.add_delayed(few, _LONGEST_S)),
                },
                5,
            )
        kombu.close()
    name = "RabbitMQ: delayed adds, batches of 100"
    peer = "kombu native delayed delivery"
    yield at_least(name, median(results["ours"]), 8_000, peer, median(results[peer]))
    yield against(name, results, "ours", peer, 8)


def lateness() -> Iterator[Figure]:
    """From the eta to the handler: tasks that fall due evenly over ten seconds, all added before the first does."""
    peer_count = 5_000
    with servers.virtual_host() as url:
        kombu = KombuPeer(url, "kombu", delayed=True)
        late = kombu.lateness(peer_count, 15.0, _SPREAD_S)
        kombu.close()
    peer = f"kombu native delayed delivery, {peer_count:,}: p50 {median(late):.2f} s, p99 {quantile(late, 0.99):.2f} s"
    for count, ceiling_s in ((5_000, 0.3), (20_000, 1.5)):
        with (
            servers.virtual_host() as url,
            stores.directory() as where,
            stores.rabbitmq(url, f"sqlite:///{where}/ledger.db", targets=_TARGETS) as opened,
        ):
            ours = _late(opened, count)
        name = f"RabbitMQ: {count:,} due over {_SPREAD_S:.0f} s, late"
        yield Figure(f"{name}, p50", median(ours), "s", "", None, peer)
        yield at_most(f"{name}, p99", quantile(ours, 0.99), "s", ceiling_s, peer)
        yield Figure(f"{name}, earliest", min(ours), "s", ">= 0", min(ours) >= 0, "never before its eta")


def _late(opened: Runtime, count: int) -> list[float]:
    handlers.late.clear()
    sample = _BATCH * 10
    ahead_s = 3.0 + 2.0 * count / rate(sample, lambda: _add(sample, 86_400, 2 * 86_400))  # all are stored by then
    first = time.time() + ahead_s
    queue = taskqueue.Queue("push")
    for start in range(0, count, _BATCH):
        due = [first + _SPREAD_S * number / count for number in range(start, start + _BATCH)]
        queue.add([taskqueue.Task(url="/work", payload=stores.PAYLOAD, countdown=at - time.time()) for at in due])
    if time.time() > first:
        raise RuntimeError(f"adding {count} tasks took longer than {ahead_s:.0f} s, twice what it took before")
    drain(opened, count)
    return list(handlers.late)


def _add(count: int, shortest_s: int = 1, longest_s: int = _LONGEST_S) -> None:
    chance = random.Random(count)
    queue = taskqueue.Queue("push")
    for _ in range(count // _BATCH):
        queue.add(
            [
                taskqueue.Task(url="/work", payload=stores.PAYLOAD, countdown=chance.randint(shortest_s, longest_s))
                for _ in range(_BATCH)
            ]
        )
