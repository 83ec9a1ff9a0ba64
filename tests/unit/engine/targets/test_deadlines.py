"""Deadlines of attempts: each by itself, although they share timers."""

from __future__ import annotations

import asyncio

from gae_broker.engine.targets.deadlines import Deadlines

SOON_S, LATER_S = 0.01, 3_600.0


class Attempt:
    """Waits until it may end; ``ended`` tells how it did: ``done``, ``over`` or ``cancelled``."""

    def __init__(self, deadlines: Deadlines, duration_s: float) -> None:
        self.may_end = asyncio.Event()
        self.ended = ""
        self._deadlines = deadlines
        self._duration_s = duration_s
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        task = asyncio.current_task()
        self._deadlines.begin(task, self._duration_s)
        try:
            await self.may_end.wait()
            self.ended = "done"
        except asyncio.CancelledError:
            self.ended = "over" if self._deadlines.is_over(task) else "cancelled"
        finally:
            self._deadlines.end(task, self._duration_s)


def test_what_takes_too_long_is_broken_off_and_nothing_else():
    async def run():
        deadlines = Deadlines()
        first, second, patient = (Attempt(deadlines, duration) for duration in (SOON_S, SOON_S, LATER_S))
        await asyncio.gather(first.task, second.task)
        patient.may_end.set()
        await patient.task
        deadlines.close()
        return first.ended, second.ended, patient.ended

    assert asyncio.run(run()) == ("over", "over", "done")


def test_one_that_began_later_is_broken_off_by_the_timer_of_one_that_was_done():
    async def run():
        deadlines = Deadlines()
        quick = Attempt(deadlines, SOON_S)
        await asyncio.sleep(0)
        slow = Attempt(deadlines, SOON_S)
        quick.may_end.set()
        await asyncio.gather(quick.task, slow.task)
        return quick.ended, slow.ended

    assert asyncio.run(run()) == ("done", "over")


def test_deadlines_work_again_after_all_were_done():
    async def run():
        deadlines = Deadlines()
        ended = []
        for _ in range(2):
            attempt = Attempt(deadlines, SOON_S)
            await attempt.task
            ended.append(attempt.ended)
        return ended

    assert asyncio.run(run()) == ["over", "over"]


def test_who_is_cancelled_by_another_is_not_overdue():
    async def run():
        deadlines = Deadlines()
        attempt = Attempt(deadlines, LATER_S)
        await asyncio.sleep(0)
        attempt.task.cancel()
        await attempt.task
        deadlines.close()
        return attempt.ended

    assert asyncio.run(run()) == "cancelled"


def test_who_is_cancelled_by_another_too_is_not_overdue():
    async def run():
        deadlines = Deadlines()
        attempt = Attempt(deadlines, 0.0)
        await asyncio.sleep(0)
        deadlines.close()
        deadlines._look(0.0)  # as its timer would, in the same turn of the loop as the other
        attempt.task.cancel()
        await attempt.task
        return attempt.ended

    assert asyncio.run(run()) == "cancelled"
