"""``gae-broker tasks``."""

from __future__ import annotations

from gae_broker.cli.group import group

tasks = group(
    "tasks",
    "Add, list, describe, lease, delete, run and redrive tasks.",
    {
        "add": ("gae_broker.cli.tasks_add:add", "Add a task to a queue."),
        "list": ("gae_broker.cli.tasks_show:list_tasks", "List a queue's tasks by eta."),
        "describe": ("gae_broker.cli.tasks_show:describe", "Show everything about a task."),
        "lease": ("gae_broker.cli.tasks_steer:lease", "Lease tasks of a pull queue."),
        "delete": ("gae_broker.cli.tasks_steer:delete", "Delete tasks by name."),
        "dead": ("gae_broker.cli.tasks_dead:dead", "List the tasks that were given up, and why."),
        "redrive": ("gae_broker.cli.tasks_dead:redrive", "Run tasks again that were given up."),
        "run": ("gae_broker.cli.tasks_steer:run", "Make a push task due now."),
    },
)
