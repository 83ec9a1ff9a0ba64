"""``python -m benchmarks [NAME ...]``: run the benchmarks, print one table.

Exit status 1 where a target is missed, 2 for an unknown name, 3 where a server that is needed is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks import embedded, rates
from benchmarks.measure import Figure, Unavailable, print_table
from benchmarks.rabbitmq import adding, delaying, dispatch, leasing, memory, pacing

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "add": embedded.add,
    "lease": embedded.lease_and_delete,
    "dispatch": embedded.dispatch,
    "rate": rates.kept,
    "flat": embedded.flat,
    "rabbitmq-add": adding.batches,
    "rabbitmq-single": adding.singles,
    "rabbitmq-delayed": delaying.adds,
    "rabbitmq-late": delaying.lateness,
    "rabbitmq-dispatch": dispatch.dispatch,
    "rabbitmq-lease": leasing.lease,
    "rabbitmq-tags": leasing.tags,
    "rabbitmq-rate": pacing.rates,
    "rabbitmq-memory": memory.memory,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, all where none is named."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    missing: list[str] = []
    met = print_table(_figures(names or list(BENCHMARKS), missing))
    for text in missing:
        sys.stderr.write(f"{text}\n")
    return 3 if missing else 0 if met else 1


def _figures(names: list[str], missing: list[str]) -> Iterator[Figure]:
    """The figures of those that can run; why the others cannot is added to ``missing``."""
    for name in names:
        try:
            yield from BENCHMARKS[name]()
        except Unavailable as exc:
            missing.append(f"{name} was not measured: {exc}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
