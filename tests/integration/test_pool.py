"""Worker processes: they grow with the load, are replaced when they die or hang, and outlive nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gae_broker.domain.headers import HttpRequest
from gae_broker.domain.queue import Queue
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.setting_values import Processes
from gae_broker.engine.dispatcher import Result
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets.pool import PoolTarget
from gae_broker.engine.targets.target import Job
from gae_broker.errors import ConfigurationError
from tests.integration.dispatching import FAST, GUARD_S, ground, until

SPEC = "tests.integration.pool_app:app"
ROOT = Path(__file__).parents[2]
US = 1_000_000


def request(path, deadline_s=GUARD_S):
    return HttpRequest("GET", path, (), b"", None, round(deadline_s * US))


def start(pool, *requests):
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in requests]
    pool.start([Job(made, future.set_result) for made, future in zip(requests, futures, strict=True)])
    return futures


def with_pool(scenario, *, least=1, most=1, threads=1, **options):
    async def run():
        async with asyncio.timeout(GUARD_S):
            pool = PoolTarget(SPEC, Processes(least, most), threads, SystemClock(), **options)
            await pool.open()
            try:
                return await scenario(pool)
            finally:
                await pool.close()

    return asyncio.run(run())


def is_alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_requests_run_in_other_processes_that_end_with_the_pool():
    async def scenario(pool):
        outcomes = await asyncio.gather(*start(pool, *[request("/pid")] * 20))
        return {int(outcome.body_excerpt) for outcome in outcomes}

    pids = with_pool(scenario, least=2, most=2, threads=2)
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(is_alive(pid) for pid in pids)


def test_a_worker_that_dies_fails_its_attempts_and_is_replaced():
    async def scenario(pool):
        (before,) = await asyncio.gather(*start(pool, request("/pid")))
        (died,) = await asyncio.gather(*start(pool, request("/die")))
        assert (died.status, died.reason) == (None, "worker process ended by SIGKILL")
        await until(lambda: pool.room() > 0)
        (after,) = await asyncio.gather(*start(pool, request("/pid")))
        assert after.body_excerpt != before.body_excerpt

    with_pool(scenario)


def test_a_machine_that_starts_no_process_now_is_asked_again_later(monkeypatch, caplog):
    monkeypatch.setattr("gae_broker.engine.targets.pool._LONGEST_PAUSE_S", 0.3)
    real, refusals = subprocess.Popen, []

    def refuse_once(*args, **kwargs):
        if not refusals:
            refusals.append(1)
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real(*args, **kwargs)

    async def scenario(pool):
        monkeypatch.setattr(subprocess, "Popen", refuse_once)
        await asyncio.gather(*start(pool, request("/die")))
        await until(lambda: pool.room() > 0)

    with_pool(scenario)
    assert refusals
    assert "cannot start a worker process" in caplog.text


def test_a_stuck_worker_is_killed_and_replaced_and_its_neighbours_may_finish(tmp_path):
    async def scenario(pool):
        stuck, go = tmp_path / "stuck", tmp_path / "go"
        neighbour, hung = start(pool, request(f"/await?{go}"), request(f"/hang-once?{stuck}", deadline_s=0.3))
        outcome = await hung
        assert (outcome.status, outcome.reason) == (None, "deadline of 0.3 s exceeded")
        await until(lambda: pool.room() > 0)
        (other,) = await asyncio.gather(*start(pool, request("/pid")))
        assert other.body_excerpt.decode() != stuck.read_text()
        assert is_alive(int(stuck.read_text()))
        go.write_text("")
        assert (await neighbour).status == 200
        await until(lambda: not is_alive(int(stuck.read_text())))

    with_pool(scenario, threads=2)


def test_a_worker_that_does_not_even_answer_is_killed(monkeypatch):
    """Stopped, so that its own main thread cannot fail the attempt."""
    monkeypatch.setattr("gae_broker.engine.targets.worker_process._UNRESPONSIVE_S", 0.3)

    async def scenario(pool):
        (first,) = await asyncio.gather(*start(pool, request("/pid")))
        pid = int(first.body_excerpt)
        os.kill(pid, signal.SIGSTOP)
        (outcome,) = await asyncio.gather(*start(pool, request("/pid", deadline_s=0.1)))
        assert (outcome.status, outcome.reason) == (None, "worker process did not respond")
        await until(lambda: not is_alive(pid))

    with_pool(scenario)


def test_processes_follow_the_load_between_their_bounds(tmp_path):
    async def scenario(pool):
        go = tmp_path / "go"
        started = []
        while pool.room():
            started += start(pool, request(f"/await?{go}"))
            if len(started) < 3:
                await until(lambda: pool.room() > 0)
        assert len(started) == 3
        go.write_text("")
        assert {(await future).status for future in started} == {200}
        pids = {(await future).body_excerpt for future in started}
        assert len(pids) == 3
        await until(lambda: pool.room() == 1)
        await until(lambda: sum(is_alive(int(pid)) for pid in pids) == 1)

    with_pool(scenario, most=3, shrink_s=0.5)


def test_what_a_handler_raises_is_logged_by_the_dispatcher(caplog):
    async def scenario(pool):
        (outcome,) = await asyncio.gather(*start(pool, request("/fail")))
        assert (outcome.status, outcome.reason) == (500, "ValueError: on purpose")
        await until(lambda: len(caplog.records) >= 2)

    with caplog.at_level(logging.WARNING):
        with_pool(scenario)
    first, second = caplog.records
    assert (first.name, first.getMessage()) == ("pool_app", "about to fail")
    assert "ValueError: on purpose" in second.exc_text


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("tests.integration.pool_app:gone", "has no gone"),
        ("no_such_module_at_all:app", "cannot import no_such_module_at_all"),
        ("tests.integration.pool_app:broken()", "worker process ended with status 1"),
    ],
)
def test_an_application_that_does_not_start_is_a_configuration_error(spec, text):
    async def run():
        pool = PoolTarget(spec, Processes(1, 2), 1, SystemClock())
        try:
            await pool.open()
        finally:
            await pool.close()

    with pytest.raises(ConfigurationError, match=text):
        asyncio.run(run())


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_worker_outlives_a_dispatcher_that_is_killed(state):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    command = [sys.executable, "-m", "tests.integration.pool_parent", state]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as parent:
        try:
            assert parent.stdout is not None
            pids = [int(pid) for pid in parent.stdout.readline().split()]
            assert len(pids) == 2
            assert all(is_alive(pid) for pid in pids)
        finally:
            parent.kill()
    deadline_s = time.monotonic() + GUARD_S
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not any(is_alive(pid) for pid in pids)


def test_a_task_whose_worker_dies_is_tried_again(tmp_path):
    queue = Queue("q", retry=RetryParameters(min_backoff_s=0.01), **FAST)
    with ground(queue, targets={"default": SPEC}) as field:
        field.add("t", queue="q", url=f"/die-once?{tmp_path / 'died'}", method="GET")

        async def scenario(_):
            await field.watcher.attempts(1, result=Result.SUCCESS)

        field.serve(scenario, processes=2)
    first = field.watcher.events[0]
    assert (first.status, first.reason) == (None, "worker process ended by SIGKILL")
