"""A RabbitMQ node in a container: to use, and to break."""

from __future__ import annotations

import resource
import secrets
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Self

from docker.errors import DockerException
from docker.types import Ulimit
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.servers import VERSIONS, session
from tests.servers.management import Management
from tests.servers.ports import free_port

# testcontainers.core only: importing the library's own RabbitMQ module warns that it is deprecated, and its ports
# change with each start.

AMQP_PORT = 5672
MANAGEMENT_PORT = 15672
CONFIGURATION = "/etc/rabbitmq/conf.d/90-test.conf"
ADVANCED = "/etc/rabbitmq/advanced.config"
BOOT_S = 120.0
_POLL_S = 0.1
_FILES = 65_536
"""Files that a node may have open. With 1,024, the default of Debian, 3.10 stops for good at 300 queues."""
_LIMITS = "/etc/security/limits.d/90-test.conf"
_GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitMQContainer:
    """One node with guest/guest and the management plugin; not started yet.

    Ports and data stay the same however often it is stopped and started. It ends with the test session at the latest.

    Args:
        version: the series, one of `VERSIONS`.
        hostname: the node's name is ``rabbit@<hostname>``; made up where none is given.
        network: a network in which other containers find it by its hostname.
        config: further lines of ``rabbitmq.conf``.
        advanced: the text of ``advanced.config``.
        environment: further environment variables.
        contents: of files by their path, copied into it.
        ports: further ports of it that are to be reached from here; see `port_of`.
    """

    def __init__(
        self,
        version: str = VERSIONS[-1],
        *,
        hostname: str | None = None,
        network: Network | None = None,
        config: str = "",
        advanced: str = "",
        environment: dict[str, str] | None = None,
        contents: Mapping[str, bytes] | None = None,
        ports: Sequence[int] = (),
    ) -> None:
        self.version = version
        self.hostname = hostname or f"node-{secrets.token_hex(4)}"
        self.port = free_port()
        self.management_port = free_port()
        self._further_ports = {port: free_port() for port in ports}
        owner = session.current()
        owner.uses_docker()
        testcontainers_config.ryuk_disabled = True  # one more image to have; the session's keeper does its work
        files = open_files()
        try:
            self._container = DockerContainer(
                f"rabbitmq:{version}-management",
                env=environment,
                network=network,
                network_aliases=[self.hostname] if network else None,
                hostname=self.hostname,
                labels=owner.labels,
                ulimits=[Ulimit(name="nofile", soft=files, hard=files)],
            )
        except DockerException as exc:
            raise session.ServerUnavailableError(f"Docker does not answer: {exc}") from exc
        self._container.ports = {
            str(AMQP_PORT): ("127.0.0.1", self.port),  # type: ignore[dict-item] # passed on to docker-py as it is
            str(MANAGEMENT_PORT): ("127.0.0.1", self.management_port),  # type: ignore[dict-item]
            **{str(port): ("127.0.0.1", mine) for port, mine in self._further_ports.items()},  # type: ignore[dict-item]
        }
        for path, content in (contents or {}).items():
            self._container.with_copy_into_container(content, path)
        # For images that start the server with `su`, which sets limits of its own.
        self._container.with_copy_into_container(f"* - nofile {files}\n".encode(), _LIMITS)
        if config:
            self._container.with_copy_into_container(config.encode(), CONFIGURATION)
        if advanced:
            self._container.with_copy_into_container(advanced.encode(), ADVANCED)

    # ------------------------------------------------------------------------------------------ where it is

    @property
    def url(self) -> str:
        """Its AMQP URL, of the default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def management(self) -> Management:
        """Its management API."""
        return Management(f"http://guest:guest@127.0.0.1:{self.management_port}")

    @property
    def node(self) -> str:
        """Its Erlang name."""
        return f"rabbit@{self.hostname}"

    @property
    def id(self) -> str:
        """The container's id."""
        return self._container.get_container_id()

    def port_of(self, port: int) -> int:
        """The port of this machine behind which one of its further ports is."""
        return self._further_ports[port]

    # ------------------------------------------------------------------------------------------ life and death

    def start(self, *, wait: bool = True) -> Self:
        """Start it, for the first time or after `kill` or `stop`; with ``wait`` until it serves.

        Raises:
            ServerUnavailableError: there is no such image, or Docker refuses.
        """
        try:
            if self._container._container is None:
                self._container.start()
            else:
                self._container.get_wrapped_container().start()
        except DockerException as exc:
            raise session.ServerUnavailableError(f"rabbitmq:{self.version}-management: {exc}") from exc
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, deadline_s: float = BOOT_S) -> None:
        """Wait until it takes AMQP connections and answers on its management port."""
        deadline = time.monotonic() + deadline_s
        while not (greets(self.port) and self.management.is_ready()):
            self._container.reload()
            if self._container.status == "exited" or time.monotonic() > deadline:
                raise TimeoutError(f"{self.node} did not start within {deadline_s:.0f} s:\n{self.logs()[-4000:]}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL to every process of it, as when its machine loses power; data stays."""
        self._container.get_wrapped_container().kill()

    def stop(self, timeout_s: int = 30) -> None:
        """SIGTERM, and SIGKILL after a while; data stays."""
        self._container.get_wrapped_container().stop(timeout=timeout_s)

    def restart(self) -> None:
        """`kill` and `start`."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze all its processes: connections stay open, and nothing answers."""
        self._container.get_wrapped_container().pause()

    def unpause(self) -> None:
        """Let it go on after `pause`."""
        self._container.get_wrapped_container().unpause()

    def remove(self) -> None:
        """Remove it with its data. Idempotent."""
        self._container.stop()
        self._container._container = None

    def detach(self) -> None:
        """Leave it to the session, and release what this object holds of it."""
        self._container.get_docker_client().client.close()

    # ------------------------------------------------------------------------------------------ inside

    def rabbitmqctl(self, *arguments: str) -> str:
        """What ``rabbitmqctl`` prints, run inside.

        Raises:
            CalledProcessError: it failed; the text is in its ``output``.
        """
        return self.execute("rabbitmqctl", "--quiet", *arguments)

    def execute(self, *command: str) -> str:
        """What a command prints, run inside as root.

        Raises:
            CalledProcessError: it failed; the text is in its ``output``.
        """
        status, output = self._container.exec(list(command))
        text = output.decode(errors="replace")
        if status:
            raise subprocess.CalledProcessError(status, command, text)
        return text

    def logs(self) -> str:
        """What it has logged."""
        return b"".join(self._container.get_logs()).decode(errors="replace")

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def open_files() -> int:
    """As many as needed, or as this machine grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)


def greets(port: int) -> bool:
    """Whether a port of this machine speaks AMQP 0-9-1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_GREETING)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
