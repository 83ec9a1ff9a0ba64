"""What ``gae-broker check`` finds out about a real RabbitMQ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker.domain.broker_options import BrokerOptions
from gae_broker.domain.queue import Queue
from gae_broker.domain.task import Kind
from gae_broker.ports import CheckStatus, Needs, Role
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.rabbitmq import open_broker
from tests.integration.rabbitmq_world import QUEUES, found, message, publish, queues, status, world
from tests.servers.rabbitmq import RabbitMQContainer

newest = pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)
"""What does not depend on the version is tested on one."""


@pytest.fixture(scope="module")
def place(rabbitmq):
    with world(rabbitmq) as made:
        yield made


@pytest.fixture(scope="module")
def broker(place):
    return place.broker()


@pytest.fixture
def needs(broker):
    """Queues of the test's own, declared."""
    found = queues()
    broker.declare(found)
    return Needs(found, 600.0)


def test_a_healthy_broker_has_no_fault_and_a_line_for_each_thing(broker, needs):
    checks = broker.check(needs)
    names = [check.name for check in checks]
    assert len(names) == len(set(names))
    assert set(names) - {"broker files"} == {
        "broker",
        "broker version",
        "broker topology",
        "broker permissions",
        "broker consumer timeout",
        "dead letters",
        "orphans",
        "broker policies",
        "broker alarms",
    }
    odd = {check.name for check in checks if check.status is not CheckStatus.OK}
    assert odd <= {"broker version", "broker files"}
    assert "bindings are there" in found(checks, "broker topology")[0][1]
    assert "may add tasks, dispatch and lease, deploy" in found(checks, "broker permissions")[0][1]


@newest
def test_checking_leaves_nothing_behind_and_takes_nothing(place, broker, needs):
    push, pull = (queue.name for queue in needs.queues)
    publish(broker, message(Kind.PUSH, push), message(Kind.PULL, pull))

    def objects() -> list[tuple[object, ...]]:
        exchanges = place.management.call("GET", f"exchanges/{place.virtual_host}")
        bindings = place.management.call("GET", f"bindings/{place.virtual_host}")
        ends = [(one["source"], one["destination"], one["routing_key"]) for one in bindings]
        queues = place.management.call("GET", f"queues/{place.virtual_host}?disable_stats=true")
        return sorted([*ends, *((one["name"],) for one in (*exchanges, *queues))])

    before = objects()
    broker.check(needs)
    assert objects() == before
    assert [broker.depth(kind, name).ready for kind, name in ((Kind.PUSH, push), (Kind.PULL, pull))] == [1, 1]
    (taken,) = eventually(lambda: broker.get(Kind.PULL, pull, 1), "the message")
    assert taken.delivery_count == 0
    broker.ack([taken])


@newest
def test_queues_that_were_never_deployed_fail_by_name(broker):
    push, pull = queues()
    ((state, text),) = found(broker.check(Needs([push, pull])), "broker topology")
    assert state == "failed"
    assert f"gaetq.push.q.{push.name}" in text
    assert "run `gae-broker deploy queue.yaml`" in text


def test_a_broker_that_cannot_be_reached_fails(needs):
    broker = open_broker("amqp://127.0.0.1:1/", clock=RealClock(), options=BrokerOptions())
    (check,) = broker.check(needs)
    assert (check.name, check.status) == ("broker", CheckStatus.FAILED)


POLICIES = [
    ({"message-ttl": 1000}, "failed", "message-ttl 1000, so tasks come early or vanish"),
    ({"expires": 10_000_000}, "failed", "expires 10000000, so the queue and all its tasks are deleted"),
    ({"max-length": 5, "overflow": "drop-head"}, "failed", "max-length 5"),
    ({"overflow": "drop-head"}, "failed", "overflow drop-head"),
    ({"delivery-limit": 5}, "warning", "delivery-limit 5"),
]


def test_policies_that_override_us_are_found(place, broker):
    """All at once: the management API shows what was so some seconds ago."""
    victims = [Queue(f"{queues()[0].name}-{number}") for number in range(len(POLICIES))]
    broker.declare(victims)
    needs = Needs(victims)
    assert status(broker, "broker policies", needs) == "ok"
    wanted = {
        (state, f"policy '{place.policy(queue.name, **definition)}': {words}")
        for queue, (definition, state, words) in zip(victims, POLICIES, strict=True)
    }

    def missing() -> set[tuple[str, str]]:
        lines = found(broker.check(needs), "broker policies")
        return {(state, words) for state, words in wanted if not any(s == state and words in t for s, t in lines)}

    eventually(lambda: not missing(), "every policy")


@newest
def test_dead_letters_and_orphans_are_warnings_with_what_to_do(place, broker, needs):
    push = needs.queues[0].name
    assert status(broker, "orphans", needs) == "ok"
    place.management.call("DELETE", f"queues/{place.virtual_host}/gaetq.push.q.{push}")
    publish(broker, message(Kind.DEAD, push), message(Kind.DEAD, push), message(Kind.PUSH, push, after_s=0.3))
    eventually(lambda: status(broker, "orphans", needs) == "warning", "the orphan")
    checks = broker.check(needs)
    ((state, text),) = found(checks, "dead letters")
    assert (state, text.startswith(f"2 in {push}; `gae-broker tasks dead {push}`")) == ("warning", True)
    assert "1 tasks in 'gaetq.orphan'" in found(checks, "orphans")[0][1]
    broker.ack(broker.get(Kind.DEAD, push, 2))
    place.management.call("DELETE", f"queues/{place.virtual_host}/gaetq.orphan/contents")


def test_a_user_is_measured_by_its_role(place, needs):
    worker = place.verifying(place.user_in(Role.WORKER))
    producer = place.verifying(place.user_in(Role.PRODUCER))
    nobody = place.verifying(place.user("^$", "^$", "^$"))

    def permitted(who, role=None) -> tuple[str, str]:
        ((state, text),) = found(who.check(replace(needs, role=role)), "broker permissions")
        return state, text

    assert permitted(worker, Role.WORKER)[0] == "ok"
    assert permitted(worker)[1].endswith("may add tasks, dispatch and lease")
    assert permitted(producer, Role.PRODUCER)[0] == "ok"
    assert permitted(producer)[1].endswith("may add tasks")
    state, text = permitted(producer, Role.WORKER)
    assert (state, "gaetq.dead" in text, f"gaetq.push.q.{needs.queues[0].name}" in text) == ("failed", True, True)
    assert permitted(worker, Role.ADMINISTRATOR)[0] == "failed"
    assert permitted(nobody)[0] == "failed"


@newest
def test_without_the_management_api_one_warning_says_what_was_not_checked(place, broker, needs):
    assert not found(broker.check(needs), "broker management")
    checks = place.broker(management="http://127.0.0.1:1").check(needs)
    ((state, text),) = found(checks, "broker management")
    assert state == "warning"
    for word in ("bindings", "arguments", "policies", "alarms", "GAE_BROKER_MANAGEMENT"):
        assert word in text
    assert CheckStatus.FAILED not in {check.status for check in checks}
    assert not found(checks, "broker policies")


@newest
def test_a_user_who_may_not_use_the_management_api_is_told_so(place, needs):
    user = place.user(".*", ".*", ".*")
    address = place.management.url.partition("@")[2]
    limited = place.broker(user, management=f"http://{user}:{user}@{address}")
    ((state, text),) = found(limited.check(needs), "broker management")
    assert (state, f"does not let user '{user}' read" in text) == ("warning", True)


def test_the_longest_deadline_is_held_against_the_consumer_timeout(broker, needs, rabbitmq):
    ((state, text),) = found(broker.check(replace(needs, longest_deadline_s=3600.0)), "broker consumer timeout")
    if rabbitmq.version == "3.10":
        assert (state, "consumer_timeout = 3900000" in text) == ("warning", True)
    else:
        assert (state, "25 h" in text) == ("ok", True)


@newest
def test_an_alarm_fails_and_does_not_hold_the_check_up(rabbitmq):
    if rabbitmq.management is None:
        pytest.skip("no Docker")
    with RabbitMQContainer(rabbitmq.version) as node:
        broker = open_broker(node.url, clock=RealClock(), options=BrokerOptions(management=node.management.url))
        broker.declare(QUEUES)
        node.rabbitmqctl("set_vm_memory_high_watermark", "0.0001")
        eventually(lambda: status(broker, "broker alarms") == "failed", "the alarm")
        broker.close()
