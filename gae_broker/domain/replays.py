"""Remembers the signatures that were received, for as long as they could be received again."""

from __future__ import annotations

from gae_broker.domain.signing import Refusal

_BUCKET_US = 1_000_000


class Replays:
    """A bounded memory of signatures, by the time they were made; time is passed in, and it is not thread-safe.

    Where more than ``capacity`` arrive within a window, the oldest are forgotten, and from then on everything as old as
    they are is refused: too much load shortens the window, and opens no gap.

    Args:
        window_us: how long a signature is valid before and after the time it bears.
        capacity: how many are remembered; each takes about 100 bytes.
    """

    def __init__(self, window_us: int, capacity: int = 500_000) -> None:
        self._window_us = window_us
        self._capacity = max(capacity, 1)
        self._buckets: dict[int, set[bytes]] = {}
        self._count = 0
        self._floor = -1
        self._expired = -1

    def __len__(self) -> int:
        return self._count

    def refusal(self, mac: bytes, time_us: int) -> Refusal | None:
        """Why a signature cannot be taken, ``None`` where it can."""
        bucket = time_us // _BUCKET_US
        if mac in self._buckets.get(bucket, ()):
            return Refusal.REPLAYED
        return Refusal.OVERRUN if bucket <= self._floor else None

    def remember(self, mac: bytes, time_us: int, now_us: int) -> Refusal | None:
        """Take a signature, once; why not, where it cannot be taken.

        Only signatures that were verified belong here: others would push these out.
        """
        self._forget((now_us - self._window_us) // _BUCKET_US)
        refusal = self.refusal(mac, time_us)
        if refusal is None:
            self._buckets.setdefault(time_us // _BUCKET_US, set()).add(mac)
            self._count += 1
            while self._count > self._capacity:
                self._floor = max(self._floor, self._drop(min(self._buckets)))
        return refusal

    def _forget(self, expired: int) -> None:
        """Drop what the window alone would refuse: buckets that ended before it.

        The floor rises with it: a clock that is set back must not make valid again what was forgotten.
        """
        if expired <= self._expired:
            return
        self._expired = expired
        for bucket in [bucket for bucket in self._buckets if bucket < expired]:
            self._floor = max(self._floor, self._drop(bucket))

    def _drop(self, bucket: int) -> int:
        self._count -= len(self._buckets.pop(bucket))
        return bucket
