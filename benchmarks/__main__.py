"""``python -m benchmarks [NAME ...]``: run the benchmarks, print one table; exit status 1 where a target is missed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from benchmarks import embedded, rates
from benchmarks.measure import Figure, print_table

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "add": embedded.add,
    "lease": embedded.lease_and_delete,
    "dispatch": embedded.dispatch,
    "rate": rates.kept,
    "flat": embedded.flat,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks, all where none is named."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    chosen = names or list(BENCHMARKS)
    return 0 if print_table(figure for name in chosen for figure in BENCHMARKS[name]()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
