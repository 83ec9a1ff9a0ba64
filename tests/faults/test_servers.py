"""A server that stands still, or that is short of memory or disk."""

from __future__ import annotations

import contextlib

import pytest

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import using
from tests.faults import handler
from tests.faults.brokers import depth
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

SOME = 75
RAISE = {
    "memory": ("set_vm_memory_high_watermark", "absolute", "1000000"),
    "disk": ("set_disk_free_limit", "1000GB"),
}
CLEAR = {
    "memory": ("set_vm_memory_high_watermark", "0.6"),
    "disk": ("set_disk_free_limit", "50MB"),
}


def test_a_server_that_is_paused_loses_nothing(broker: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(broker)
    dispatcher, producer = site.dispatcher(), site.producer()
    site.await_done(SOME)
    since_us = handler.now_us()
    broker.pause()
    try:
        site.wait_for(lambda: "reconnecting" in dispatcher.said, "the dispatcher to give its connection up")
        site.wait_for(lambda: any(words[0] in {"unsure", "error"} for words in site.words(site.added)), "an error")
    finally:
        broker.unpause()
    until_us = handler.now_us()
    assert producer.end() == 0
    site.await_all_done()
    assert dispatcher.is_running
    assert not site.early()
    assert site.again_outside((since_us, until_us)) <= site.unsure()


@pytest.mark.parametrize("alarm", ["memory", "disk"])
def test_an_alarm_blocks_adds_and_loses_nothing(broker: RabbitMQContainer, make_site, alarm: str) -> None:
    site: Site = make_site(broker)
    dispatcher, producer = site.dispatcher(), site.producer()
    site.await_done(SOME)
    broker.rabbitmqctl(*RAISE[alarm])
    try:
        with site.runtime() as runtime, using(runtime):
            queue = taskqueue.Queue(site.queue)
            # The connection is told of the alarm when it publishes for the first time.
            with contextlib.suppress(errors.TransientError):
                queue.add(taskqueue.Task(payload=handler.body("first", 0, 1, 0)))
            with pytest.raises(errors.BrokerBlockedError, match="free memory or disk"):
                queue.add(taskqueue.Task(payload=handler.body("second", 0, 1, 0)))
        site.wait_for(lambda: "BrokerBlockedError" in site.added.read_text(), "the producer to be told of the alarm")
        assert dispatcher.is_running
    finally:
        broker.rabbitmqctl(*CLEAR[alarm])
    assert producer.end() == 0
    site.await_all_done()
    assert not site.early()
    assert site.again() <= site.unsure()


def test_an_alarm_keeps_no_success_from_being_acked_and_loses_no_retry(broker: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(broker)
    dispatcher = site.dispatcher()
    site.wait_for(lambda: "serving here now" in dispatcher.said, "the dispatcher")
    bodies = [handler.body("fails", 0, 1, 1), *(handler.body(f"succeeds-{number}", 0, 1, 0) for number in range(50))]
    with site.runtime() as runtime, using(runtime):
        taskqueue.Queue(site.queue).add([taskqueue.Task(payload=body, countdown=4) for body in bodies])
    broker.rabbitmqctl(*RAISE["disk"])
    try:
        site.await_done(50)
        site.wait_for(lambda: depth(broker, f"gaetq.push.q.{site.queue}") == 1, "all but the retry to be acked")
        assert [one.status for one in site.executions() if one.identity == "fails"] == [500]
        dispatcher.kill()
    finally:
        broker.rabbitmqctl(*CLEAR["disk"])
    site.dispatcher("another")
    site.wait_for(lambda: site.done()["fails"], "the task whose retry could not be stored")
    assert not site.again()
