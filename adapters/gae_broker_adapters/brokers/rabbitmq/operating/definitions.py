"""The topology as a definitions file, for brokers where the application may not declare.

The format is that of ``rabbitmqctl export_definitions`` and ``import_definitions``, and of ``definitions.local.path``.
"""

from __future__ import annotations

from typing import Any

from gae_broker_adapters.brokers.rabbitmq.topology import Topology


def definitions(topology: Topology, virtual_host: str) -> dict[str, Any]:
    """What RabbitMQ imports; importing it again changes nothing, and deletes nothing that is not in it.

    Args:
        topology: the objects.
        virtual_host: where they go; it is made where it is missing.
    """
    durable = {"vhost": virtual_host, "durable": True, "auto_delete": False}
    return {
        "vhosts": [{"name": virtual_host}],
        "exchanges": [
            {"name": one.name, "type": one.type, "internal": False, "arguments": dict(one.arguments), **durable}
            for one in topology.exchanges
        ],
        "queues": [{"name": one.name, "arguments": dict(one.arguments), **durable} for one in topology.queues],
        "bindings": [
            {
                "source": one.source,
                "vhost": virtual_host,
                "destination": one.destination,
                "destination_type": "exchange" if one.to_exchange else "queue",
                "routing_key": one.key,
                "arguments": {},
            }
            for one in topology.bindings
        ],
    }
