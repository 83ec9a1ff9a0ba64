"""A server that stands still, or that is short of memory or disk."""

from __future__ import annotations

import contextlib

import pytest

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import using
from tests.faults import handler
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

TASKS = 300
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
    dispatcher, producer = site.dispatcher(), site.producer(TASKS, every_s=0.005)
    site.await_done(TASKS // 4)
    broker.pause()
    try:
        site.wait_for(lambda: "reconnecting" in dispatcher.said, "the dispatcher to give its connection up")
        site.wait_for(lambda: any(words[0] in {"unsure", "error"} for words in site.words(site.added)), "an error")
    finally:
        broker.unpause()
    assert producer.wait() == 0
    site.await_all_done()
    assert dispatcher.is_running
    assert not site.early()
    assert len(site.again() - site.unsure()) <= 20


@pytest.mark.parametrize("alarm", ["memory", "disk"])
def test_an_alarm_blocks_adds_and_loses_nothing(broker: RabbitMQContainer, make_site, alarm: str) -> None:
    site: Site = make_site(broker)
    dispatcher, producer = site.dispatcher(), site.producer(TASKS, every_s=0.005)
    site.await_done(TASKS // 4)
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
    assert producer.wait() == 0
    site.await_all_done()
    assert not site.early()
    assert site.again() <= site.unsure()
