"""What an operator does to the queues while they are used: deleted, under a policy, with a short consumer timeout."""

from __future__ import annotations

import pytest

from gae_broker import errors, taskqueue
from gae_broker.engine.runtime import using
from tests.faults import handler
from tests.faults.brokers import CONFIG
from tests.faults.site import Site
from tests.servers.rabbitmq import RabbitMQContainer

TASKS = 300
SOME = 75
LIMIT_MS = 8000


def test_a_deleted_queue_refuses_adds_until_it_is_there_again(broker: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(broker)
    dispatcher, producer = site.dispatcher(), site.producer()
    with site.runtime() as runtime, using(runtime):
        site.await_done(SOME)
        before = site.confirmed()
        broker.rabbitmqctl("delete_queue", f"gaetq.push.q.{site.queue}")
        with pytest.raises(errors.UnknownQueueError, match="gae-broker deploy"):
            taskqueue.Queue(site.queue).add(taskqueue.Task(payload=handler.body("nowhere", 0, 1, 0)))
        site.wait_for(lambda: "UnknownQueueError" in site.added.read_text(), "the producer to be told")
        refused = f"queue {site.queue} cannot be consumed, trying again"
        site.wait_for(lambda: refused in dispatcher.said, "the dispatcher to be told")
        after = site.confirmed()
        runtime.broker.declare(runtime.catalog.queues())
    assert producer.end() == 0
    # What was in the queue went with it, which is the operator's loss; what was added from then on is served.
    site.wait_for(lambda: not site.missing() - after, "the tasks that were added later")
    assert before
    assert dispatcher.is_running
    assert f"queue {site.queue} is consumed again" in dispatcher.said
    assert not site.early()


def assert_reported(broker: RabbitMQContainer, site: Site, text: str) -> None:
    """That ``gae-broker check`` fails and says this, once RabbitMQ's statistics show it."""

    def is_reported() -> bool:
        checked = site.command("check", GAE_BROKER_MANAGEMENT=broker.management.url)
        return checked.returncode != 0 and text in checked.stdout

    site.wait_for(is_reported, f"the check to say {text}")


def test_a_policy_that_shortens_delays_makes_no_task_early(broker: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(broker)
    broker.rabbitmqctl("set_policy", "--apply-to", "queues", "hasty", r"^gaetq\.delay\.", '{"message-ttl": 100}')
    try:
        dispatcher, producer = site.dispatcher(), site.producer(TASKS)
        assert producer.wait() == 0
        site.await_all_done()
        assert_reported(broker, site, "policy 'hasty': message-ttl 100")
    finally:
        broker.rabbitmqctl("clear_policy", "hasty")
    assert dispatcher.is_running
    assert not site.early()
    assert not site.again()


def test_a_policy_that_drops_tasks_is_reported(broker: RabbitMQContainer, make_site) -> None:
    """Nothing else can be done about it: of ``overflow`` RabbitMQ takes the policy's value, not the queue's own."""
    site: Site = make_site(broker)
    definition = '{"max-length": 100000, "overflow": "drop-head"}'
    broker.rabbitmqctl("set_policy", "--apply-to", "queues", "lossy", r"^gaetq\.push\.", definition)
    try:
        assert_reported(broker, site, "policy 'lossy': overflow drop-head")
    finally:
        broker.rabbitmqctl("clear_policy", "lossy")


@pytest.fixture(scope="module")
def impatient(start) -> RabbitMQContainer:
    """A server whose consumers must ack within seconds."""
    return start(RabbitMQContainer, config=f"{CONFIG}consumer_timeout = {LIMIT_MS}\n")


def test_a_consumer_timeout_gives_the_task_to_a_new_attempt(impatient: RabbitMQContainer, make_site) -> None:
    site: Site = make_site(impatient)
    # Of a queue's own argument and a policy the lower one counts.
    definition = f'{{"consumer-timeout": {LIMIT_MS}}}'
    impatient.rabbitmqctl("set_policy", "--apply-to", "queues", "short", r"^gaetq\.push\.", definition)
    target = site.handler()
    dispatcher = site.dispatcher(target=target)
    with site.runtime() as runtime, using(runtime):
        slow = taskqueue.Task(payload=handler.body("slow", 0, 3 * LIMIT_MS, 0))
        taskqueue.Queue(site.queue).add(slow)
        site.wait_for(lambda: len([one for one in site.executions() if one.identity == "slow"]) > 1, "another attempt")
        taskqueue.Queue(site.queue).add(taskqueue.Task(payload=handler.body("quick", 0, 1, 0)))
    # The queue goes on for others, and the slow one is not tried for ever.
    site.wait_for(lambda: site.done()["quick"], "another task of the queue")
    assert "RabbitMQ cancelled its consumer" in dispatcher.said
    assert dispatcher.is_running
