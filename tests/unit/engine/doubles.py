"""Brokers and ledgers that are worse than the real ones in one respect; all else is passed on to a real one."""

from __future__ import annotations

from typing import Any

from gae_broker import errors
from gae_broker.ports import Depth


class Passing:
    """Passes every call on."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class Blind(Passing):
    """A broker that cannot look tasks up, list, discard or, while they wait, count them, as RabbitMQ."""

    sees_all = False

    def depth(self, *where: Any) -> Depth:
        return Depth(self._target.depth(*where).ready, None, None, None)

    def find(self, *_: object) -> None:
        return None

    def browse(self, *_: object) -> None:
        return None

    def discard(self, *_: object) -> int:
        return 0


class Keeping(Passing):
    """A broker that can purge nothing: all of it is delayed, or in somebody's hands."""

    def purge(self, *_: object) -> int:
        return 0


class Hoarding(Passing):
    """A broker that discards nothing."""

    def discard(self, *_: object) -> int:
        return 0


class Refusing(Passing):
    """A broker that answers a publish of these keys with an error, and may store the message nevertheless."""

    def __init__(self, target: Any, error: Exception, *, stores: bool = False, keys: set[str] | None = None) -> None:
        super().__init__(target)
        self._error = error
        self._stores = stores
        self._keys = keys

    def publish(self, messages: Any, deadline_s: float) -> list[Exception | None]:
        refused = [self._keys is None or message.key in self._keys for message in messages]
        stored = [m for m, is_refused in zip(messages, refused, strict=True) if self._stores or not is_refused]
        if stored:
            assert set(self._target.publish(stored, deadline_s)) == {None}
        return [self._error if is_refused else None for is_refused in refused]


class Down(Passing):
    """A broker or ledger of which these calls get no answer; they may be carried out nevertheless."""

    def __init__(self, target: Any, error: errors.TransientError, *methods: str, does: bool = False) -> None:
        super().__init__(target)
        self._error = error
        self._methods = methods
        self._does = does

    def __getattr__(self, name: str) -> Any:
        method = super().__getattr__(name)
        if name not in self._methods:
            return method

        def fail(*args: object, **kwargs: object) -> None:
            if self._does:
                method(*args, **kwargs)
            raise self._error

        return fail
