"""``kill -9`` of broker, dispatcher, producer and worker at random moments under load."""

from __future__ import annotations

from itertools import pairwise

from tests.faults import handler
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

TASKS = 600
PACE_S = 0.005
SLOTS = 20
PULL = "  mode: pull\n"
LEASE_S = 4.0


def test_killing_the_dispatcher_repeats_only_what_ran(broker: RabbitMQContainer, make_site, chance) -> None:
    site: Site = make_site(broker)
    producer = site.producer(TASKS, every_s=PACE_S)
    kills = sorted(chance.sample(range(TASKS // 10, TASKS * 9 // 10), 4))
    for done in kills:
        dispatcher = site.dispatcher()
        site.await_done(done)
        dispatcher.kill()
    site.dispatcher()
    assert producer.wait() == 0
    site.await_all_done()
    assert not site.early()
    # Run and not acked yet: those in hand, of which there are never more than may run at a time.
    assert len(site.again()) <= len(kills) * SLOTS


def test_killing_the_broker_repeats_only_what_ran(broker: RabbitMQContainer, make_site, chance) -> None:
    site: Site = make_site(broker)
    producer, dispatcher = site.producer(), site.dispatcher()
    kills = sorted(chance.sample(range(TASKS // 10, TASKS * 7 // 10), 2))
    windows = []
    for done in kills:
        site.await_done(done)
        since_us = handler.now_us()
        broker.restart()
        windows.append((since_us, handler.now_us()))
    assert producer.end() == 0
    site.await_all_done()
    assert not site.early()
    assert dispatcher.is_running
    assert site.again_outside(*windows) <= site.unsure()


def test_what_a_killed_producer_was_told_is_kept(broker: RabbitMQContainer, make_site, chance) -> None:
    site: Site = make_site(broker)
    site.dispatcher()
    kills = sorted(chance.sample(range(TASKS // 10, TASKS), 4))
    for since, until in pairwise([0, *kills]):
        producer = site.producer(TASKS, every_s=PACE_S)
        site.wait_for(lambda: len(site.confirmed()) >= until, f"{until} confirmed", 30)  # noqa: B023 - awaited here
        producer.kill()
        assert since < until
    site.await_all_done()
    assert not site.early()
    assert not site.again()


def test_killed_pull_workers_repeat_only_what_they_held(broker: RabbitMQContainer, make_site, chance) -> None:
    site: Site = make_site(broker, PULL)
    producer = site.producer(TASKS, method="PULL", every_s=PACE_S)
    kills = sorted(chance.sample(range(TASKS // 10, TASKS * 9 // 10), 3))
    for done in kills:
        worker = site.worker(lease_s=LEASE_S)
        site.await_done(done)
        worker.kill()
    site.worker(lease_s=LEASE_S)
    assert producer.wait() == 0
    site.await_all_done()
    assert not site.early()
    assert len(site.again()) <= len(kills) * 50


def test_pull_tasks_outlive_the_broker(broker: RabbitMQContainer, make_site, chance) -> None:
    site: Site = make_site(broker, PULL)
    producer = site.producer(method="PULL")
    worker = site.worker(lease_s=LEASE_S)
    site.await_done(chance.randrange(TASKS // 10, TASKS * 7 // 10))
    broker.restart()
    assert producer.end() == 0
    site.await_all_done()
    assert not site.early()
    assert worker.is_running
    assert len(site.again() - site.unsure()) <= 2 * 50
