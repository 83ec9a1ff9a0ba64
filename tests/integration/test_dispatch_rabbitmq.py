"""The dispatcher on RabbitMQ: the scenarios of the embedded broker, over again."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pika
import pytest

from gae_broker.domain.queue import Queue
from tests.integration import dispatching
from tests.integration.dispatching import FAST, GUARD_S, ground
from tests.integration.test_dispatch import (  # noqa: F401 - collected here once more
    test_a_paused_queue_waits_and_goes_on,
    test_a_refusal_lowers_the_enforced_rate,
    test_a_task_over_its_limits_is_given_up_and_kept_among_the_dead,
    test_every_task_runs_once_with_app_engines_headers,
    test_never_more_attempts_at_a_time_than_the_queue_allows,
    test_purged_and_deleted_tasks_do_not_run,
    test_queue_yaml_is_applied_live,
    test_retry_count_counts_every_try_and_execution_count_answers_only,
)
from tests.integration.test_dispatch_interruptions import (  # noqa: F401 - as above
    test_another_dispatcher_takes_over_when_one_stops,
    test_what_could_not_be_settled_is_settled_later_and_does_not_run_again,
    test_what_does_not_end_in_time_goes_back_to_its_queue,
    test_without_a_ledger_the_dispatcher_holds_and_goes_on_by_itself,
)
from tests.servers import VERSIONS

# The newest only: what differs between versions the contract suite covers, on each.
pytestmark = pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True)
APP = {"default": "wsgi+handlers_of_a_test:app"}


@pytest.fixture(autouse=True)
def carrier(rabbitmq_url, monkeypatch, tmp_path):
    """Every `ground` of the test stands on RabbitMQ, with queues that are empty when the test begins."""
    where = {"url": rabbitmq_url, "ledger": f"sqlite:///{tmp_path}/ledger.db"}
    monkeypatch.setattr(dispatching, "CARRIER", where)
    yield
    bare = rabbitmq_url.rstrip("/").count("/") == 2
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq_url.rstrip("/") + ("/%2F" if bare else "")))
    with contextlib.closing(connection):
        channel = connection.channel()
        for name in ("default", "q", "paused", "slow", "extra"):
            for kind in ("push", "dead"):
                channel.queue_delete(f"gaetq.{kind}.q.{name}")


def test_tasks_that_were_held_at_a_pause_run_later_as_if_nothing_had_been(application):
    """Three times, which would be the limit if each had been counted as the end of a worker."""
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def handler(_):
        begun.release()
        go_on.acquire(timeout=GUARD_S)
        return "200 OK"

    application.answer = handler
    with ground(Queue("q", max_concurrent=2, **FAST), targets=APP) as field:
        field.add(*[f"t{number}" for number in range(8)], queue="q")

        async def scenario(dispatcher):
            await asyncio.to_thread(begun.acquire, timeout=GUARD_S)
            dispatcher.stop()

        for _ in range(3):
            field.serve(scenario, stop=False, drain_timeout_s=0.05, threads=2)
        go_on.release(100)

        async def rest(_):
            await field.watcher.attempts(8)

        field.serve(rest, threads=2)
    assert {event.attempt for event in field.watcher.events} == {1}
