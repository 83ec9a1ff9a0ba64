"""Code that a type checker rejects, with the code of the error it shall report on the line."""

from __future__ import annotations

from gae_broker import deferred, taskqueue
from gae_broker.taskqueue.rpc import RPC

queue = taskqueue.Queue("work")
task = taskqueue.Task()

taskqueue.Task(colour="red")  # error: arg-type
taskqueue.Task(5)  # error: arg-type
taskqueue.Task("x", "/url")  # error: call-arg
taskqueue.Task(eta=1_700_000_000)  # error: arg-type
taskqueue.Task(params=[("a", 1)])  # error: arg-type
taskqueue.Task(dispatch_deadline_usec=15.5)  # error: arg-type
taskqueue.TaskRetryOptions(limit=3)  # error: arg-type
taskqueue.TaskRetryOptions(task_age_limit="2d")  # error: arg-type
taskqueue.add("x", queue="q")  # error: call-arg
taskqueue.add("x", countdown=[5])  # error: arg-type
taskqueue.create_rpc(deadline="5")  # error: arg-type
taskqueue.Queue(5)  # error: arg-type
queue.add("task")  # error: arg-type
queue.lease_tasks("60", 1)  # error: arg-type
queue.lease_tasks(60, 1, deadline=None)  # error: arg-type
task.name = "n"  # error: misc
queue.name = "n"  # error: misc
number: int = queue.add(task)  # error: assignment
rpc: RPC[taskqueue.Task] = taskqueue.create_rpc()
queue.lease_tasks_async(60, 1, rpc)  # error: arg-type
deferred.defer(5)  # error: arg-type
deferred.defer(print, _queue=5)  # error: arg-type
