"""The composition root: one lazily built, replaceable `Runtime` per process."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from gae_broker import registry
from gae_broker.application_configuration import Found, provide
from gae_broker.domain.broker_options import Declaring
from gae_broker.domain.queue import QueueFile
from gae_broker.engine.attendant import Attendant
from gae_broker.engine.browsing import TaskBrowser
from gae_broker.engine.catalog import Catalog
from gae_broker.engine.claim_check import ClaimCheck
from gae_broker.engine.control import Controller
from gae_broker.engine.enqueue import Enqueuer
from gae_broker.engine.housekeeping import Housekeeper
from gae_broker.engine.leasing import Leaser
from gae_broker.engine.names import Namer, RandomNamer
from gae_broker.engine.notes import Notes
from gae_broker.engine.redrive import Redriver
from gae_broker.engine.removal import Remover
from gae_broker.engine.stamps import Stamps
from gae_broker.engine.statistics import Statistician
from gae_broker.engine.storage import StorageGuard
from gae_broker.engine.succession import Mover
from gae_broker.ports import Broker, Clock, Ledger
from gae_broker.settings import Settings

_ASYNC_THREADS = 16


class SystemClock:
    """The host's clock."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


class Runtime:
    """Everything the use cases need, wired to one broker and one ledger; safe to use from several threads.

    Args:
        settings: what was configured.
        broker, ledger: opened adapters; `close` closes them.
        clock: the time; the host's by default.
        namer: chooses names; at random by default.
        queues: the queues, or a catalog of its own kind, in place of the settings' queue.yaml.
        all_valid: treat every queue name as a push queue's (the test stub's ``_all_queues_valid``).

    Raises:
        QueueYamlError: queue.yaml cannot be used.
        TransientError: the broker did not answer.
    """

    def __init__(
        self,
        settings: Settings,
        broker: Broker,
        ledger: Ledger,
        *,
        clock: Clock | None = None,
        namer: Namer | None = None,
        queues: QueueFile | Catalog | None = None,
        all_valid: bool = False,
    ) -> None:
        self.settings = settings
        self.broker = broker
        self.ledger = ledger
        self.clock: Clock = clock or SystemClock()
        self.names: Namer = namer or RandomNamer()
        self.catalog = (
            queues
            if isinstance(queues, Catalog)
            else Catalog(queues or settings.queue_yaml, all_valid=all_valid, declare=broker.declare)
        )
        broker.declare(self.catalog.queues())
        self.notes = Notes(ledger, self.clock, counts=not broker.sees_all)
        self._attendant: Attendant | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._wire()

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        clock: Clock | None = None,
        namer: Namer | None = None,
        queues: QueueFile | Catalog | None = None,
        all_valid: bool = False,
    ) -> Runtime:
        """Open the configured adapters, bring the ledger's schema up to date, and declare the queues.

        With ``declaring=verify`` neither tables nor queues are made: what is missing is an error that says so.

        Raises:
            ConfigurationError: a setting or queue.yaml cannot be used.
            StorageError: a database file is damaged, or of another version.
            TransientError: broker or ledger cannot be reached.
        """
        clock = clock or SystemClock()
        with contextlib.ExitStack() as opened:
            broker = registry.open_broker(settings.url, clock=clock, options=settings.broker_options)
            opened.callback(broker.close)
            ledger = registry.open_ledger(settings.ledger_url, clock=clock)
            opened.callback(ledger.close)
            if settings.broker_options.declaring is Declaring.VERIFY:
                ledger.verify()
            else:
                ledger.migrate()
            runtime = cls(settings, broker, ledger, clock=clock, namer=namer, queues=queues, all_valid=all_valid)
            runtime._attendant = Attendant(runtime.notes, runtime.housekeeper)
            opened.pop_all()
        return runtime

    def _wire(self) -> None:
        mover = Mover(self.broker, self.ledger, self.clock, self.settings.publish_deadline_s)
        stamps = Stamps(self.clock)
        self.enqueuer = Enqueuer(
            broker=self.broker,
            ledger=self.ledger,
            catalog=self.catalog,
            stamps=stamps,
            namer=self.names,
            storage=StorageGuard(self.catalog, self.broker, self.ledger),
            notes=self.notes,
            settings=self.settings,
        )
        self.leaser = Leaser(
            broker=self.broker,
            ledger=self.ledger,
            catalog=self.catalog,
            clock=self.clock,
            namer=self.names,
            mover=mover,
            notes=self.notes,
            settings=self.settings,
        )
        self.remover = Remover(
            browser=self.broker,
            ledger=self.ledger,
            catalog=self.catalog,
            clock=self.clock,
            stamps=stamps,
            mover=mover,
            settings=self.settings,
        )
        self.browser = TaskBrowser(
            browser=self.broker,
            ledger=self.ledger,
            catalog=self.catalog,
            clock=self.clock,
            namer=self.names,
            mover=mover,
        )
        self.redriver = Redriver(
            broker=self.broker,
            ledger=self.ledger,
            catalog=self.catalog,
            clock=self.clock,
            stamps=stamps,
            enqueuer=self.enqueuer,
            mover=mover,
        )
        self.statistician = Statistician(self.broker, self.ledger, self.catalog, self.clock, self.notes)
        self.controller = Controller(self.catalog, self.ledger)
        self.payloads = ClaimCheck(self.ledger, self.clock, self.names)
        self.housekeeper = Housekeeper(self.broker, self.ledger, self.clock, self.catalog, self.notes, self.settings)

    @property
    def executor(self) -> ThreadPoolExecutor:
        """The threads that ``*_async`` calls run on; started with the first one."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(_ASYNC_THREADS, thread_name_prefix="gae-broker")
            return self._executor

    def close(self) -> None:
        """Let running calls end, then release everything. Idempotent."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True)
        if self._attendant is not None:
            self._attendant.close()
        self.broker.close()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Slot:
    """The process's runtime."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.runtime: Runtime | None = None
        self.settings: Settings | None = None
        self.source: Callable[[], Runtime | None] | None = None
        self.inherited: list[Runtime] = []
        self.is_given = False
        self.given: Settings | None = None
        self.watches_forks = False

    def watch_forks(self) -> None:
        if not self.watches_forks:
            self.watches_forks = True
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """In a forked child: its connections and locks are the parent's, so nothing of them may be used or closed."""
        self.lock = threading.RLock()
        if self.runtime is not None:
            self.inherited.append(self.runtime)  # kept, or its destructors would close the parent's connections
            self.given = self.runtime.settings if self.is_given else None
        self.runtime = None


_slot = _Slot()


def current() -> Runtime:
    """The process's runtime, opened from `Settings.load` where none is in use.

    A forked child opens its own; where its parent used a given one (`use`), from the settings of that.

    Raises:
        ConfigurationError: a setting or queue.yaml cannot be used.
        StorageError: a database file is damaged, or of another version.
        TransientError: broker or ledger cannot be reached; the next call tries again.
    """
    runtime = _chosen()
    if runtime is not None:
        return runtime
    with _slot.lock:
        if _slot.runtime is None:
            _slot.watch_forks()
            _slot.runtime = Runtime.open(_slot.given or Settings.load())
        return _slot.runtime


def now_us() -> int:
    """Microseconds since the epoch by the process's runtime, by the host's clock while there is none; opens none."""
    runtime = _chosen()
    return SystemClock().now_us() if runtime is None else runtime.clock.now_us()


def settings() -> Settings:
    """The settings of the process's runtime; while there is none, those that `Settings.load` found first; opens none.

    Raises:
        SettingsError: a value is malformed or a key unknown.
    """
    runtime = _slot.runtime
    if runtime is not None:
        return runtime.settings
    if _slot.settings is None:
        _slot.settings = Settings.load()
    return _slot.settings


def configure(find: Callable[[], Found] | None) -> None:
    """Take settings from the application's own configuration too (`application_configuration.provide`).

    A runtime that is open keeps its own.
    """
    provide(find)
    _slot.settings = None


def _chosen() -> Runtime | None:
    """The runtime that the source names, or else the process's, if there is one."""
    named = None if _slot.source is None else _slot.source()
    return _slot.runtime if named is None else named


def follow(source: Callable[[], Runtime | None] | None) -> None:
    """Ask ``source`` at every call which runtime to use; ``None`` of it means the process's.

    For hosts that have a registry of their own in which a task queue can be replaced, as App Engine's API proxy.
    """
    _slot.source = source


def use(runtime: Runtime | None) -> Runtime | None:
    """Make this the process's runtime, for all its threads; the previous one, which stays open."""
    with _slot.lock:
        _slot.watch_forks()
        previous, _slot.runtime = _slot.runtime, runtime
        _slot.is_given, _slot.given = runtime is not None, None
        _slot.settings = None
        return previous


@contextlib.contextmanager
def using(runtime: Runtime) -> Iterator[Runtime]:
    """Use a runtime within a ``with`` block, and the previous one after it; closes neither."""
    previous = use(runtime)
    try:
        yield runtime
    finally:
        use(previous)


def reset() -> None:
    """Close the process's runtime; the next call opens another one."""
    runtime = use(None)
    if runtime is not None:
        runtime.close()
