"""What ``gae-broker check`` and ``/readyz`` find out about a RabbitMQ broker, a line a thing."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import ConnectionBlockedTimeout

from gae_broker.domain.queue import Mode
from gae_broker.domain.task import Kind
from gae_broker.errors import Error
from gae_broker.ports import Check, CheckStatus, Needs
from gae_broker_adapters.brokers.rabbitmq import topology
from gae_broker_adapters.brokers.rabbitmq.operating import declaring, permissions, planning, plugin, policies
from gae_broker_adapters.brokers.rabbitmq.operating.management import Management, ManagementError
from gae_broker_adapters.brokers.rabbitmq.topology import Features, Names
from gae_broker_adapters.brokers.rabbitmq.wire import versions
from gae_broker_adapters.brokers.rabbitmq.wire.location import Location

_OK, _WARNING, _FAILED = CheckStatus.OK, CheckStatus.WARNING, CheckStatus.FAILED
_DEFAULT_TIMEOUT_S = 1800
_SPARE_S = 300
_BLOCKED_S = 3.0
_NO_ADDS = "while it lasts no task can be added, free some on the broker's node"


def check(location: Location, management: Management, names: Names, needs: Needs, *, plugged: bool) -> list[Check]:
    """As `Broker.check`; connects anew, since a connection that was there before proves little."""
    # The probes publish, which an alarm would otherwise hold up for as long as it lasts.
    impatient = tuple(_impatient(one) for one in location.parameters)
    checks: list[Check] = []
    try:
        with declaring.channel(replace(location, parameters=impatient)) as channel:
            version = declaring.server_version(channel)
            checks.append(Check("broker", _OK, f"RabbitMQ {version} at {location}"))
            checks += _looked_into(channel, management, names, needs, Features.of(version, plugin=plugged))
    except Error as exc:
        checks.append(Check("broker", _FAILED, str(exc)))
    return checks


def _impatient(parameters: Any) -> Any:  # noqa: ANN401 - pika's, which is untyped
    changed = copy.copy(parameters)
    changed.blocked_connection_timeout = _BLOCKED_S
    return changed


def _looked_into(
    channel: BlockingChannel,
    management: Management,
    names: Names,
    needs: Needs,
    features: Features,
) -> Iterator[Check]:
    version = declaring.server_version(channel)
    yield versions.check(version)
    if features.plugin:
        yield plugin.check(version, management)
    pairs = [(Kind.PULL if queue.mode is Mode.PULL else Kind.PUSH, queue.name) for queue in needs.queues]
    whole = topology.whole(names, pairs, features)
    sight = declaring.look(channel, whole)
    try:
        seen = planning.See(management)
    except ManagementError as exc:
        seen = None
        unseen = f"{exc}: bindings, arguments, policies and alarms were not checked; set GAE_BROKER_MANAGEMENT"
    yield _topology(whole, sight, seen)
    unavailable = {*sight.missing, *sight.hidden}
    there = [name for name in (names.queue(kind, queue) for kind, queue in pairs) if name not in unavailable]
    yield _consumer_timeout(version, features, needs)
    yield _dead(channel, names, [queue for _, queue in pairs], unavailable)
    if names.orphan not in unavailable:
        yield _orphans(declaring.ready(channel, names.orphan), names)
    # Last of what asks the broker itself: where it takes no messages, this ends the connection.
    try:
        yield permissions.check(channel, names, there, needs.role)
    except ConnectionBlockedTimeout:
        yield Check("broker permissions", _WARNING, "not checked, as the broker takes no messages now")
        yield Check("broker alarms", _FAILED, f"memory or disk: {_NO_ADDS}")
        return
    if seen is None:
        yield Check("broker management", _WARNING, unseen)
        return
    yield from policies.check(whole, seen)
    yield _alarms(management)
    yield from _files(management, version, len(seen.queues))


def _topology(whole: topology.Topology, sight: declaring.Sight, seen: planning.See | None) -> Check:
    name = "broker topology"
    if sight.missing:
        return Check(name, _FAILED, f"missing: {_some(sight.missing)}; {declaring.DEPLOY}")
    if seen is not None:
        unbound = [f"{one.source} -> {one.destination}" for one in planning.unbound(whole, seen)]
        if unbound:
            return Check(name, _FAILED, f"missing bindings: {_some(unbound)}; {declaring.DEPLOY}")
        other = [f"{what} {found!r}: {differing}" for what, found, differing in planning.conflicts(whole, seen)]
        if other:
            text = f"other arguments than this release's: {_some(other)}; drain and delete it, then {declaring.DEPLOY}"
            return Check(name, _WARNING, text)
    seeable = len(whole.names()) - len(sight.hidden)
    what = "exchanges and queues" if seen is None else "exchanges, queues and bindings"
    hidden = f", {len(sight.hidden)} are hidden from this user" if sight.hidden else ""
    return Check(name, _OK, f"all {what} are there ({seeable} looked at{hidden})")


def _consumer_timeout(version: str, features: Features, needs: Needs) -> Check:
    name = "broker consumer timeout"
    longest = needs.longest_deadline_s
    if features.consumer_timeout:
        ours_s = topology.CONSUMER_TIMEOUT_MS // 1000
        return Check(name, _OK, f"{ours_s // 3600} h on our queues, the longest deadline is {longest:g} s")
    text = (
        f"RabbitMQ {version} has one for all queues, {_DEFAULT_TIMEOUT_S // 60} min unless rabbitmq.conf sets it, "
        f"which cannot be read from here; the longest deadline is {longest:g} s"
    )
    if longest + _SPARE_S < _DEFAULT_TIMEOUT_S:
        return Check(name, _OK, text)
    wanted_ms = round((longest + _SPARE_S) * 1000)
    return Check(name, _WARNING, f"{text}: see that rabbitmq.conf has consumer_timeout = {wanted_ms} or more")


def _dead(channel: BlockingChannel, names: Names, queues: list[str], unavailable: set[str]) -> Check:
    name = "dead letters"
    looked = [queue for queue in queues if names.queue(Kind.DEAD, queue) not in unavailable]
    counts = {queue: declaring.ready(channel, names.queue(Kind.DEAD, queue)) for queue in looked}
    filled = {queue: count for queue, count in counts.items() if count}
    if not filled:
        text = "none" if len(looked) == len(queues) else "none in what this user may see"
        return Check(name, _OK, text)
    texts = [f"{count} in {queue}" for queue, count in filled.items()]
    first = next(iter(filled))
    return Check(
        name, _WARNING, f"{_some(texts)}; `gae-broker tasks dead {first}` shows why, `tasks redrive` runs them again"
    )


def _orphans(count: int, names: Names) -> Check:
    if not count:
        return Check("orphans", _OK, "none")
    text = f"{count} tasks in {names.orphan!r} came due when their queue was gone; put it back into queue.yaml, "
    return Check("orphans", _WARNING, f"{text}{declaring.DEPLOY}, then move them there")


def _alarms(management: Management) -> Check:
    try:
        management.get("health/checks/alarms")
    except ManagementError as exc:
        # The API answers 503 where there is one.
        return Check("broker alarms", _FAILED, f"memory or disk, or: {exc}; {_NO_ADDS}")
    return Check("broker alarms", _OK, "none")


def _files(management: Management, version: str, queues: int) -> Iterator[Check]:
    """Up to 3.12 each quorum queue reserves files, and a node without any left accepts no connection."""
    if versions.parse(version) >= versions.FILES_UNLIMITED:
        return
    try:
        nodes = management.get("nodes")
    except ManagementError:
        return
    for node in nodes if isinstance(nodes, list) else []:
        limit, needed = int(node.get("fd_total") or 0), queues * versions.FILES_PER_QUEUE
        if limit and needed > limit // 2:
            text = f"{node['name']} may open {limit} files, its {queues} queues reserve {needed}; raise its LimitNOFILE"
            yield Check("broker files", _WARNING, text)


def _some(texts: list[str] | tuple[str, ...]) -> str:
    shown = 3
    rest = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + rest
