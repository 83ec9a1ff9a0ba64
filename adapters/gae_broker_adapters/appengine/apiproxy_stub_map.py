"""``google.appengine.api.apiproxy_stub_map`` where Google's library is not installed: a map with one service in it."""

from __future__ import annotations

from gae_broker.taskqueue import rpc

__all__ = ["APIProxyStubMap", "UserRPC", "apiproxy"]

UserRPC = rpc.RPC


class APIProxyStubMap:
    """The stubs that a test registered. Only ``taskqueue`` has a meaning here; others are kept, and not used."""

    def __init__(self, default_stub: object = None) -> None:
        self._stubs: dict[str, object] = {}
        self._default = default_stub

    def RegisterStub(self, service: str, stub: object) -> None:  # noqa: N802 - App Engine's names
        """Use a stub for a service.

        Raises:
            AssertionError: there is one already.
        """
        if service in self._stubs:
            raise AssertionError(repr(service))
        self._stubs[service] = stub

    def ReplaceStub(self, service: str, stub: object) -> None:  # noqa: N802
        """Use a stub for a service, whether there was one or not."""
        self._stubs[service] = stub

    def GetStub(self, service: str) -> object:  # noqa: N802
        """The service's stub, ``None`` where there is none."""
        return self._stubs.get(service, self._default)


apiproxy = APIProxyStubMap()
"""May be replaced by another map; the task queue is the one that the map of the moment names."""
