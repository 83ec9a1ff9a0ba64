"""Pull queues on RabbitMQ, with the ledger in SQLite and in PostgreSQL: leases by hundreds, and of one tag in many."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import servers, stores
from benchmarks.measure import Figure, at_least, at_most, median, quantile, rate
from gae_broker import taskqueue

_BATCH = 100
_COUNT = 10_000
_ROUNDS = 3
_TAGS = 100_000
_ASKED = 300


def lease() -> Iterator[Figure]:
    """Lease a hundred and delete them, again and again."""
    for name, floor in (("SQLite", 4_000), ("PostgreSQL", 3_000)):
        with ExitStack() as stack:
            ledger = _ledger(stack, name)
            url = stack.enter_context(servers.virtual_host())
            opened = stack.enter_context(stores.rabbitmq(url, ledger))
            stores.fill(opened, "pull", (_ROUNDS + 1) * _COUNT, "PULL")
            lease_batches(_COUNT // 5)
            measured = median(rate(_COUNT, lambda: lease_batches(_COUNT)) for _ in range(_ROUNDS))
            yield at_least(f"RabbitMQ: lease + delete, batches of 100, ledger in {name}", measured, floor)


def tags() -> Iterator[Figure]:
    """A hundred thousand tasks, each with its own tag; then leases of tags chosen at random."""
    for name in ("SQLite", "PostgreSQL"):
        with ExitStack() as stack:
            ledger = _ledger(stack, name)
            url = stack.enter_context(servers.virtual_host())
            stack.enter_context(stores.rabbitmq(url, ledger))
            queue = taskqueue.Queue("pull")
            begun = time.perf_counter()
            for first in range(0, _TAGS, _BATCH):
                numbers = range(first, first + _BATCH)
                queue.add([taskqueue.Task(payload=stores.PAYLOAD, method="PULL", tag=f"tag-{n}") for n in numbers])
            added = _TAGS / (time.perf_counter() - begun)
            took = [_seconds(queue, f"tag-{n}") for n in random.Random(1).sample(range(_TAGS), _ASKED)]
        text = f"RabbitMQ: lease by one of {_TAGS:,} tags, ledger in {name}"
        compared = f"p99 {quantile(took, 0.99) * 1000:.1f} ms; added by hundreds at {added:,.0f}/s"
        yield at_most(f"{text}, p50", median(took) * 1000, "ms", 10, compared)


def lease_batches(count: int) -> None:
    """Lease and delete so many tasks by hundreds; a lease may bring fewer than are there, as on App Engine."""
    queue = taskqueue.Queue("pull")
    left = count
    while left:
        tasks = queue.lease_tasks(600, min(_BATCH, left))
        if not tasks:
            raise RuntimeError(f"the queue brought nothing while {left} tasks were in it")
        queue.delete_tasks(tasks)
        left -= len(tasks)


def _ledger(stack: ExitStack, name: str) -> str:
    if name == "PostgreSQL":
        return stack.enter_context(servers.postgresql())
    return f"sqlite:///{stack.enter_context(stores.directory())}/ledger.db"


def _seconds(queue: taskqueue.Queue, tag: str) -> float:
    begun = time.perf_counter()
    leased = queue.lease_tasks_by_tag(600, 10, tag)
    took = time.perf_counter() - begun
    if [task.tag for task in leased] != [tag]:
        raise RuntimeError(f"leased {leased} of tag {tag}")
    return took
