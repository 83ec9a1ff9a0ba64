"""``gae-broker queues``: what the console's Task queues page did."""

from __future__ import annotations

from gae_broker.cli.group import group

queues = group(
    "queues",
    "List, describe, pause, resume and purge queues.",
    {
        "list": ("gae_broker.cli.queues_show:list_queues", "List the queues with their figures."),
        "describe": ("gae_broker.cli.queues_show:describe", "Show everything about a queue."),
        "pause": ("gae_broker.cli.queues_steer:pause", "Stop dispatches and leases; adding goes on."),
        "resume": ("gae_broker.cli.queues_steer:resume", "Let dispatches and leases go on."),
        "purge": ("gae_broker.cli.queues_steer:purge", "Remove every task of a queue."),
    },
)
