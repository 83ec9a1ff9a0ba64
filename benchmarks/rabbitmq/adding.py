"""Adding on RabbitMQ: batches of a hundred, single tasks from one thread and from sixteen; all confirmed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from benchmarks import servers, stores
from benchmarks.measure import Figure, against, rate, side_by_side
from benchmarks.rabbitmq import bare
from benchmarks.rabbitmq.dramatiq_peer import DramatiqPeer
from benchmarks.rabbitmq.kombu_peer import KombuPeer
from gae_broker import taskqueue

_BATCH = 100
_THREADS = 16
_ROUNDS = 5


def batches() -> Iterator[Figure]:
    """Batches of 100 through `taskqueue.Queue.add`."""
    many, few = 20_000, 1_500
    with servers.virtual_host() as url, stores.directory() as where:
        bare.declare(url, "bare")
        kombu, dramatiq = KombuPeer(url, "kombu"), DramatiqPeer(url, "dramatiq")
        with stores.rabbitmq(url, f"sqlite:///{where}/ledger.db"):
            results = side_by_side(
                {
                    "ours": lambda: rate(many, lambda: add_batches(many)),
                    "bare pika, 100 at a time": lambda: bare.Publisher(url, "bare", _BATCH, refill=False).run(many),
                    "bare pika, always 1,000 under way": lambda: bare.Publisher(url, "bare", 1000, refill=True).run(
                        many
                    ),
                    "kombu with confirms": lambda: rate(few, lambda: kombu.add(few)),
                    "Dramatiq with confirms": lambda: rate(few, lambda: dramatiq.add(few)),
                },
                _ROUNDS,
            )
        kombu.close()
        dramatiq.close()
    name = "RabbitMQ: add, batches of 100"
    yield against(name, results, "ours", "kombu with confirms", 10)
    yield against(name, results, "ours", "Dramatiq with confirms", 10)
    yield against(name, results, "ours", "bare pika, 100 at a time", 0.5)
    yield against(name, results, "ours", "bare pika, always 1,000 under way", 0.5)


def singles() -> Iterator[Figure]:
    """One task a call; beside Dramatiq on quorum queues, and on the classic ones that it makes by default."""
    threaded, alone = 8_000, 1_500
    with (
        servers.virtual_host() as url,
        servers.virtual_host(queue_type="classic") as classic_url,
        stores.directory() as where,
    ):
        quorum, classic = DramatiqPeer(url, "dramatiq"), DramatiqPeer(classic_url, "dramatiq")
        kombu = KombuPeer(url, "kombu")
        with stores.rabbitmq(url, f"sqlite:///{where}/ledger.db"):
            from_threads = side_by_side(
                {
                    "ours": lambda: rate(threaded, lambda: add_from_threads(threaded)),
                    "Dramatiq": lambda: quorum.add_from_threads(threaded // 2, _THREADS),
                    "Dramatiq on classic queues": lambda: classic.add_from_threads(threaded // 2, _THREADS),
                },
                _ROUNDS,
            )
            from_one = side_by_side(
                {
                    "ours": lambda: rate(alone, lambda: add_singles(alone)),
                    "Dramatiq": lambda: rate(alone, lambda: quorum.add(alone)),
                    "Dramatiq on classic queues": lambda: rate(alone, lambda: classic.add(alone)),
                    "kombu with confirms": lambda: rate(alone, lambda: kombu.add(alone)),
                },
                _ROUNDS,
            )
        for peer in (quorum, classic, kombu):
            peer.close()
    name = "RabbitMQ: add, one by one from 16 threads"
    yield against(name, from_threads, "ours", "Dramatiq", 4)
    yield against(name, from_threads, "ours", "Dramatiq on classic queues")
    name = "RabbitMQ: add, one by one from one thread"
    yield against(name, from_one, "ours", "Dramatiq", 0.9)
    yield against(name, from_one, "ours", "Dramatiq on classic queues")
    yield against(name, from_one, "ours", "kombu with confirms")


def add_batches(count: int, **options: object) -> None:
    """Add so many tasks by hundreds."""
    queue = taskqueue.Queue("push")
    for _ in range(count // _BATCH):
        queue.add([taskqueue.Task(url="/work", payload=stores.PAYLOAD, **options) for _ in range(_BATCH)])


def add_singles(count: int) -> None:
    """Add so many tasks one by one."""
    for _ in range(count):
        taskqueue.add(url="/work", payload=stores.PAYLOAD, queue_name="push")


def add_from_threads(count: int) -> None:
    """Add so many tasks one by one, from sixteen threads."""
    started = [threading.Thread(target=add_singles, args=(count // _THREADS,)) for _ in range(_THREADS)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
