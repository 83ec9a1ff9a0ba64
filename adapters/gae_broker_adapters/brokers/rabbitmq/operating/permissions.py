"""What each role may do on the broker, and finding out what a user may.

The probes leave nothing behind: a message that no queue takes, a consumer that is refused for a bad argument, exclusive
queues that end with their connection. RabbitMQ looks at permissions before it looks at any of that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from gae_broker.domain.task import Kind
from gae_broker.ports import Check, CheckStatus, Role
from gae_broker_adapters.brokers.rabbitmq.operating import declaring
from gae_broker_adapters.brokers.rabbitmq.topology import LEVELS, Names

_REFUSED = 403
_NOBODY = "gae-broker.check"
"""A routing key that matches no binding."""
_WORDS = {
    Role.PRODUCER: "add tasks",
    Role.WORKER: "dispatch and lease",
    Role.ADMINISTRATOR: "deploy",
}


def patterns(role: Role, prefix: str) -> tuple[str, str, str]:
    """The least that a role needs: what it may configure, write and read, for ``rabbitmqctl set_permissions``."""
    ours = rf"^{re.escape(prefix)}\."
    if role is Role.ADMINISTRATOR:
        return ours, ours, ours
    # Writing to a queue's name lets nobody publish to it; it only makes the queue visible, to count its tasks.
    adding = r"(push|pull)(\.q\..+)?$"
    if role is Role.PRODUCER:
        return "^$", rf"{ours}({adding[:-1]}|delay\.v1\.\d|delayed\.v1)$", "^$"
    return (
        "^$",
        rf"{ours}({adding[:-1]}|delay\.v1\.\d|delayed\.v1|dead)$",
        rf"{ours}((push|pull)\.q|owner)\.",
    )


def check(channel: BlockingChannel, names: Names, queues: Collection[str], role: Role | None) -> Check:
    """What the user may do, and whether that is enough for a role.

    Args:
        channel: only its connection is used.
        names: the objects.
        queues: RabbitMQ's names of work queues that there are.
        role: what is asked for; ``None``: anything.
    """
    user = declaring.user_of(channel)
    probes = {one: dict(_probes(one, names, queues)) for one in Role}
    no = set(_refused(channel, {**probes[Role.PRODUCER], **probes[Role.WORKER], **probes[Role.ADMINISTRATOR]}))
    refused = {one: [name for name in probes[one] if name in no] for one in Role}
    may = [_WORDS[one] for one in Role if not refused[one]]
    name = "broker permissions"
    if role is not None and refused[role]:
        text = f"user {user!r} may not {_WORDS[role]}: refused on {', '.join(refused[role])}"
        return Check(name, CheckStatus.FAILED, f"{text}; docs/how-to/permissions.md has what a {role} needs")
    if not may:
        text = f"user {user!r} may neither {' nor '.join(_WORDS.values())}; see docs/how-to/permissions.md"
        return Check(name, CheckStatus.FAILED, text)
    return Check(name, CheckStatus.OK, f"user {user!r} may {', '.join(may)}")


_Probe = tuple[str, Callable[[BlockingChannel], object]]


def _probes(role: Role, names: Names, queues: Collection[str]) -> Iterator[_Probe]:
    for exchange in (names.exchange(Kind.PUSH), names.exchange(Kind.PULL), *map(names.level, range(LEVELS))):
        yield exchange, partial(_publish, exchange)
    if role is Role.PRODUCER:
        return
    dead = names.exchange(Kind.DEAD)
    yield dead, partial(_publish, dead)
    work = names.queue(Kind.PUSH, "")
    owners = [names.owner(queue.removeprefix(work)) for queue in queues if queue.startswith(work)]
    for queue in (*queues, *owners):
        yield queue, partial(_consume, queue)
    if role is Role.ADMINISTRATOR:
        any_name = f"{names.prefix}.check.{os.getpid()}"
        yield any_name, partial(_own, any_name)


def _publish(exchange: str, own: BlockingChannel) -> None:
    own.basic_publish(exchange, _NOBODY, b"", pika.BasicProperties(), mandatory=True)


def _consume(queue: str, own: BlockingChannel) -> None:
    own.basic_consume(queue, lambda *_: None, arguments={"x-priority": "none"})


def _own(queue: str, own: BlockingChannel) -> None:
    own.queue_declare(queue, exclusive=True, arguments={"x-queue-type": "classic"})
    _consume(queue, own)


def _refused(channel: BlockingChannel, probes: Mapping[str, Callable[[BlockingChannel], object]]) -> Iterator[str]:
    """The names of what the broker refused; each refusal closes a channel."""
    own: BlockingChannel | None = None
    for name, probe in probes.items():
        if own is None or not own.is_open:
            own = channel.connection.channel()
            own.confirm_delivery()
        try:
            probe(own)
        except ChannelClosedByBroker as exc:
            if exc.reply_code == _REFUSED:
                yield name
        except UnroutableError:
            pass
    if own is not None and own.is_open:
        own.close()
