"""What applications of these tests were shown."""

from __future__ import annotations

import dataclasses

from gae_broker_adapters.current_task import TaskHeaders


@dataclasses.dataclass
class Seen:
    """A request as a view had it."""

    headers: dict[str, str]
    body: bytes
    remote: str
    tasks: tuple[TaskHeaders | None, ...]
    current: TaskHeaders | None
    path: str

    @property
    def reserved(self) -> list[str]:
        """Headers that only the dispatcher may send."""
        return [name for name in self.headers if name.startswith(("x-appengine", "x-gaebroker"))]


SEEN: list[Seen] = []
