"""What a deployment would change on the broker, and removing queues that are wanted no more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel

from gae_broker.domain.task import Kind
from gae_broker.errors import UnknownQueueError
from gae_broker.ports import Action, Change, Plan
from gae_broker_adapters.brokers.rabbitmq import topology
from gae_broker_adapters.brokers.rabbitmq.operating import declaring
from gae_broker_adapters.brokers.rabbitmq.operating.management import Management, ManagementError
from gae_broker_adapters.brokers.rabbitmq.topology import Features, Names, Topology

_KINDS = (Kind.PUSH, Kind.PULL)
_COLUMNS = "name,arguments,messages,effective_policy_definition,policy,operator_policy"


def plan(
    channel: BlockingChannel,
    management: Management,
    names: Names,
    queues: Collection[tuple[Kind, str]],
    features: Features,
) -> Plan:
    """As `Declarer.plan`.

    Raises:
        Error: the broker cannot be asked.
    """
    parts = [("", topology.shared(names, features))]
    parts += [(queue, topology.of_queue(names, kind, queue, features)) for kind, queue in queues]
    whole = topology.whole(names, queues, features)
    gone = set(declaring.look(channel, whole).missing)
    changes = [change for queue, part in parts for change in _missing(queue, part, gone)]
    unseen: list[str] = []
    try:
        seen = See(management)
    except ManagementError as exc:
        unseen.append(
            f"bindings, arguments and queues that are wanted no more were not looked at: {exc}; set "
            "GAE_BROKER_MANAGEMENT to see them",
        )
    else:
        for queue, part in parts:
            changes += _unbound(queue, part, seen)
            changes += _conflicts(queue, part, seen)
        changes += unused(names, {queue for _, queue in queues}, seen)
    return Plan(tuple(changes), tuple(unseen))


class See:
    """What the management API shows of a virtual host.

    Raises:
        ManagementError: it cannot be used.
    """

    def __init__(self, management: Management) -> None:
        self.queues: dict[str, dict[str, Any]] = {
            one["name"]: one for one in management.listing("queues", columns=_COLUMNS)
        }
        self.exchanges: dict[str, dict[str, Any]] = {one["name"]: one for one in management.listing("exchanges")}
        self.bindings: set[tuple[str, str, str]] = {
            (one["source"], one["destination"], one["routing_key"]) for one in management.listing("bindings")
        }

    def messages(self, name: str) -> int:
        """How many messages a queue holds, as of the latest seconds; 0 where there is no such queue."""
        return int(self.queues.get(name, {}).get("messages") or 0)


def unbound(part: Topology, seen: See) -> Iterator[topology.Binding]:
    """The bindings that are missing."""
    for one in part.bindings:
        if (one.source, one.destination, one.key) not in seen.bindings:
            yield one


def conflicts(part: Topology, seen: See) -> Iterator[tuple[str, str, str]]:
    """What exists with other arguments or of another type: its kind, its name, and what differs."""
    for queue in part.queues:
        found = seen.queues.get(queue.name)
        differing = None if found is None else _differing(dict(queue.arguments), found.get("arguments") or {})
        if differing:
            yield "queue", queue.name, differing
    for exchange in part.exchanges:
        found = seen.exchanges.get(exchange.name)
        if found is None:
            continue
        wanted = {"type": exchange.type, **exchange.arguments}
        differing = _differing(wanted, {"type": found["type"], **found["arguments"]})
        if differing:
            yield "exchange", exchange.name, differing


def unused(names: Names, wanted: Collection[str], seen: See) -> Iterator[Change]:
    """The App Engine queues on the broker that are not wanted."""
    for queue, kind in known(names, seen.queues).items():
        if queue not in wanted:
            tasks = sum(seen.messages(names.queue(one, queue)) for one in (*_KINDS, Kind.DEAD))
            text = f"a {kind} queue; what waits for its eta is not counted"
            yield Change(Action.UNUSED, "queue", names.queue(kind, queue), queue, text, tasks)


def known(names: Names, queues: Collection[str]) -> dict[str, Kind]:
    """The App Engine queues among RabbitMQ's; of one that was switched from push to pull, the pull side counts."""
    found: dict[str, Kind] = {}
    for kind in _KINDS:
        start = names.queue(kind, "")
        found |= {name.removeprefix(start): kind for name in queues if name.startswith(start)}
    return dict(sorted(found.items()))


def stored_bytes(names: Names, management: Management) -> int:
    """Bytes of all payloads in our queues, the wheel's included, as of the latest seconds.

    Raises:
        ManagementError: the API cannot be used.
    """
    found = management.listing("queues", columns="name,message_bytes")
    return sum(int(one.get("message_bytes") or 0) for one in found if one["name"].startswith(f"{names.prefix}."))


def remove(channel: BlockingChannel, names: Names, queue: str, *, force: bool) -> int:
    """As `Declarer.remove`.

    What comes in is stopped first, so that no message slips in between the last count and the removal; quorum
    queues know no ``if-empty``. What comes out of the wheel meanwhile goes to the orphans.

    Raises:
        Error: the broker refused.
    """
    there = [names.queue(kind, queue) for kind in (*_KINDS, Kind.DEAD)]
    there = [name for name in there if _exists(channel, name)]
    held = _held(channel, there)
    if held and not force:
        return held
    parts = [topology.of_queue(names, kind, queue, Features()) for kind in _KINDS]
    bindings = [one for one in set(parts[0].bindings + parts[1].bindings) if one.destination in there]
    _each(channel, bindings, BlockingChannel.queue_unbind)
    held = _held(channel, there)
    if held and not force:
        _each(channel, bindings, BlockingChannel.queue_bind)
        return held
    for name in (*there, names.owner(queue)):  # to delete what is not there is no error
        declaring.run(channel, name, partial(BlockingChannel.queue_delete, queue=name))
    return held


def _held(channel: BlockingChannel, there: Collection[str]) -> int:
    """Messages, and consumers, each of which may hold some that are not counted."""
    states = [
        declaring.run(channel, name, partial(BlockingChannel.queue_declare, queue=name, passive=True)).method
        for name in there
    ]
    return sum(int(state.message_count) + int(state.consumer_count) for state in states)


def _each(channel: BlockingChannel, bindings: Collection[topology.Binding], do: Callable[..., object]) -> None:
    for one in bindings:
        call = partial(do, queue=one.destination, exchange=one.source, routing_key=one.key)
        declaring.run(channel, one.destination, call)


def _exists(channel: BlockingChannel, name: str) -> bool:
    try:
        declaring.ready(channel, name)
    except UnknownQueueError:
        return False
    return True


def _missing(queue: str, part: Topology, gone: set[str]) -> Iterator[Change]:
    for exchange in part.exchanges:
        if exchange.name in gone:
            yield Change(Action.CREATE, "exchange", exchange.name, queue)
    for one in part.queues:
        if one.name in gone:
            yield Change(Action.CREATE, "queue", one.name, queue)
    for binding in part.bindings:
        if gone.intersection((binding.source, binding.destination)):
            yield _binding(binding, queue)


def _unbound(queue: str, part: Topology, seen: See) -> Iterator[Change]:
    ends = seen.queues.keys() | seen.exchanges.keys()
    for one in unbound(part, seen):
        if one.source in ends and one.destination in ends:  # else it is told of with the end that is missing
            yield _binding(one, queue)


def _binding(one: topology.Binding, queue: str) -> Change:
    return Change(Action.CREATE, "binding", f"{one.source} -> {one.destination}", queue, one.key)


def _conflicts(queue: str, part: Topology, seen: See) -> Iterator[Change]:
    for what, name, differing in conflicts(part, seen):
        yield Change(Action.CONFLICT, what, name, queue, differing)


def _differing(wanted: dict[str, Any], found: dict[str, Any]) -> str:
    texts = [
        f"{key} is {found.get(key, 'not set')}, not {value}" for key, value in wanted.items() if found.get(key) != value
    ]
    return ", ".join(texts)
