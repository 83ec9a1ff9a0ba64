"""A small Datastore behind its real gRPC interface: what google-cloud-ndb asks of it here, in memory.

No emulator is to be had where these tests run. Transactions are optimistic: a commit fails where what its
transaction read has changed since.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import grpc
from google.cloud.datastore_v1.types import datastore as messages
from google.cloud.datastore_v1.types import query as queries


class Datastore:
    """The service's methods, on a dictionary of entities by serialized key."""

    def __init__(self) -> None:
        self.entities: dict[bytes, tuple[int, object]] = {}
        self.fails: Exception | None = None
        self._versions = itertools.count(1)
        self._numbers = itertools.count(1)
        self._reads: dict[bytes, dict[bytes, int]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """The kinds that there are entities of, each as often as there are."""
        return sorted(entity.key.path[-1].kind for _, entity in self.entities.values())

    def begin(self, _: messages.BeginTransactionRequest) -> messages.BeginTransactionResponse:
        with self._lock:
            name = b"tx-%d" % next(self._numbers)
            self._reads[name] = {}
            return messages.BeginTransactionResponse(transaction=name)

    def rollback(self, request: messages.RollbackRequest) -> messages.RollbackResponse:
        with self._lock:
            self._reads.pop(request.transaction, None)
            return messages.RollbackResponse()

    def lookup(self, request: messages.LookupRequest) -> messages.LookupResponse:
        with self._lock:
            response = messages.LookupResponse()
            for key in request.keys:
                version, entity = self.entities.get(_id(key), (0, None))
                if request.read_options.transaction:
                    self._reads[request.read_options.transaction][_id(key)] = version
                if entity is None:
                    response.missing.append(queries.EntityResult(entity={"key": key}))
                else:
                    response.found.append(queries.EntityResult(entity=entity))
            return response

    def run_query(self, request: messages.RunQueryRequest) -> messages.RunQueryResponse:
        with self._lock:
            query = request.query
            kind = query.kind[0].name
            bounds = _bounds(query.filter)
            found = [entity for _, entity in self.entities.values() if entity.key.path[-1].kind == kind]
            found = [entity for entity in found if all(holds(entity.key.path[-1].name) for holds in bounds)]
            found.sort(key=lambda entity: entity.key.path[-1].name)
            if "limit" in query:
                found = found[: query.limit]
            keys_only = bool(query.projection)
            kind_of = queries.EntityResult.ResultType.KEY_ONLY if keys_only else queries.EntityResult.ResultType.FULL
            batch = queries.QueryResultBatch(
                entity_result_type=kind_of,
                entity_results=[
                    queries.EntityResult(entity={"key": entity.key} if keys_only else entity, cursor=b"c")
                    for entity in found
                ],
                more_results=queries.QueryResultBatch.MoreResultsType.NO_MORE_RESULTS,
                end_cursor=b"c",
            )
            return messages.RunQueryResponse(batch=batch)

    def commit(self, request: messages.CommitRequest) -> messages.CommitResponse:
        with self._lock:
            if self.fails is not None:
                raise self.fails
            reads = self._reads.pop(request.transaction, {})
            if any(self.entities.get(key, (0, None))[0] != version for key, version in reads.items()):
                raise BlockingIOError("what the transaction read has changed")
            results = []
            for mutation in request.mutations:
                if "delete" in mutation:
                    self.entities.pop(_id(mutation.delete), None)
                else:
                    entity = mutation.upsert
                    self.entities[_id(entity.key)] = (next(self._versions), entity)
                results.append(messages.MutationResult())
            return messages.CommitResponse(mutation_results=results)


def _id(key: object) -> bytes:
    return "/".join(f"{element.kind}:{element.name}" for element in key.path).encode()


def _bounds(found: object) -> list:
    filters = [item.property_filter for item in found.composite_filter.filters] or [found.property_filter]
    operators = queries.PropertyFilter.Operator
    bounds = []
    for item in filters:
        if not item.property.name:
            continue
        assert item.property.name == "__key__"
        name = item.value.key_value.path[-1].name
        compare = {operators.GREATER_THAN: str.__gt__, operators.LESS_THAN: str.__lt__}[item.op]
        bounds.append(lambda own, compare=compare, name=name: compare(own, name))
    return bounds


class Server:
    """The double, served on a port of this machine."""

    _METHODS: ClassVar = {
        "BeginTransaction": ("begin", messages.BeginTransactionRequest, messages.BeginTransactionResponse),
        "Rollback": ("rollback", messages.RollbackRequest, messages.RollbackResponse),
        "Lookup": ("lookup", messages.LookupRequest, messages.LookupResponse),
        "RunQuery": ("run_query", messages.RunQueryRequest, messages.RunQueryResponse),
        "Commit": ("commit", messages.CommitRequest, messages.CommitResponse),
    }

    def __init__(self) -> None:
        self.datastore = Datastore()
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(getattr(self.datastore, method)),
                request_deserializer=request.deserialize,
                response_serializer=response.serialize,
            )
            for name, (method, request, response) in self._METHODS.items()
        }
        generic = grpc.method_handlers_generic_handler("google.datastore.v1.Datastore", handlers)
        self._server.add_generic_rpc_handlers((generic,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @staticmethod
    def _answering(method):
        def answer(request, context):
            try:
                return method(request)
            except BlockingIOError as exc:
                context.abort(grpc.StatusCode.ABORTED, str(exc))
            except PermissionError as exc:
                context.abort(grpc.StatusCode.PERMISSION_DENIED, str(exc))

        return answer

    def stop(self) -> None:
        self._server.stop(None).wait()
