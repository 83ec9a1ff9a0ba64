"""The API on queues in memory, asked without a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from gae_broker.domain.access_tokens import AccessTokens
from gae_broker.domain.queue import AclEntry, Mode, Queue, QueueFile
from gae_broker.domain.retry import RetryParameters
from gae_broker.web.rest.application import RestApi
from tests.unit.engine.doubles import Blind
from tests.unit.engine.worlds import StillClock, World, adapters

BASE = "/taskqueue/v1beta2/projects/shop/taskqueues"
ACL = (
    AclEntry("ann@example.com", None),
    AclEntry(None, "wil@example.com"),
    AclEntry("Bob@example.com", "bob@example.com"),
)
QUEUES = QueueFile(
    queues={
        queue.name: queue
        for queue in (
            Queue("default"),
            Queue("pull", mode=Mode.PULL, acl=ACL),
            Queue("twice", mode=Mode.PULL, retry=RetryParameters(limit=2)),
        )
    }
)


@contextlib.asynccontextmanager
async def nothing_meanwhile():
    yield


class Shop:
    """The world behind the API, and short ways to ask."""

    def __init__(self, client: TestClient, world: World, api: RestApi) -> None:
        self.client, self.world, self.api = client, world, api
        self.clock = world.clock

    def ask(self, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        """The answer's JSON, if the status is the expected one."""
        answer = self.client.request(method, BASE + path, **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, status: int, **more: Any) -> tuple[str, str]:
        """Reason and message of an error."""
        error = self.ask(method, path, status=status, **more)["error"]
        assert (error["code"], error["message"]) == (status, error["errors"][0]["message"])
        assert error["errors"][0]["domain"] == "global"
        return error["errors"][0]["reason"], error["message"]

    def lease(self, tasks: int = 100, seconds: int = 60, queue: str = "pull", **more: Any) -> list[dict[str, Any]]:
        params = {"numTasks": tasks, "leaseSecs": seconds, **more}
        found = self.ask("POST", f"/{queue}/tasks/lease", params=params)
        assert found["kind"] == "taskqueue#tasks"
        return found.get("items", [])


@contextlib.contextmanager
def shop(*, blind: bool = False, tokens: AccessTokens | None = None, queues: QueueFile = QUEUES) -> Iterator[Shop]:
    clock = StillClock()
    with adapters(clock) as (broker, ledger):
        world = World(Blind(broker) if blind else broker, ledger, clock, queues=queues)
        api = RestApi(tokens or AccessTokens())
        app = api.application([], nothing_meanwhile)
        with TestClient(app, base_url="http://localhost:8090", raise_server_exceptions=False) as client:
            api.attach(world.runtime)
            yield Shop(client, world, api)
        api.close()


@pytest.fixture
def here() -> Iterator[Shop]:
    """On a broker that sees all."""
    with shop() as found:
        yield found


@pytest.fixture
def blind() -> Iterator[Shop]:
    """On a broker that sees as little as RabbitMQ."""
    with shop(blind=True) as found:
        yield found
