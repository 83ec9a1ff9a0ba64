"""RabbitMQ as the faults need it: settings that a handbook for operators would ask for, and a look into its queues."""

from __future__ import annotations

import subprocess

from tests.servers.rabbitmq import RabbitMQContainer

ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 5000}]}].\n"
"""When a delay queue expires a message towards a queue that is not up yet, just after a start for instance, it tries
again after this time. RabbitMQ's own 180 s would make such a task three minutes late; see delivery-guarantees.md."""
CONFIG = "raft.wal_max_size_bytes = 64000000\n"

_HELD = """
[{element(4, amqqueue:get_name(Q)), [V || {_, V} <- I]} || Q <- rabbit_amqqueue:list(),
  amqqueue:get_type(Q) =:= rabbit_quorum_queue,
  I <- [rabbit_quorum_queue:info(Q, [messages, messages_ready, messages_unacknowledged, messages_dlx, leader])],
  proplists:get_value(messages, I, 0) > 0 orelse proplists:get_value(messages_dlx, I, 0) > 0].
"""


def held(node: RabbitMQContainer) -> str:
    """The queues that hold something: how much in all, ready, unacked, being dead-lettered, and where the leader is."""
    try:
        return node.rabbitmqctl("eval", _HELD)
    except subprocess.CalledProcessError as exc:
        return f"it does not answer: {exc.output}"


def leader(node: RabbitMQContainer, queue: str) -> str:
    """The name of the node that leads a queue."""
    listed = node.rabbitmqctl("list_queues", "name", "leader")
    return next(line.split()[1] for line in listed.splitlines() if line.split()[0] == queue)


def depth(node: RabbitMQContainer, queue: str) -> int:
    """How many messages a queue holds, the unacked included."""
    listed = node.rabbitmqctl("list_queues", "name", "messages")
    return next(int(line.split()[1]) for line in listed.splitlines() if line.split()[0] == queue)
