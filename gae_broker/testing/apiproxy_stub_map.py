"""``google.appengine.api.apiproxy_stub_map`` where Google's library is not installed: which stub serves which service.

An active `Testbed` puts a map of its own here and its stub into that, as App Engine's does: suites ask
``apiproxy_stub_map.apiproxy.GetStub("taskqueue")`` as often as they ask their testbed.
"""

from __future__ import annotations

from gae_broker.taskqueue import rpc

__all__ = ["APIProxyStubMap", "GetDefaultAPIProxy", "UserRPC", "apiproxy"]

UserRPC = rpc.RPC


class APIProxyStubMap:
    """The stubs that a test registered. Only ``taskqueue`` has a meaning here; others are kept, and not used."""

    def __init__(self, default_stub: object = None) -> None:
        # Suites written before the testbed reach into it by the name that Python makes of this one.
        self.__stub_map: dict[str, object] = {}
        self.__default_stub = default_stub

    def SetDefaultStub(self, stub: object) -> None:  # noqa: N802 - App Engine's names
        """Use a stub for every service that has none of its own."""
        self.__default_stub = stub

    def RegisterStub(self, service: str, stub: object) -> None:  # noqa: N802
        """Use a stub for a service.

        Raises:
            AssertionError: there is one already.
        """
        if service in self.__stub_map:
            raise AssertionError(repr(service))
        self.ReplaceStub(service, stub)

    def ReplaceStub(self, service: str, stub: object) -> None:  # noqa: N802
        """Use a stub for a service, whether there was one or not."""
        self.__stub_map[service] = stub

    def GetStub(self, service: str) -> object:  # noqa: N802
        """The service's stub, ``None`` where there is none."""
        return self.__stub_map.get(service, self.__default_stub)


def GetDefaultAPIProxy() -> APIProxyStubMap:  # noqa: N802
    """A map without stubs."""
    return APIProxyStubMap()


apiproxy = GetDefaultAPIProxy()
"""May be replaced by another map; the task queue is the one that the map of the moment names."""
