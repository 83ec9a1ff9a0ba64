"""Three RabbitMQ nodes in containers that form one cluster."""

from __future__ import annotations

import secrets
import time
from typing import Self

from docker.errors import DockerException
from testcontainers.core.network import Network

from tests.servers import VERSIONS, session
from tests.servers.management import Management
from tests.servers.rabbitmq import BOOT_S, RabbitMQContainer

NODES = 3
_POLL_S = 0.2


class RabbitMQCluster:
    """A cluster of `NODES` nodes, in a network of its own; not started yet.

    Args:
        version: the series.
        config: further lines of each node's ``rabbitmq.conf``.
        advanced: the text of each node's ``advanced.config``.

    Attributes:
        nodes: each can be killed, paused and started again as a single one can.
    """

    def __init__(self, version: str = VERSIONS[-1], *, config: str = "", advanced: str = "") -> None:
        owner = session.current()
        owner.uses_docker()
        try:
            self._network = Network(docker_network_kw={"labels": owner.labels}).create()
        except DockerException as exc:
            raise session.ServerUnavailableError(f"Docker does not answer: {exc}") from exc
        run = secrets.token_hex(3)
        cookie = secrets.token_hex(16)
        names = [f"rabbit-{run}-{number}" for number in range(1, NODES + 1)]
        peers = [
            "cluster_formation.peer_discovery_backend = classic_config",
            *(f"cluster_formation.classic_config.nodes.{n} = rabbit@{name}" for n, name in enumerate(names, start=1)),
        ]
        self.nodes = [
            RabbitMQContainer(
                version,
                hostname=name,
                network=self._network,
                config="\n".join([*peers, config, ""]),
                advanced=advanced,
                environment={"RABBITMQ_ERLANG_COOKIE": cookie},
            )
            for name in names
        ]

    @property
    def url(self) -> str:
        """The AMQP URL that names all nodes."""
        return f"amqp://guest:guest@{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/"

    @property
    def management(self) -> Management:
        """The management API of the first node."""
        return self.nodes[0].management

    def start(self) -> Self:
        """Start all nodes, and wait until each serves and sees all others.

        Raises:
            ServerUnavailableError: there is no such image, or Docker refuses.
        """
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_until_ready()
        self.wait_until_whole()
        return self

    def wait_until_whole(self, deadline_s: float = BOOT_S) -> None:
        """Wait until every node is up, as every node sees it."""
        deadline = time.monotonic() + deadline_s
        while any(up(node) < NODES for node in self.nodes):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no cluster in {deadline_s:.0f} s:\n{self.nodes[0].logs()[-4000:]}")
            time.sleep(_POLL_S)

    def remove(self) -> None:
        """Remove nodes, data and network."""
        for node in self.nodes:
            node.remove()
        self._network.remove()
        self._network._docker.client.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def up(node: RabbitMQContainer) -> int:
    """How many nodes run, as one of them sees it; none where it does not answer."""
    try:
        nodes = node.management.call("GET", "nodes")
    except OSError:
        return 0
    assert isinstance(nodes, list)
    return sum(bool(found.get("running")) for found in nodes)
