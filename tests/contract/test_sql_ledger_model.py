"""The SQL ledger against a model of it: random calls, and after each the answers and all facts agree.

The model says what the ports' docstrings say, one task at a time, in dictionaries; it shares no code with the ledger.
"""

import itertools
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Claim, ClaimResult, Deletion, Fact, Held, Move, State
from gae_broker.testing.contracts.ledger_bench import FixedClock
from gae_broker_adapters.ledgers.sql import open_ledger

QUEUE = "model"
NAMES = ("a", "b", "c")
TAGS = (None, None, "red", "blue")
TAKEOVER = 30
DUES = (-1, 0, 1, 20 * 86_400_000_000, 86_400_000_000, -2)
WAITS = (1, TAKEOVER, TAKEOVER, 2 * 3_600_000_000, 8 * 86_400_000_000, 40 * 86_400_000_000)
DAY = 86_400_000_000


@dataclass(frozen=True)
class Task:
    state: State
    copy: str | None
    eta: int
    leases: int
    named: bool
    changed: int
    created: int
    until: int = 0
    message: Message | None = None
    tag: str | None = None

    def fact(self) -> Fact:
        held = self.tag is not None
        copy = None if held else self.copy
        return Fact(self.state, copy, self.eta, self.leases, self.until, self.changed, held)

    @property
    def unfinished(self) -> bool:
        return self.state in {State.CLAIMED, State.LIVE}


class Model:
    """What a ledger is, and the ledger beside it."""

    def __init__(self) -> None:
        self.ledger = open_ledger("sqlite://", clock=FixedClock())
        self.ledger.migrate()
        self.tasks: dict[str, Task] = {}
        self.due: dict[str, dict[str, int]] = {}  # of every copy that was not known not to be stored, by name
        self.now = 1_000
        self.numbers = itertools.count()

    # -------------------------------------------------------------------------------------- calls

    def claim(self, names: list[str], number: int) -> None:
        tag = TAGS[number % len(TAGS)]
        claims = []
        expected = []
        for name in names:
            message = Message(f"copy-{next(self.numbers)}", Kind.PULL, QUEUE, name, self.now + DUES[number], "{}", b"x")
            claim = Claim(message, named=number % 3 > 0, created_us=self.now, tag=tag)
            claims.append(claim)
            expected.append(self._claim(claim))
        outcomes = self.ledger.claim(QUEUE, claims, self.now, self.now - TAKEOVER)
        assert [(outcome.result, outcome.fact) for outcome in outcomes] == expected

    def _claim(self, claim: Claim) -> tuple[ClaimResult, Fact | None]:
        message = claim.message
        task = self.tasks.get(message.key)
        if task is not None:
            if task.state is State.LIVE:
                return ClaimResult.EXISTS, task.fact()
            if task.state is State.CLAIMED and task.changed > self.now - TAKEOVER:
                return ClaimResult.PENDING, task.fact()
            if not task.unfinished and task.until > self.now:
                return ClaimResult.TOMBSTONED, task.fact()
        state = State.LIVE if claim.tag else State.CLAIMED
        fresh = Task(state, message.copy_id, message.due_us, 0, claim.named, self.now, self.now, 0, message, claim.tag)
        self.tasks[message.key] = fresh
        if not claim.tag:
            self.due.setdefault(message.key, {})[message.copy_id] = message.due_us
        return ClaimResult.GRANTED, None

    def confirm(self, names: list[str], number: int) -> None:
        copies = [(name, self._copy(name, number)) for name in names]
        self.ledger.confirm(QUEUE, copies, self.now)
        for name, copy in copies:
            task = self.tasks.get(name)
            if task and task.state is State.CLAIMED and task.copy == copy:
                self.tasks[name] = replace(task, state=State.LIVE, changed=self.now, message=None)

    def release(self, names: list[str], number: int) -> None:
        copies = [(name, self._copy(name, number)) for name in names]
        self.ledger.release(QUEUE, copies)
        for name, copy in copies:
            task = self.tasks.get(name)
            if task and task.state is State.CLAIMED and task.copy == copy:
                del self.due[name][copy]
                self._vacate(name)

    def _vacate(self, name: str) -> None:
        """Whether a row stays, and how long, is the ledger's business: as long as it suppresses other copies."""
        fact = self.ledger.facts(QUEUE, [name]).get(name)
        if fact is None:
            assert not self.due.get(name), "copies of a former task would run"
            del self.tasks[name]
        else:
            task = self.tasks[name]
            self.tasks[name] = replace(task, state=State.DELETED, until=0, message=None, tag=None)

    def advance(self, names: list[str], number: int) -> None:
        moves = []
        expected = []
        for place, name in enumerate(names):
            eta = self.now + (number - 1) * DAY
            want = None if number % 2 else self.tasks[name].eta if name in self.tasks and place % 2 == 0 else 77
            copy = f"copy-{next(self.numbers)}"
            move = Move(name, self._copy(name, number), copy, eta, number, number > 2, self.now, want)
            moves.append(move)
            expected.append(self._advance(move))
        assert self.ledger.advance(QUEUE, moves, self.now) == expected

    def _advance(self, move: Move) -> bool:
        task = self.tasks.get(move.name)
        if task is None:
            task = Task(State.LIVE, move.old_copy, 0, 0, move.named, 0, move.created_us)
        elif not self._may_move(task, move):
            return False
        self.tasks[move.name] = replace(
            task,
            state=State.LIVE,
            copy=move.new_copy,
            eta=move.eta_us,
            leases=move.leases,
            changed=self.now,
            message=None,
        )
        self.due.setdefault(move.name, {})[move.new_copy] = move.eta_us
        return True

    def _may_move(self, task: Task, move: Move) -> bool:
        expected = move.expected_eta_us in {None, task.eta}
        return task.unfinished and task.tag is None and task.copy == move.old_copy and expected

    def finish(self, names: list[str], number: int) -> None:
        copies = [(name, self._copy(name, number)) for name in names]
        until = self.now + number * 20
        self.ledger.finish(QUEUE, copies, self.now, until)
        for name, copy in copies:
            task = self.tasks.get(name)
            if task and task.unfinished and task.tag is None and task.copy == copy:
                self._end(name, State.DONE, until if task.named else 0)

    def _end(self, name: str, state: State, until: int) -> None:
        task = self.tasks[name]
        self.tasks[name] = replace(task, state=state, changed=self.now, until=until, message=None, tag=None)

    def delete(self, names: list[str], number: int) -> None:
        until, make = self.now + number * 20, number % 2 == 1
        names = list(dict.fromkeys(names))
        outcomes = self.ledger.delete(QUEUE, names, self.now, until, make)
        expected = []
        for name in names:
            task = self.tasks.get(name)
            if task is None:
                expected.append(Deletion.UNKNOWN)
                if make:
                    self.tasks[name] = Task(State.DELETED, None, 0, 0, False, self.now, 0)
                    self.due.setdefault(name, {})["unknown"] = self.now + 37 * DAY
            elif not task.unfinished:
                expected.append(Deletion.GONE)
            else:
                expected.append(Deletion.DELETED)
                if task.tag is not None and not task.named:
                    self._vacate(name)
                else:
                    self._end(name, State.DELETED, until if task.named else 0)
        assert outcomes == expected

    def lease(self, names: list[str], number: int) -> None:
        tag = (None, "red", "blue")[number % 3]
        ready = self._ready(tag)[: len(names)]
        expected = []
        for name, task in ready:
            leased = replace(task, eta=self.now + number, leases=task.leases + 1, changed=self.now)
            self.tasks[name] = leased
            expected.append(Held(task.message, task.tag, leased.eta, leased.leases, task.created, task.named))
        assert self.ledger.lease_held(QUEUE, tag, len(names), self.now, self.now + number) == expected

    def move(self, names: list[str], number: int) -> None:
        task = self.tasks.get(names[0])
        expected_eta = task.eta if task and number % 4 else 77
        moved = bool(task and task.tag is not None and task.eta == expected_eta)
        assert self.ledger.move_held(QUEUE, names[0], expected_eta, self.now + number, self.now) is moved
        if moved:
            self.tasks[names[0]] = replace(task, eta=self.now + number, changed=self.now)

    def purge(self, _: list[str], number: int) -> None:
        mark = self.now - number * 10
        until = self.now + 20
        doomed = [name for name, task in self.tasks.items() if task.unfinished and task.created <= mark]
        assert self.ledger.purge(QUEUE, mark, self.now, until) == len(doomed)
        for name in doomed:
            task = self.tasks[name]
            if task.tag is not None and not task.named:
                self._vacate(name)
            else:
                self._end(name, State.DELETED, until if task.named else 0)
            if name in self.tasks:
                self.tasks[name] = replace(self.tasks[name], changed=self.ledger.facts(QUEUE, [name])[name].changed_us)

    def prune(self, _: list[str], __: int) -> None:
        """What went must have been needless; that it goes at all, the contract tests."""
        self.ledger.alive(self.now)
        self.ledger.seen({QUEUE: self.now})
        self.ledger.prune(self.now, 100)
        there = self.ledger.facts(QUEUE, NAMES)
        for name in set(self.tasks) - set(there):
            task = self.tasks.pop(name)
            assert not task.unfinished
            assert task.until <= self.now
            assert all(due <= self.now for due in self.due.pop(name, {}).values()), "a copy would run"

    def wait(self, _: list[str], number: int) -> None:
        self.now += WAITS[number]

    # -------------------------------------------------------------------------------------- looks

    def compare(self) -> None:
        expected = {name: task.fact() for name, task in self.tasks.items()}
        assert self.ledger.facts(QUEUE, NAMES) == expected
        claims = self.ledger.stale_claims(self.now + 1, 100)
        assert {c.message.key: c.message for c in claims} == {
            name: task.message for name, task in self.tasks.items() if task.state is State.CLAIMED
        }
        held = [(task.eta, name) for name, task in self.tasks.items() if task.tag is not None]
        listed = self.ledger.held(QUEUE, 100, None)
        assert [(h.eta_us, h.message.key) for h in listed] == sorted(held)
        assert self.ledger.held_depth(QUEUE) == (len(held), min(held)[0] if held else None)
        ready = [(task.eta, name, task.tag) for name, task in self._ready(None)]
        assert self.ledger.held_ready(QUEUE, 100, self.now) == ready

    def _ready(self, tag: str | None) -> list[tuple[str, Task]]:
        held = [(name, task) for name, task in self.tasks.items() if task.tag is not None and task.eta < self.now]
        wanted = [(name, task) for name, task in held if tag in {None, task.tag}]
        return sorted(wanted, key=lambda item: (item[1].eta, item[0]))

    def _copy(self, name: str, number: int) -> str:
        task = self.tasks.get(name)
        return task.copy if task and task.copy and number else "copy-unknown"


CALLS = (
    Model.claim,
    Model.claim,
    Model.confirm,
    Model.release,
    Model.advance,
    Model.finish,
    Model.delete,
    Model.lease,
    Model.move,
    Model.purge,
    Model.prune,
    Model.wait,
)
NAME_LISTS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CALLS), NAME_LISTS, st.integers(0, 5)), min_size=15, max_size=50))
def test_random_calls_agree_with_the_model(steps) -> None:
    model = Model()
    try:
        for call, names, number in steps:
            call(model, names, number)
            model.compare()
    finally:
        model.ledger.close()
