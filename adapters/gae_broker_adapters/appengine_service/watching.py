"""FetchQueues, FetchQueueStats, QueryTasks and FetchTask: what queues there are, and what they hold."""

from __future__ import annotations

from typing import Any

from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2 as pb

from gae_broker.domain.queue import Mode
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Copy, Kind
from gae_broker.engine.runtime import Runtime
from gae_broker_adapters.appengine_service.codes import Code, refusal

_MINUTES_AN_HOUR = 60
_NO_TASK = -1
_ALL = 2**31 - 1


def queues(runtime: Runtime, request: Any, response: Any) -> None:  # noqa: ANN401 - protocol buffers
    """The queues of queue.yaml, in order of name."""
    known = sorted(runtime.catalog.queues(), key=lambda queue: queue.name)
    for queue in known[: request.max_rows]:
        told = response.queue.add()
        told.queue_name = queue.name.encode()
        told.bucket_refill_per_second = queue.rate_per_s
        told.bucket_capacity = queue.bucket_size
        told.user_specified_rate = queue.rate_text.encode()
        told.paused = runtime.controller.is_paused(queue.name)
        told.max_concurrent_requests = queue.max_concurrent
        told.mode = pb.TaskQueueMode.PULL if queue.mode is Mode.PULL else pb.TaskQueueMode.PUSH
        _fill_retry(told.retry_parameters, queue.retry)
        for entry in queue.acl:
            told.acl.user_email.extend([entry.user_email.encode()] if entry.user_email else [])
            told.acl.writer_email.extend([entry.writer_email.encode()] if entry.writer_email else [])


def statistics(runtime: Runtime, request: Any, response: Any) -> None:  # noqa: ANN401
    """The figures of the queues that are asked for."""
    for name in request.queue_name:
        figures = runtime.statistician.fetch(name.decode())
        told = response.queuestats.add()
        told.num_tasks = figures.tasks
        told.oldest_eta_usec = _NO_TASK if figures.oldest_eta_us is None else figures.oldest_eta_us
        told.scanner_info.executed_last_minute = figures.executed_last_minute
        told.scanner_info.executed_last_hour = figures.executed_last_minute * _MINUTES_AN_HOUR
        told.scanner_info.sampling_duration_seconds = 60.0
        told.scanner_info.requests_in_flight = figures.in_flight
        told.scanner_info.enforced_rate = figures.enforced_rate


def tasks(runtime: Runtime, request: Any, response: Any) -> None:  # noqa: ANN401
    """Tasks of a queue in order of eta and name, from the one that the request names."""
    first = request.start_eta_usec, request.start_task_name.decode()
    for copy in runtime.browser.tasks(request.queue_name.decode(), _ALL):
        if (copy.eta_us, copy.name) >= first and len(response.task) < request.max_rows:
            _fill(response.task.add(), copy)


def task(runtime: Runtime, request: Any, response: Any) -> None:  # noqa: ANN401
    """One task."""
    queue, name = request.queue_name.decode(), request.task_name.decode()
    found = runtime.browser.find(queue, name)
    if found is None:
        raise refusal(Code.UNKNOWN_TASK, f"there is no task {name!r} in queue {queue!r}")
    _fill(response.task.task.add(), found)


def _fill(told: Any, copy: Copy) -> None:  # noqa: ANN401
    content = copy.content
    told.task_name = copy.name.encode()
    told.eta_usec = copy.eta_us
    told.creation_time_usec = content.created_us
    told.retry_count = copy.progress.tries
    told.execution_count = copy.progress.executions
    told.body = content.payload
    told.body_size = len(content.payload)
    if copy.progress.first_try_us is not None:
        told.first_try_usec = copy.progress.first_try_us
    if content.tag is not None:
        told.tag = content.tag.encode()
    if content.kind is Kind.PUSH:
        told.url = content.url.encode()
        told.method = pb.TaskQueueQueryTasksResponse.Task.RequestMethod.Value(content.method)
        for key, value in content.headers:
            header = told.header.add()
            header.key, header.value = key.encode(), value.encode()
    if content.retry is not None:
        _fill_retry(told.retry_parameters, content.retry)
    if content.deadline_us is not None:
        told.dispatch_deadline_usec = content.deadline_us


def _fill_retry(told: Any, retry: RetryParameters) -> None:  # noqa: ANN401
    if retry.limit is not None:
        told.retry_limit = retry.limit
    if retry.age_limit_s is not None:
        told.age_limit_sec = retry.age_limit_s
    told.min_backoff_sec = retry.min_backoff_s
    told.max_backoff_sec = retry.max_backoff_s
    told.max_doublings = retry.max_doublings
