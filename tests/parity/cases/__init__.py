"""The hand-written parity cases, by section of gae-semantics."""

from tests.parity.cases import (
    adding,
    deferring,
    deleting,
    dispatching,
    leasing,
    queue_files,
    queues,
    routing,
    surface,
    task_times,
    tasks,
    testbed,
)

ALL = [
    case
    for topic in (
        surface,
        tasks,
        task_times,
        routing,
        queues,
        adding,
        deleting,
        leasing,
        deferring,
        dispatching,
        queue_files,
        testbed,
    )
    for case in topic.CASES
]
