"""Processes for `test_embedded_processes`: each prints one line per fact it may be held to.

Usage: python embedded_worker.py ROLE DATABASE [NUMBER]
"""

import itertools
import os
import queue
import secrets
import sys
import threading
import time

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError
from gae_broker.ports import Sink
from gae_broker_adapters.brokers.embedded import open_broker

NUMBERS = itertools.count()


class Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def opened(path: str):
    broker = open_broker(f"embedded:///{path}" if path else "embedded://", clock=Clock())
    broker.declare([Queue("pull", mode=Mode.PULL), Queue("push")])
    return broker


def message(kind: Kind = Kind.PULL) -> Message:
    key = f"{os.getpid()}-{next(NUMBERS)}-{secrets.token_hex(4)}"
    return Message(secrets.token_hex(16), kind, kind.value, key, 0, "{}", b"x" * 200)


def publish(broker, *messages: Message) -> None:
    assert broker.publish(messages, 20.0) == [None] * len(messages)


def publisher(path: str) -> None:
    """Publish batches of 1 to 9 for ever; say what is confirmed."""
    broker = opened(path)
    for size in itertools.cycle(range(1, 10)):
        batch = [message() for _ in range(size)]
        publish(broker, *batch)
        say(*(each.copy_id for each in batch))


def puller(path: str) -> None:
    """Take tasks for ever; say each before it is acked."""
    broker = opened(path)
    while True:
        for delivery in broker.get(Kind.PULL, "pull", 7):
            say(delivery.message.copy_id)
            time.sleep(0.002)  # a little work, so that a kill meets it with tasks in hand
            broker.ack([delivery])
        time.sleep(0.002)


def holder(path: str) -> None:
    """Take 7 tasks, say them, and keep them."""
    broker = opened(path)
    for delivery in broker.get(Kind.PULL, "pull", 7):
        say(delivery.message.copy_id)
    sys.stdin.readline()


def consumer(path: str) -> None:
    """Process what a subscription delivers for ever; say each before it is acked."""
    broker = opened(path)
    arrived: queue.Queue = queue.Queue()
    subscription = broker.subscribe("push", Sink(arrived.put, lambda active: say("owned", active), lambda _: None))
    subscription.demand(10)
    while True:
        deliveries = arrived.get()
        for delivery in deliveries:
            say(delivery.message.copy_id)
            subscription.ack([delivery])
        subscription.demand(10)


def opener(path: str) -> None:
    """Open, store one task, close; say its copy id."""
    sys.stdin.readline()
    broker = opened(path)
    publish(broker, one := message())
    broker.close()
    say(one.copy_id)


def forker(path: str) -> None:
    """Fork while threads publish, take and subscribe; each child stores a task and takes one; say its copy id."""
    broker = opened(path)
    ended = threading.Event()

    def keep_busy() -> None:
        while not ended.is_set():
            publish(broker, message())
            broker.ack(broker.get(Kind.PULL, "pull", 1))
            broker.depth(Kind.PULL, "pull")

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    broker.subscribe("push", Sink(lambda _: None, lambda _: None, lambda _: None)).demand(1)
    for thread in threads:
        thread.start()
    for _ in range(20):
        child = os.fork()
        if child == 0:
            publish(broker, one := message(Kind.PUSH))
            broker.restore(broker.get(Kind.PULL, "pull", 1))
            broker.close()
            say(one.copy_id)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("status", status)
    ended.set()
    for thread in threads:
        thread.join()
    broker.close()


def memory_forker(_: str) -> None:
    """Fork with a broker in memory; say what the child's publish comes to, and what the parent's does."""
    broker = opened("")
    child = os.fork()
    if child == 0:
        (outcome,) = broker.publish([message()], 1.0)
        say(type(outcome).__name__, isinstance(outcome, BrokerUnavailableError), outcome)
        os._exit(0)
    os.waitpid(child, 0)
    publish(broker, message())
    say("parent", broker.depth(Kind.PULL, "pull").ready)


ROLES = {role.__name__: role for role in (publisher, puller, holder, consumer, opener, forker, memory_forker)}

if __name__ == "__main__":
    ROLES[sys.argv[1]](sys.argv[2])
