"""Connections that break at the worst moments, by a proxy: before a confirm, before an ack, silently."""

from __future__ import annotations

import pytest

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import using
from tests.faults import handler
from tests.faults.proxy import ACK, CONFIRM, PUBLISH, Proxy, Side
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

SOME = 75
SLOTS = 20


def through(proxy: Proxy) -> str:
    return f"amqp://127.0.0.1:{proxy.port}/"


def test_a_cut_after_publish_and_before_confirm_loses_nothing(
    broker: RabbitMQContainer, proxy: Proxy, make_site
) -> None:
    site: Site = make_site(broker)
    site.dispatcher()
    producer = site.producer(url=through(proxy))
    for confirm in (7, 23, 41):
        assert proxy.cut_before(Side.SERVER, CONFIRM, confirm).wait(60), site.story()
    assert producer.end() == 0
    site.await_all_done()
    # The caller was told that these may have been stored, and added them again.
    assert site.unsure()
    assert site.again() <= site.unsure()


@pytest.mark.parametrize("side", list(Side))
def test_a_named_task_runs_once_whether_its_publish_or_its_confirm_was_cut_off(
    broker: RabbitMQContainer, proxy: Proxy, make_site, side: Side
) -> None:
    site: Site = make_site(broker)
    dispatcher = site.dispatcher()
    site.wait_for(lambda: "serving here now" in dispatcher.said, "the dispatcher")
    with site.runtime(through(proxy)) as runtime, using(runtime):
        cut = proxy.cut_before(side, PUBLISH if side is Side.CLIENT else CONFIRM)
        with pytest.raises(errors.TransientError):
            taskqueue.Queue(site.queue).add(taskqueue.Task(name="named", payload=handler.body("named", 0, 1, 0)))
        assert cut.is_set()
        # Nobody adds it again: what the claim keeps is published by the dispatcher's housekeeping, if it has to be.
        site.wait_for(lambda: site.done()["named"], "the named task")
        last = taskqueue.Task(payload=handler.body("last", 0, 1, 0), countdown=12)
        taskqueue.Queue(site.queue).add(last)
    site.wait_for(lambda: site.done()["last"], "the task after it")
    assert site.done()["named"] == 1


def test_a_cut_after_confirm_and_before_ack_repeats_no_retry(
    broker: RabbitMQContainer, proxy: Proxy, make_site
) -> None:
    site: Site = make_site(broker)
    producer, dispatcher = site.producer(), site.dispatcher(url=through(proxy))
    cuts = (3, 15, 15)
    for ack in cuts:
        assert proxy.cut_before(Side.CLIENT, ACK, ack).wait(60), site.story()
    assert producer.end() == 0
    site.await_all_done()
    assert dispatcher.is_running
    assert not site.early()
    assert len(site.again()) <= len(cuts) * SLOTS


@pytest.mark.parametrize("who", ["producer", "dispatcher"])
def test_a_black_hole_is_noticed_and_left(broker: RabbitMQContainer, proxy: Proxy, make_site, who: str) -> None:
    site: Site = make_site(broker)
    dispatcher = site.dispatcher(url=through(proxy) if who == "dispatcher" else "")
    producer = site.producer(url=through(proxy) if who == "producer" else "")
    site.await_done(SOME)
    since_us = handler.now_us()
    proxy.black_hole()
    if who == "producer":
        site.wait_for(lambda: any(words[0] in {"unsure", "error"} for words in site.words(site.added)), "an error")
    else:
        site.wait_for(lambda: "reconnecting" in dispatcher.said, "the dispatcher to give its connection up")
    proxy.heal()
    until_us = handler.now_us()
    assert producer.end() == 0
    site.await_all_done()
    assert not site.early()
    # The dispatcher could not ack what it had received before: it, or what takes over, runs that again.
    assert site.again_outside((since_us, until_us)) <= site.unsure()
