"""A queue's rate with two dispatchers up, one of them killed halfway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

from benchmarks import plain_http, servers, stores
from benchmarks.measure import Figure, at_most
from benchmarks.rabbitmq import processes

_SECONDS = 30.0
_TOLERANCE_PERCENT = 1.0


def rates() -> Iterator[Figure]:
    """100/s and 500/s for thirty seconds; the one that serves is killed in the middle, or the one that stands by."""
    for per_second in (100, 500):
        for victim in ("standby", "owner"):
            yield from _one(per_second, victim)


def _one(per_second: int, victim: str) -> Iterator[Figure]:
    bucket = per_second // 5
    queues = f"queue:\n- name: push\n  rate: {per_second}/s\n  bucket_size: {bucket}\n  max_concurrent_requests: 400\n"
    with ExitStack() as stack:
        web = stack.enter_context(plain_http.serving())
        url = stack.enter_context(servers.virtual_host())
        where = stack.enter_context(stores.directory())
        ledger = f"sqlite:///{where}/ledger.db"
        opened = stack.enter_context(stores.rabbitmq(url, ledger, queues))
        owner = stack.enter_context(processes.dispatcher(where, url, ledger, web, queues))
        while opened.ledger.control("push").epoch == 0:  # the first one is the owner, the second stands by
            time.sleep(0.1)
        standby = stack.enter_context(processes.dispatcher(where, url, ledger, web, queues))
        time.sleep(5.0)
        stores.fill(opened, "push", int(per_second * (_SECONDS + 5)) + 2 * bucket, "POST")
        time.sleep(_SECONDS / 2)
        (owner if victim == "owner" else standby).kill()
        time.sleep(_SECONDS / 2 + 1)
        times = sorted(plain_http.arrivals(web))
    yield from _judge(times, per_second, bucket, victim)


def _judge(times: list[float], per_second: int, bucket: int, victim: str) -> Iterator[Figure]:
    """The whole time counts, the gap until another one took over too: what was not used then may come as a burst."""
    whole = [at - times[0] for at in times if at - times[0] < _SECONDS]
    off = 100.0 * ((len(whole) - bucket) / (per_second * _SECONDS) - 1.0)
    name = f"RabbitMQ: rate {per_second}/s over 30 s, two dispatchers, the {victim} killed"
    met = abs(off) <= _TOLERANCE_PERCENT
    yield Figure(f"{name}: off by", off, "%", "within 1", met, f"the configured rate and its bucket of {bucket}")
    gap = max(later - earlier for earlier, later in pairwise(whole))
    yield at_most(f"{name}: longest gap", gap, "s", 15, "")
