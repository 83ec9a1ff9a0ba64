"""A target whose requests are signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gae_broker.engine.signing import Signer
from gae_broker.engine.targets.target import Job, Target


class SignedTarget:
    """`Target` over another one, whatever its kind.

    Args:
        target: makes the attempts.
        signer: signs their requests as they begin.
        base_path: what the target puts before the requests' own paths.
    """

    def __init__(self, target: Target, signer: Signer, base_path: str = "") -> None:
        self._target = target
        self._signer = signer
        self._base_path = base_path

    async def open(self) -> None:
        """As `Target.open`."""
        await self._target.open()

    def expect(self, concurrency: int) -> None:
        """As `Target.expect`."""
        self._target.expect(concurrency)

    def room(self) -> int:
        """As `Target.room`."""
        return self._target.room()

    def when_room(self, notify: Callable[[], None]) -> None:
        """As `Target.when_room`."""
        self._target.when_room(notify)

    def start(self, jobs: Sequence[Job]) -> None:
        """As `Target.start`; an attempt that is given back and begun again gets another signature."""
        self._target.start([replace(job, request=self._signer.sign(job.request, self._base_path)) for job in jobs])

    def withdraw(self) -> None:
        """As `Target.withdraw`."""
        self._target.withdraw()

    async def close(self) -> None:
        """As `Target.close`."""
        await self._target.close()
