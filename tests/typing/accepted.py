"""Code that a type checker accepts: what applications write, and the types they get."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import assert_type

from gae_broker import deferred, taskqueue
from gae_broker.taskqueue.rpc import RPC

queue = taskqueue.Queue("work")
task = taskqueue.Task("payload", url="/work", countdown=5, headers={"A": ["1", "2"]}, params=None)
taskqueue.Task(b"x", method="PULL", tag="t", eta=dt.datetime.now(dt.UTC), name=b"python-2")
taskqueue.Task(
    params={"a": 1, "b": ["x", "y"]}, target=taskqueue.DEFAULT_APP_VERSION, dispatch_deadline_usec=15_000_000
)
taskqueue.Task(
    params={b"a": b"1"}, retry_options=taskqueue.TaskRetryOptions(task_retry_limit=3, min_backoff_seconds=0.5)
)


def tasks() -> Iterator[taskqueue.Task]:
    yield task


assert_type(taskqueue.add("x", url="/u", queue_name="q", transactional=True), taskqueue.Task)
assert_type(queue.add(task), taskqueue.Task)
assert_type(queue.add([task]), list[taskqueue.Task])
assert_type(queue.add(tasks()), list[taskqueue.Task])
assert_type(task.add("q"), taskqueue.Task)
assert_type(task.add_async(), RPC[taskqueue.Task])
assert_type(queue.add_async(task).get_result(), taskqueue.Task)
assert_type(queue.add_async([task], rpc=taskqueue.create_rpc(deadline=5)).get_result(), list[taskqueue.Task])
assert_type(queue.delete_tasks(task), taskqueue.Task)
assert_type(queue.delete_tasks((task, task)), list[taskqueue.Task])
assert_type(queue.delete_tasks_by_name("n"), taskqueue.Task)
assert_type(queue.delete_tasks_by_name(["n", "m"]), list[taskqueue.Task])
assert_type(queue.lease_tasks(60, 100), list[taskqueue.Task])
assert_type(queue.lease_tasks_by_tag_async(0.5, 1, "t").get_result(), list[taskqueue.Task])
assert_type(queue.fetch_statistics(), taskqueue.QueueStatistics)
assert_type(taskqueue.QueueStatistics.fetch("q"), taskqueue.QueueStatistics)
assert_type(taskqueue.QueueStatistics.fetch(queue).oldest_eta_usec, int | None)
assert_type(taskqueue.QueueStatistics.fetch(["q"]), list[taskqueue.QueueStatistics])
assert_type(task.eta, dt.datetime)
assert_type(task.name, str | None)

rpc: RPC[list[taskqueue.Task]] = taskqueue.create_rpc(deadline=5.0, callback=queue.purge)
assert_type(queue.lease_tasks_async(60, 1, rpc), RPC[list[taskqueue.Task]])
assert_type(RPC.wait_any([rpc]), RPC[list[taskqueue.Task]] | None)


async def adds() -> taskqueue.Task:
    return await task.add_async()


def work(number: int, *, text: str = "") -> int:
    return number + len(text)


assert_type(deferred.defer(work, 1, text="x", _countdown=5, _queue="q", _retry_options=None), taskqueue.Task)
assert_type(deferred.serialize(work, 1), bytes)
