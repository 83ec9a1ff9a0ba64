"""Several processes on one blind broker and one ledger, each call of theirs at a time, ended anywhere: by a seed.

What App Engine promises is checked while it runs and at its end:

* a task whose add succeeded, and that nobody deleted or purged, is executed, or stays to be leased;
* a task whose deletion returned, or that a purge removed, is not given out to whoever asks afterwards;
* a named task that was done is not run again; no task before its eta; nobody leases a task during another's lease.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gae_broker import errors, registry
from gae_broker.domain.attempt import Outcome
from gae_broker.domain.task import Content, Copy, Kind
from gae_broker.engine.delivery import Deliverer
from tests.unit.engine.lifeline import Crash, Lifeline, Line
from tests.unit.engine.rabbit import Rabbit
from tests.unit.engine.worlds import S, StillClock, World, pull_task, push_task

PROCESSES = 3
NAMES = ("a", "b", "c")
WAITS_S = (0.0, 0.0, 0.5, 3.0, 40.0, 3000.0)
PAUSES_S = (0.001, 1.0, 20.0, 70.0, 4000.0, 100_000.0)


class Baton(Lifeline):
    """Hands control back to the scheduler at each step; ends its process where the scheduler wishes it."""

    def __init__(self) -> None:
        super().__init__()
        self.mine, self.theirs = threading.Semaphore(0), threading.Semaphore(0)
        self.is_doomed = False
        self.is_free = True

    def step(self, label: str) -> None:
        if self.is_doomed:
            raise Crash
        if self.is_free:
            return
        self.trace.append(label)
        self.theirs.release()
        self.mine.acquire()
        if self.is_doomed:
            raise Crash


class Actor:
    """One process: does one operation at a time, on a thread that runs only while the scheduler waits for it."""

    def __init__(self, simulation: Simulation, prefix: str) -> None:
        self.baton = Baton()
        self.world = World(
            Line(simulation.broker, "broker", self.baton),  # type: ignore[arg-type]
            Line(simulation.ledger, "ledger", self.baton),  # type: ignore[arg-type]
            simulation.clock,
            prefix,
        )
        self.baton.is_free = False
        self.is_busy = False
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def begin(self, operation: Callable[[World], object]) -> None:
        self.is_busy = True
        self._thread = threading.Thread(target=self._run, args=(operation,))
        self._thread.start()
        self.baton.theirs.acquire()

    def go_on(self, *, doomed: bool = False) -> None:
        """Until the next step, or the end."""
        self.baton.is_doomed = doomed
        self.baton.mine.release()
        self.baton.theirs.acquire()

    def _run(self, operation: Callable[[World], object]) -> None:
        try:
            operation(self.world)
        except Crash:
            pass
        except BaseException as exc:  # noqa: BLE001 - raised by the scheduler
            self.error = exc
        finally:
            self.is_busy = False
            self.baton.theirs.release()

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()


@dataclass
class Known:
    """What the outside knows of one name in one queue.

    Attributes:
        owed: an add succeeded, and nothing since may have removed the task.
        eta_us: the smallest eta it may have by now.
        gone: since this step of the simulation it must not be given out.
        leased_until_us: end of the lease that a worker holds, of a task with this content.
        served: how often it was executed with success, or leased.
    """

    owed: bool = False
    added: bool = False
    eta_us: int = 0
    gone: int | None = None
    leased_until_us: int = 0
    content: Content | None = None
    served: int = 0
    events: list[str] = field(default_factory=list)


class ViolationError(AssertionError):
    """A promise was broken."""


class Simulation:
    """One run.

    Args:
        seed: decides everything.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = StillClock()
        self.broker = Rabbit(self.clock, lambda chance: self.random.random() < chance)
        self.ledger = registry.open_ledger("sqlite://", clock=self.clock)
        self.ledger.migrate()
        self.step = 0
        self.known: dict[tuple[str, str], Known] = {}
        self._names = 0
        self.is_settling = False
        self._purges: dict[str, int] = {}  # when the last one of a queue ended; far ahead while one runs
        self._actors = [Actor(self, f"p{number}-") for number in range(PROCESSES)]
        self._born = PROCESSES

    def run(self, steps: int) -> None:
        try:
            while self.step < steps or any(actor.is_busy for actor in self._actors):
                self._advance(begin=self.step < steps)
            self._settle()
        finally:
            for actor in self._actors:
                while actor.is_busy:
                    actor.go_on(doomed=True)
                actor.join()
            self.ledger.close()

    def _advance(self, *, begin: bool) -> None:
        self.step += 1
        self.clock.us += 1  # or a purge would void what another process adds in the same microsecond
        place = self.random.randrange(PROCESSES)
        actor = self._actors[place]
        if not actor.is_busy:
            if begin:
                actor.join()
                actor.begin(self._operation())
        elif self.random.random() < 0.02:
            self._crash(place)
        else:
            actor.go_on()
        if actor.error is not None:
            raise actor.error
        if begin and self.random.random() < 0.04:
            self._let_time_pass()

    def _crash(self, place: int) -> None:
        actor = self._actors[place]
        while actor.is_busy:
            actor.go_on(doomed=True)
        actor.join()
        self.broker.vanish(list(actor.baton.in_hand.values()))
        self._born += 1
        self._actors[place] = Actor(self, f"p{self._born}-")

    def _let_time_pass(self) -> None:
        pause_us = round(self.random.choice(PAUSES_S) * S)
        if self.random.random() < 0.3:
            self.broker.delay_all(pause_us)
        self.clock.us += pause_us

    # ------------------------------------------------------------------------------------------ operations

    def _operation(self) -> Callable[[World], object]:
        queue = self.random.choice(("push", "pull"))
        serve = self._dispatch if queue == "push" else self._lease
        steer = self._run_now if queue == "push" else self._modify
        weighted = [(self._add, 6), (serve, 6), (steer, 2), (self._delete, 2), (self._purge, 0.3), (self._sweep, 2)]
        (operation,) = self.random.choices([one for one, _ in weighted], [weight for _, weight in weighted])
        return lambda world: operation(world, queue)

    def _of(self, queue: str, name: str) -> Known:
        return self.known.setdefault((queue, name), Known())

    def _add(self, world: World, queue: str) -> None:
        self._names += 1
        name = f"{self.random.choice(NAMES)}{self._names // 8}" if self.random.random() < 0.6 else ""
        eta_us = self.clock.us + round(self.random.choice(WAITS_S) * S)
        tag = "x" if queue == "pull" and self.random.random() < 0.2 else None
        task = push_task(name, eta_us=eta_us) if queue == "push" else pull_task(name, eta_us=eta_us, tag=tag)
        began = self.step
        (added,) = world.add(task, queue=queue)
        if added.error is None:
            assert added.name is not None
            known = self._of(queue, added.name)
            if known.added and name:
                raise ViolationError(f"{name} was added twice: {known.events}")
            known.added = True
            known.eta_us = eta_us
            known.owed = (
                not any(entry.startswith("remove") for entry in known.events) and self._purges.get(queue, -1) < began
            )
            known.events.append(f"{self.step} added, due {eta_us}")
            known.gone = None if known.gone is not None and known.gone < began else known.gone

    def _dispatch(self, world: World, queue: str) -> None:
        config = world.runtime.catalog.get(queue)
        deliverer = Deliverer(world.runtime)
        began = self.step
        deliveries = world.broker.get(Kind.PUSH, queue, self.random.choice((1, 3, 10)))
        try:
            attempts = deliverer.admit(config, deliveries)
        except errors.TransientError:
            world.broker.restore(deliveries)
            return
        ended = []
        for attempt in attempts:
            known = self._of(queue, attempt.copy.name)
            self._given_out(known, attempt.copy, began)
            status = 200 if self.is_settling or self.random.random() < 0.6 else 500
            known.served += status == 200
            ended.append((attempt, Outcome(status, "", self.clock.us, self.clock.us)))
        for settled in deliverer.settle(config, ended):
            known = self._of(queue, settled.attempt.copy.name)
            if settled.error is not None:
                world.broker.restore([settled.attempt.delivery])
            elif settled.outcome.success and settled.attempt.copy.content.named:
                known.gone = self.step
                known.events.append(f"{self.step} done")

    def _given_out(self, known: Known, copy: Copy, began: int) -> None:
        known.events.append(f"{self.step} given out (asked at {began})")
        if known.gone is not None and known.gone < began:
            raise ViolationError(f"{copy.name} was given out after it was gone at {known.gone}: {known.events}")
        if copy.eta_us > self.clock.us and copy.content.kind is Kind.PUSH:
            raise ViolationError(f"{copy.name} ran before its eta: {known.events}")

    def _lease(self, world: World, queue: str) -> None:
        began = self.step
        seconds = self.random.choice((0.5, 30.0, 2000.0))
        try:
            leased = world.lease(self.random.choice((1, 3, 10)), seconds, queue)
        except errors.TransientError:
            return
        for copy in leased:
            known = self._of(queue, copy.name)
            self._given_out(known, copy, began)
            known.served += 1
            if copy.eta_us <= self.clock.us:
                continue  # the call took so long that the lease is over already
            if known.leased_until_us > self.clock.us:
                raise ViolationError(f"{copy.name} was leased by two: {known.events}")
            known.leased_until_us, known.content = copy.eta_us, copy.content
            known.events.append(f"{self.step} leased until {copy.eta_us}")
        if leased and self.random.random() < 0.5:
            self._remove(world, queue, [copy.name for copy in leased])

    def _modify(self, world: World, queue: str) -> None:
        leased = [(name, known) for (where, name), known in self.known.items() if where == queue]
        held = [(name, known) for name, known in leased if known.leased_until_us > self.clock.us]
        if not held:
            return
        name, known = self.random.choice(held)
        until_us, known.leased_until_us = known.leased_until_us, 0
        content = known.content or pull_task(name).content
        try:
            seconds = self.random.choice((0.0, 5.0, 3000.0))
            eta_us = world.runtime.leaser.modify(queue, name, until_us, round(seconds * S), content)
        except errors.Error as exc:
            known.events.append(f"{self.step} not changed: {exc!r}")
        else:
            known.events.append(f"{self.step} changed to {eta_us}")

    def _delete(self, world: World, queue: str) -> None:
        names = [name for where, name in self.known if where == queue]
        if names:
            self._remove(world, queue, self.random.sample(names, min(len(names), 2)))

    def _remove(self, world: World, queue: str, names: list[str]) -> None:
        for name in names:
            known = self._of(queue, name)
            known.owed = False
            known.leased_until_us = 0
            known.events.append(f"remove {self.step}")
        try:
            world.delete(*names, queue=queue)
        except errors.TransientError:
            return
        for name in names:
            self._of(queue, name).gone = self.step

    def _purge(self, world: World, queue: str) -> None:
        before = [known for (where, _), known in self.known.items() if where == queue and known.added]
        for known in before:
            known.owed = False
            known.leased_until_us = 0
            known.events.append(f"remove {self.step} by purge")
        self._purges[queue] = 1 << 40  # an add under way may or may not be concerned
        try:
            world.runtime.remover.purge(queue)
        except errors.TransientError:
            return
        finally:
            self._purges[queue] = self.step
        for known in before:
            known.gone = self.step

    def _run_now(self, world: World, queue: str) -> None:
        names = [name for where, name in self.known if where == queue]
        if names:
            name = self.random.choice(names)
            try:
                world.runtime.browser.run_now(queue, name)
            except errors.Error as exc:
                self._of(queue, name).events.append(f"{self.step} not run now: {exc!r}")
            else:
                self._of(queue, name).events.append(f"{self.step} run now")

    def _sweep(self, world: World, _: str) -> None:
        try:
            world.runtime.housekeeper.run_once()
        except errors.TransientError:
            return

    # ------------------------------------------------------------------------------------------ the end

    def _settle(self) -> None:
        """Every process ends, another one does what is left; then nothing that is owed may be missing."""
        for actor in self._actors:
            self.broker.vanish(list(actor.baton.in_hand.values()))
        self.broker._happens = lambda _: False
        self.is_settling = True
        survivor = Actor(self, "z-")
        survivor.baton.is_free = True
        world = survivor.world
        for _ in range(6):
            self.clock.us += 20_000 * S
            world.runtime.housekeeper.run_once()
            for _ in range(40):
                self.step += 1
                self._dispatch(world, "push")
                self._lease(world, "pull")
        self.missing()

    def missing(self) -> None:
        for (queue, name), known in self.known.items():
            if known.owed and not known.served:
                raise ViolationError(f"{name} of {queue} is lost: {known.events}")


def run(seed: int, steps: int = 400) -> Any:
    simulation = Simulation(seed)
    try:
        simulation.run(steps)
    except BaseException as exc:
        exc.add_note(f"seed {seed}")
        raise
    return simulation
