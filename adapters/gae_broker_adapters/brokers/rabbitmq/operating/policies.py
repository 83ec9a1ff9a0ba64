"""Policies that would break us: they override a queue's arguments without a word.

For ``overflow`` the policy wins, for times to live and limits the lower value does (rabbitmq-server,
``rabbit_queue_type_util:args_policy_lookup`` and ``rabbit_quorum_queue:gather_policy_config``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gae_broker.ports import Check, CheckStatus
from gae_broker_adapters.brokers.rabbitmq.operating.planning import See
from gae_broker_adapters.brokers.rabbitmq.topology import Topology

_NAME = "broker policies"
_HARM = {
    "message-ttl": "tasks come early or vanish",
    "expires": "the queue and all its tasks are deleted when nobody consumes",
    "max-length": "tasks are dropped or get stuck",
    "max-length-bytes": "tasks are dropped or get stuck",
}
_SAFE_OVERFLOW = "reject-publish"
_FEW_DELIVERIES = 1000


def check(whole: Topology, seen: See) -> Iterator[Check]:
    """One line for each policy that hits one of our queues, or one that says that none does."""
    found: dict[tuple[CheckStatus, str], list[str]] = {}
    for queue in whole.queues:
        there = seen.queues.get(queue.name, {})
        for status, text in _harms(there):
            found.setdefault((status, f"{_policy(there)}: {text}"), []).append(queue.name)
    for (status, text), names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Check(_NAME, status, f"{text}; it applies to {names[0]}{more}: narrow the policy's pattern")
    if not found:
        yield Check(_NAME, CheckStatus.OK, "none overrides what our queues are declared with")


def _harms(queue: dict[str, Any]) -> Iterator[tuple[CheckStatus, str]]:
    definition = queue.get("effective_policy_definition") or {}
    for key, harm in _HARM.items():
        if key in definition:
            yield CheckStatus.FAILED, f"{key} {definition[key]}, so {harm}"
    if definition.get("overflow", _SAFE_OVERFLOW) != _SAFE_OVERFLOW:
        text = f"overflow {definition['overflow']}, so tasks that are dead-lettered are not kept until they are stored"
        yield CheckStatus.FAILED, text
    limit = definition.get("delivery-limit", _FEW_DELIVERIES)
    if 0 <= limit < _FEW_DELIVERIES:
        text = f"delivery-limit {limit}, so tasks die with their workers' crashes, whatever their retry parameters"
        yield CheckStatus.WARNING, text


def _policy(queue: dict[str, Any]) -> str:
    names = [
        f"{what} {queue[key]!r}"
        for key, what in (("policy", "policy"), ("operator_policy", "operator policy"))
        if queue.get(key)
    ]
    return " and ".join(names) or "a policy"
