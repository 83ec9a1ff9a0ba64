"""Forks children while eight of its threads publish; each child publishes too, and leaves in one of several ways.

Prints what went wrong, and then how many messages its threads and its children had confirmed.
"""

from __future__ import annotations

import os
import sys
import threading

from tests.integration.rabbitmq_publisher import DEADLINE_S, message, opened

CHILDREN = 24
_A_CHILDS = 40


def _publish(broker, count: int) -> None:
    for number in range(count):
        batch = [message() for _ in range(1 + number % 5)]
        errors = [error for error in broker.publish(batch, DEADLINE_S) if error is not None]
        if errors:
            _say(f"error in {os.getpid()}: {errors[0]}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(url: str) -> None:
    """Run."""
    over = threading.Event()
    rounds = [0] * 8

    def busy(mine: int) -> None:
        while not over.is_set():
            _publish(broker, 5)
            rounds[mine] += 1

    with opened(url) as broker:
        _publish(broker, 5)
        threads = [threading.Thread(target=busy, args=(mine,)) for mine in range(8)]
        for thread in threads:
            thread.start()
        for number in range(CHILDREN):
            child = os.fork()
            if child == 0:
                _publish(broker, _A_CHILDS)
                if number % 3 == 0:
                    broker.close()
                if number % 3 == 1:
                    os._exit(0)
                sys.exit(0)  # with all that an interpreter does at its end
            if number % 4 == 3:
                _collect()
        _collect()
        over.set()
        for thread in threads:
            thread.join()
        connections = broker._publisher.session._turn
    a_round = sum(1 + number % 5 for number in range(5))
    _say(f"connections {connections}")
    _say(f"confirmed {a_round * (1 + sum(rounds)) + CHILDREN * _A_CHILDS * a_round // 5}")


def _collect() -> None:
    while True:
        try:
            _, status = os.wait()
        except ChildProcessError:
            return
        if status:
            _say(f"error: a child ended with {status}")


if __name__ == "__main__":
    main(sys.argv[1])
