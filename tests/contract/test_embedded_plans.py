"""No statement of the embedded broker reads more of the messages than it needs, however many are stored."""

import sqlite3
import time

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import Needs, Sink
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.embedded import open_broker


def message(number: int, kind: Kind = Kind.PULL, queue: str = "p", after_us: int = 0) -> Message:
    due_us = time.time_ns() // 1000 + after_us if after_us else 0
    return Message(f"{queue}-{number}", kind, queue, f"t{number}", due_us, "{}", b"")


def use_everything(broker) -> None:
    broker.declare([Queue("p", mode=Mode.PULL), Queue("default")])
    delivered = []
    subscription = broker.subscribe("default", Sink(delivered.extend, lambda _: None, lambda _: None))
    subscription.demand(5)
    broker.publish([message(number) for number in range(50)], 5.0)
    broker.publish([message(1), message(60, after_us=60_000_000)], 5.0)
    broker.publish([message(1, Kind.PUSH, "default")], 5.0)
    first, second, *_ = broker.get(Kind.PULL, "p", 5)
    broker.ack([first])
    broker.restore([second])
    broker.find(Kind.PULL, "p", ["t1", "t2"])
    broker.browse(Kind.PULL, "p", 10, (0, "t1"))
    broker.discard(Kind.PULL, "p", ["p-3"])
    broker.depth(Kind.PULL, "p")
    broker.purge(Kind.PULL, "p")
    broker.known_queues()
    broker.check(Needs())
    broker.plan([])
    broker.remove("p")
    eventually(lambda: delivered, "a delivery")
    subscription.ack(delivered)
    broker.close()


def test_every_statement_finds_its_messages_by_an_index(tmp_path, monkeypatch) -> None:
    broker = open_broker(f"embedded:///{tmp_path}/tasks.db", clock=RealClock())
    statements: set[str] = set()
    connections = broker._assembled.connections
    connect = connections._connect

    def connect_traced() -> sqlite3.Connection:
        connection = connect()
        connection.set_trace_callback(statements.add)
        return connection

    connections._drop()
    monkeypatch.setattr(connections, "_connect", connect_traced)
    monkeypatch.setattr(connections._readers, "_connect", connect_traced)
    use_everything(broker)
    about_messages = {statement for statement in statements if "broker_messages" in statement}
    assert len(about_messages) > 12
    reader = sqlite3.connect(tmp_path / "tasks.db")
    for statement in about_messages:
        for *_, step in reader.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
            assert not step.startswith("SCAN"), f"{step}: {statement}"
            sorts_what_is_held = "claim > 0" in statement  # few, and in order of their claims
            assert sorts_what_is_held or "TEMP B-TREE" not in step, f"{step}: {statement}"
    reader.close()
