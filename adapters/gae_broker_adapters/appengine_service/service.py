"""The calls of Google's ``taskqueue`` service, answered by our engine."""

from __future__ import annotations

from typing import Any

from google.appengine.api import apiproxy_stub
from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2 as pb

from gae_broker import errors
from gae_broker.engine import runtime as runtimes
from gae_broker.engine.runtime import Runtime
from gae_broker_adapters.appengine_service import adding, pulling, watching
from gae_broker_adapters.appengine_service.codes import Code, as_application_errors, refusal

_MAX_REQUEST_BYTES = 32 << 20
_FROM_FILE = "queues are defined in queue.yaml; change it, and run gae-broker deploy"


class TaskQueueCalls:
    """The ``_Dynamic_*`` methods, which App Engine's proxy finds by the names of the calls."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the next base's
        super().__init__(*args, **kwargs)
        self._leased = pulling.Leased()

    def _runtime(self) -> Runtime:
        """Whose queues: the process's."""
        return runtimes.current()

    def _Dynamic_Add(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        bulk, results = pb.TaskQueueBulkAddRequest(), pb.TaskQueueBulkAddResponse()
        bulk.add_request.add().CopyFrom(request)
        self._Dynamic_BulkAdd(bulk, results)
        (result,) = results.taskresult
        after_commit = not hasattr(response, "chosen_task_name")  # the datastore asks for no answer
        if after_commit and result.result == Code.TRANSIENT_ERROR:
            # It drops the task on an ApplicationError, and tells whoever committed of any other.
            raise errors.TransientError("the transaction is committed, and its task could not be enqueued")
        if result.result != Code.OK:
            raise refusal(result.result, "")
        if not after_commit and result.HasField("chosen_task_name"):
            response.chosen_task_name = result.chosen_task_name

    def _Dynamic_BulkAdd(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            adding.bulk_add(self._runtime(), request, response)

    def _Dynamic_Delete(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        names = [name.decode() for name in request.task_name]
        with as_application_errors():
            try:
                deleted = self._runtime().remover.delete(request.queue_name.decode(), names)
                codes = [Code.OK if done else Code.UNKNOWN_TASK for done in deleted]
                for name in names:
                    self._leased.drop(request.queue_name.decode(), name)
            except errors.UnknownQueueError:
                codes = [Code.UNKNOWN_QUEUE] * len(names)
        response.result.extend(codes)

    def _Dynamic_PurgeQueue(self, request: Any, _response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            self._runtime().remover.purge(request.queue_name.decode())

    def _Dynamic_PauseQueue(self, request: Any, _response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        controller = self._runtime().controller
        with as_application_errors():
            (controller.pause if request.pause else controller.resume)(request.queue_name.decode())

    def _Dynamic_QueryAndOwnTasks(self, request: Any, response: Any, _id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            pulling.lease(self._runtime(), self._leased, request, response)

    def _Dynamic_ModifyTaskLease(self, request: Any, response: Any, _id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            pulling.modify(self._runtime(), self._leased, request, response)

    def _Dynamic_FetchQueues(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            watching.queues(self._runtime(), request, response)

    def _Dynamic_FetchQueueStats(self, request: Any, response: Any, _id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            watching.statistics(self._runtime(), request, response)

    def _Dynamic_QueryTasks(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            watching.tasks(self._runtime(), request, response)

    def _Dynamic_FetchTask(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        with as_application_errors():
            watching.task(self._runtime(), request, response)

    def _Dynamic_ForceRun(self, request: Any, response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        try:
            self._runtime().browser.run_now(request.queue_name.decode(), request.task_name.decode())
        except errors.UnknownTaskError:
            response.result = Code.UNKNOWN_TASK
        except errors.UnknownQueueError:
            response.result = Code.UNKNOWN_QUEUE
        except errors.TransientError:
            response.result = Code.TRANSIENT_ERROR
        else:
            response.result = Code.OK

    def _Dynamic_UpdateQueue(self, _request: Any, _response: Any, _request_id: object = None) -> None:  # noqa: ANN401, N802
        raise refusal(Code.PERMISSION_DENIED, _FROM_FILE)

    _Dynamic_DeleteQueue = _Dynamic_DeleteGroup = _Dynamic_UpdateStorageLimit = _Dynamic_UpdateQueue


class TaskQueueService(TaskQueueCalls, apiproxy_stub.APIProxyStub):  # type: ignore[misc]
    """What is registered with Google's API proxy."""

    THREADSAFE = True

    def __init__(self) -> None:
        super().__init__("taskqueue", max_request_size=_MAX_REQUEST_BYTES)
