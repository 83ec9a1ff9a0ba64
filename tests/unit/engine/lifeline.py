"""A process that can be ended, or interrupted, before and after every call it makes to broker or ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gae_broker.ports import Broker, Delivery, Ledger
from tests.unit.engine.worlds import StillClock, World


class Crash(BaseException):
    """The process ended here: no except clause of the engine's may hold it up."""


class Lifeline:
    """Counts the steps of a process and does something at one of them.

    A step lies before and after each call; `trace` names them. With `Lifeline.crash` as the action nothing the
    process does afterwards, in its finally clauses for instance, reaches broker or ledger.
    """

    def __init__(self) -> None:
        self.trace: list[str] = []
        self.in_hand: dict[int, Delivery] = {}
        self._at: int | None = None
        self._action: Callable[[], None] = lambda: None
        self._dead = False

    def arm(self, at: int, action: Callable[[], None]) -> None:
        """Do ``action`` at the step with this index, counted from now."""
        self.trace.clear()
        self._at, self._action = at, action

    def crash(self) -> None:
        self._dead = True
        raise Crash

    def step(self, label: str) -> None:
        if self._dead:
            raise Crash
        self.trace.append(label)
        if self._at is not None and len(self.trace) == self._at + 1:
            self._at = None
            self._action()


class Line:
    """A broker or ledger as a process with a lifeline reaches it: everything is passed on, step by step."""

    def __init__(self, target: Broker | Ledger, role: str, life: Lifeline) -> None:
        self._target = target
        self._role = role
        self._life = life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._target, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self._life.step(f"before {self._role}.{name}")
            answer = method(*args, **kwargs)
            if name == "get":
                self._life.in_hand |= {id(delivery): delivery for delivery in answer}
            if name in {"ack", "restore"}:
                for delivery in args[0]:
                    self._life.in_hand.pop(id(delivery), None)
            self._life.step(f"after {self._role}.{name}")
            return answer

        return call


class Process(World):
    """A world whose process can end; what it has in hand then comes back, as after a real end."""

    def __init__(self, broker: Broker, ledger: Ledger, clock: StillClock, prefix: str = "") -> None:
        self.life = Lifeline()
        self._real_broker = broker
        super().__init__(Line(broker, "broker", self.life), Line(ledger, "ledger", self.life), clock, prefix)  # type: ignore[arg-type]

    def run_until(self, at: int, operation: Callable[[World], object]) -> bool:
        """Run an operation and crash at its step ``at``; whether there is such a step."""
        self.life.arm(at, self.life.crash)
        try:
            operation(self)
        except Crash:
            self._real_broker.restore(list(self.life.in_hand.values()))
            return True
        return False

    def run_interrupted(self, at: int, operation: Callable[[World], Any], interruption: Callable[[], None]) -> Any:
        """Run an operation; at its step ``at`` something else happens, start to end, in another process."""
        self.life.arm(at, interruption)
        return operation(self)
