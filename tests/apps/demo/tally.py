"""The shop's journal, held against the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.apps.demo.plan import Expected
from tests.apps.shop.journal import Entry


@dataclass(frozen=True, slots=True)
class Row:
    """One kind's figures, of what the handlers wrote.

    Attributes:
        expected: tasks there must be.
        seen: tasks that ran at least once.
        succeeded, given_up: tasks that ended so.
        retried: failed runs that were followed by another run.
        again: runs beyond the expected ones, which at-least-once delivery allows.
        wrong: tasks that have not ended as they should.
    """

    kind: str
    expected: int
    seen: int
    succeeded: int
    given_up: int
    retried: int
    again: int
    wrong: int


@dataclass
class _Runs:
    outcomes: list[str] = field(default_factory=list)
    early: bool = False


class Tally:
    """Counts journal entries as they come in."""

    def __init__(self, expected: Iterable[Expected]) -> None:
        self._expected = {(task.kind, task.item): task for task in expected}
        self._runs: dict[tuple[str, str], _Runs] = {}

    def count(self, entry: Entry) -> None:
        """Take in one line of the journal."""
        runs = self._runs.setdefault((entry.kind, entry.item), _Runs())
        runs.outcomes.append(entry.outcome)
        runs.early = runs.early or entry.at < entry.due

    def row(self, kind: str) -> Row:
        """The figures of one kind."""
        expected = [task for task in self._expected.values() if task.kind == kind]
        seen = {key: runs.outcomes for key, runs in self._runs.items() if key[0] == kind}
        known = {key: outcomes for key, outcomes in seen.items() if key in self._expected}
        ends = Counter(runs[-1] for key, runs in known.items() if len(runs) >= self._expected[key].runs)
        return Row(
            kind=kind,
            expected=len(expected),
            seen=len(seen),
            succeeded=ends["done"],
            given_up=ends["declined"],
            retried=sum(len(outcomes) - 1 for outcomes in seen.values()),
            again=sum(max(0, len(outcomes) - self._expected[key].runs) for key, outcomes in known.items()),
            wrong=sum(1 for task in expected if self._fault(task)) + len(seen) - len(known),
        )

    def complete(self) -> bool:
        """Whether every expected task has ended as it should."""
        return not any(self._fault(task) for task in self._expected.values())

    def faults(self) -> list[str]:
        """One line for each task that did not end as it should, or that nobody asked for."""
        faults = [text for task in self._expected.values() if (text := self._fault(task))]
        unasked = [key for key in self._runs if key not in self._expected]
        return faults + [f"{kind} {item}: ran, but nobody asked for it" for kind, item in unasked]

    def _fault(self, task: Expected) -> str:
        name, runs = f"{task.kind} {task.item}", self._runs.get((task.kind, task.item))
        if runs is None:
            return f"{name}: never ran"
        if runs.early:
            return f"{name}: ran before its eta"
        count = len(runs.outcomes)
        overdone = task.outcome == "declined" and count > task.runs
        if runs.outcomes[-1] != task.outcome or count < task.runs or overdone:
            return f"{name}: {', '.join(runs.outcomes)}; expected {task.runs} runs ending in {task.outcome}"
        return ""
