"""Threads of the dispatcher's own process, as the dispatcher uses them."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from gae_broker.domain.headers import HttpRequest
from gae_broker.engine.runtime import SystemClock
from gae_broker.engine.targets import crew
from gae_broker.engine.targets.local import LocalTarget
from gae_broker.engine.targets.target import Job
from tests.integration.dispatching import GUARD_S

REQUEST = HttpRequest("GET", "/", (), b"", None, round(GUARD_S * 1_000_000))


def with_target(scenario, threads=1):
    async def run():
        async with asyncio.timeout(GUARD_S):
            target = LocalTarget("handlers_of_a_test:app", threads, SystemClock())
            await target.open()
            try:
                await scenario(target)
            finally:
                await target.close()

    asyncio.run(run())


def start(target, count):
    futures = [asyncio.get_running_loop().create_future() for _ in range(count)]
    target.start([Job(REQUEST, future.set_result) for future in futures])
    return futures


def test_what_has_not_begun_is_given_back_at_once(application):
    busy, over = threading.Event(), threading.Event()

    def handler(_):
        busy.set()
        over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler

    async def scenario(target):
        first, *others = start(target, 3)
        await asyncio.to_thread(busy.wait, GUARD_S)
        target.withdraw()
        assert [future.result() for future in others] == [None, None]
        over.set()
        assert (await first).status == 200

    with_target(scenario)
    assert len(application.requests) == 1


def test_no_more_threads_than_allowed_and_each_is_used_again(application):
    names = set()

    def handler(_):
        names.add(threading.get_ident())
        return "200 OK"

    application.answer = handler

    async def scenario(target):
        for _ in range(20):
            await asyncio.gather(*start(target, 10))

    with_target(scenario, threads=3)
    assert 1 <= len(names) <= 3


def test_a_handler_that_raises_what_ends_programs_costs_no_thread(application):
    def handler(_):
        raise KeyboardInterrupt

    application.answer = handler

    async def scenario(target):
        outcomes = await asyncio.gather(*start(target, 5))
        assert [outcome.status for outcome in outcomes] == [500] * 5

    with_target(scenario)


def test_a_limit_of_the_systems_on_threads_gives_tasks_back(application, monkeypatch, caplog):
    monkeypatch.setattr(crew, "PATIENCE_S", 0.0)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    async def scenario(target):
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", refuse)
            futures = start(target, 2)
        assert [await future for future in futures] == [None, None]

    with caplog.at_level(logging.ERROR, "gae_broker.dispatch"):
        with_target(scenario)
    assert "cannot start a thread" in caplog.text


@pytest.mark.parametrize("count", [1, 7])
def test_room_is_what_is_free_until_handlers_prove_fast(application, count):
    over = threading.Event()

    def handler(_):
        over.wait(GUARD_S)
        return "200 OK"

    application.answer = handler

    async def scenario(target):
        assert target.room() == 8
        futures = start(target, count)
        assert target.room() == 8 - count
        over.set()
        await asyncio.gather(*futures)
        assert target.room() >= 8

    with_target(scenario, threads=8)
