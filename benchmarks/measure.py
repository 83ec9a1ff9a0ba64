"""What a benchmark returns, and how the table of all of them is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


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


def median_rate(count: int, work: Callable[[], object], rounds: int = 3) -> float:
    """The median of several rounds of `rate`."""
    return sorted(rate(count, work) for _ in range(rounds))[rounds // 2]


def at_least(name: str, value: float, floor: float, peer: str = "", peer_value: float | None = None) -> Figure:
    """A throughput with a floor, beside a peer's."""
    compared = f"{peer} {peer_value:,.0f}/s" if peer_value is not None else peer
    ratio = value / peer_value if peer_value else None
    return Figure(name, value, "tasks/s", f">= {floor:,.0f}", value >= floor, compared, ratio)


def print_table(figures: Iterable[Figure]) -> bool:
    """Print the figures as a Markdown table; whether every target was met."""
    print("| measured | figure | target | met | compared to (same run) | ratio |")
    print("|---|---|---|---|---|---|")
    all_met = True
    for figure in figures:
        met = {None: "", True: "yes", False: "NO"}[figure.met]
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}x"
        value = f"{figure.value:,.0f}" if abs(figure.value) >= 100 else f"{figure.value:.2f}"
        print(
            f"| {figure.name} | {value} {figure.unit} | {figure.target} | {met} | {figure.peer} | {ratio} |", flush=True
        )
        all_met = all_met and figure.met is not False
    return all_met
