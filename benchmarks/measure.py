"""What a benchmark returns, how contestants are measured side by side, and how the table of all is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


class Unavailable(Exception):  # noqa: N818 - nothing failed: a server that a benchmark needs is not there
    """A benchmark cannot run here; the text says what is missing and how to have it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured.
        value: the measured value, in ``unit``.
        unit: ``tasks/s``, ``%`` ...
        target: what the project promises, as text; empty where it promises nothing.
        met: whether the target is met; ``None`` where there is none.
        peer: what it is compared to, and that figure, measured in the same run.
        ratio: value over the peer's, ``None`` where a ratio says nothing.
    """

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None
    peer: str = ""
    ratio: float | None = None


def rate(count: int, work: Callable[[], object]) -> float:
    """Items per second of one piece of work over ``count`` items."""
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def median(values: Iterable[float]) -> float:
    """The middle one; of an even number the higher of the two."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def quantile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def median_rate(count: int, work: Callable[[], object], rounds: int = 3) -> float:
    """The median of several rounds of `rate`."""
    return median(rate(count, work) for _ in range(rounds))


Rounds = Mapping[str, Sequence[float]]
"""Of each contestant its rate in every round."""


def side_by_side(contestants: Mapping[str, Callable[[], float]], rounds: int = 3) -> Rounds:
    """Measure contestants in turns, so that what else the machine does meets all alike; a first turn is thrown away.

    Args:
        contestants: by name; each runs once and returns its rate.
        rounds: how many turns count.
    """
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            measured = run()
            if number:
                results[name].append(measured)
    return results


def ratio(ours: Sequence[float], peers: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return median(our / peer for our, peer in zip(ours, peers, strict=True))


def at_least(name: str, value: float, floor: float, peer: str = "", peer_value: float | None = None) -> Figure:
    """A throughput with a floor, beside a peer's."""
    compared = f"{peer} {peer_value:,.0f}/s" if peer_value is not None else peer
    quotient = value / peer_value if peer_value else None
    return Figure(name, value, "tasks/s", f">= {floor:,.0f}", value >= floor, compared, quotient)


def at_most(name: str, value: float, unit: str, ceiling: float, peer: str = "") -> Figure:
    """A figure that should be small."""
    return Figure(name, value, unit, f"<= {ceiling:g}", value <= ceiling, peer)


def against(name: str, results: Rounds, ours: str, peer: str, floor: float | None = None) -> Figure:
    """A throughput, judged by its ratio to a peer's; without ``floor`` it is only shown."""
    quotient = ratio(results[ours], results[peer])
    target, met = ("", None) if floor is None else (f">= {floor:g}x", quotient >= floor)
    compared = f"{peer} {median(results[peer]):,.0f}/s"
    return Figure(name, median(results[ours]), "tasks/s", target, met, compared, quotient)


def print_table(figures: Iterable[Figure]) -> bool:
    """Print the figures as a Markdown table; whether every target was met."""
    print("| measured | figure | target | met | compared to (same run) | ratio |")
    print("|---|---|---|---|---|---|")
    all_met = True
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        quotient = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
        value = f"{figure.value:,.0f}" if abs(figure.value) >= 100 else f"{figure.value:.2f}"
        print(
            f"| {figure.name} | {value} {figure.unit} | {figure.target} | {met} | {figure.peer} | {quotient} |",
            flush=True,
        )
        all_met = all_met and figure.met is not False
    return all_met
