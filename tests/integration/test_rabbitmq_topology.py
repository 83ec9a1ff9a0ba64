"""Declaring, verifying, importing and removing RabbitMQ's objects, on real servers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gae_broker.domain.broker_options import BrokerOptions, Declaring, Delays
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import ConfigurationError, PermissionDeniedError, SettingsError, UnknownQueueError
from gae_broker.ports import Action, Role, Sink
from gae_broker.testing.contracts.broker_bench import RealClock, eventually
from gae_broker_adapters.brokers.rabbitmq import open_broker
from gae_broker_adapters.brokers.rabbitmq.operating import permissions
from tests.integration.rabbitmq_world import (
    QUEUES,
    message,
    publish,
    pulled,
    queues,
    received,
    status,
    world,
)
from tests.servers.rabbitmq import RabbitMQContainer

newest = pytest.mark.parametrize("rabbitmq", ["4.3"], indirect=True)
"""What does not depend on the version is tested on one."""


@pytest.fixture
def place(rabbitmq):
    with world(rabbitmq) as made:
        yield made


@pytest.fixture(scope="module")
def common(rabbitmq):
    """One virtual host, deployed, for the tests that change no object of it."""
    with world(rabbitmq) as made:
        made.broker().declare(QUEUES)
        yield made


def test_verifying_names_what_is_missing_and_makes_nothing(place):
    verifying = place.verifying()
    with pytest.raises(ConfigurationError, match=r"lacks 'gaetq.orphan', .* more; run `gae-broker deploy queue.yaml`"):
        verifying.declare(QUEUES)
    assert place.management.call("GET", f"queues/{place.virtual_host}") == []
    place.broker().declare(QUEUES)
    verifying.declare(QUEUES)
    with pytest.raises(
        ConfigurationError, match=r"lacks 'gaetq\.dead\.q\.other', 'gaetq\.push\.q\.other', 'gaetq\.owner\.other'; run"
    ):
        verifying.declare([*QUEUES, Queue("other")])


@newest
def test_what_another_deleted_is_made_again_and_all_is_as_before(place):
    broker = place.broker()
    broker.declare(QUEUES)

    def bindings() -> list[str]:
        return sorted(map(str, place.management.call("GET", f"bindings/{place.virtual_host}")))

    everything = bindings()
    for gone in ("queues/{}/gaetq.delay.v1.2.7", "exchanges/{}/gaetq.delay.v1.3", "queues/{}/gaetq.push.q.mail"):
        place.management.call("DELETE", gone.format(place.virtual_host))
    broker.declare(QUEUES)
    assert bindings() == everything
    publish(broker, message(Kind.PUSH, "mail", after_s=0.3))
    received(broker, "mail", 1)


@newest
def test_a_start_that_was_cut_short_is_completed_by_the_next(place):
    """The last exchange is declared when all else is there: without it nothing is taken for complete."""
    broker = place.broker()
    broker.declare(QUEUES)
    place.management.call("DELETE", f"exchanges/{place.virtual_host}/gaetq.pull")
    bindings = f"bindings/{place.virtual_host}/e/gaetq.due.v1/q/gaetq.push.q.mail"
    for one in place.management.call("GET", bindings):
        place.management.call("DELETE", f"{bindings}/{one['properties_key']}")
    broker.declare(QUEUES)
    publish(broker, message(Kind.PUSH, "mail", after_s=0.2), message(Kind.PULL, "inbox"))
    received(broker, "mail", 1)
    pulled(broker, "inbox")


@newest
def test_queues_of_an_older_server_are_no_reason_not_to_start(place):
    """A server upgraded from 3.10 has queues without the arguments that it knows now."""
    broker = place.broker()
    broker.declare(QUEUES)
    name = f"queues/{place.virtual_host}/gaetq.push.q.mail"
    place.management.call("DELETE", name)
    older = {"x-queue-type": "quorum", "x-single-active-consumer": True}
    place.management.call("PUT", name, {"durable": True, "arguments": older})
    broker.declare(QUEUES)
    publish(broker, message(Kind.PUSH, "mail"))
    received(broker, "mail", 1)
    conflict = [change for change in broker.plan(QUEUES).changes if change.action is Action.CONFLICT]
    assert [change.name for change in conflict] == ["gaetq.push.q.mail"]
    assert "x-delivery-limit" in conflict[0].text
    assert status(broker, "broker topology") == "warning"


def test_definitions_make_a_broker_on_which_verifying_processes_start(place, rabbitmq):
    broker = place.broker()
    made = broker.definitions(QUEUES, rabbitmq.version)
    with world(rabbitmq) as blank:
        made = json.loads(json.dumps(made).replace(place.virtual_host, blank.virtual_host))
        blank.management.call("POST", "definitions", made)
        blank.management.call("POST", "definitions", made)
        importer = blank.verifying()
        importer.declare(QUEUES)
        assert [c for c in importer.plan(QUEUES).changes if c.action is not Action.UNUSED] == []
        publish(importer, message(Kind.PUSH, "mail", after_s=0.2), message(Kind.PULL, "inbox", after_s=0.2))
        received(importer, "mail", 1)
        pulled(importer, "inbox")
        blank.broker().declare(QUEUES)


def test_the_plan_shows_bindings_that_are_gone_and_queues_that_are_wanted_no_more(place):
    broker = place.broker()
    broker.declare([*QUEUES, Queue("old"), Queue("older", mode=Mode.PULL)])
    publish(broker, message(Kind.PULL, "older"), message(Kind.DEAD, "older"))
    bindings = f"bindings/{place.virtual_host}/e/gaetq.push/q/gaetq.push.q.mail"
    place.management.call("DELETE", f"{bindings}/mail")

    def changes():
        plan = broker.plan(QUEUES)
        assert plan.unseen == ()
        return {(change.action, change.queue, change.what, change.tasks) for change in plan.changes}

    wanted = {
        (Action.CREATE, "mail", "binding", 0),
        (Action.UNUSED, "old", "queue", 0),
        (Action.UNUSED, "older", "queue", 2),
    }
    eventually(lambda: changes() == wanted, "the messages to be counted")
    assert status(broker, "broker topology") == "failed"
    broker.declare(QUEUES)
    assert status(broker, "broker topology") == "ok"
    assert broker.known_queues() == {"inbox": Kind.PULL, "mail": Kind.PUSH, "old": Kind.PUSH, "older": Kind.PULL}
    assert broker.remove("old") == 0
    assert broker.remove("older") == 2
    assert "old" not in broker.known_queues()
    publish(broker, message(Kind.PULL, "older"))


@newest
def test_without_the_management_api_the_plan_says_what_it_did_not_see(place):
    plan = place.broker(management="http://127.0.0.1:1").plan(QUEUES)
    assert plan.changes
    (unseen,) = plan.unseen
    assert "queues that are wanted no more" in unseen
    assert "GAE_BROKER_MANAGEMENT" in unseen


@newest
def test_a_queue_that_a_dispatcher_serves_is_not_removed(place):
    broker = place.broker()
    broker.declare(QUEUES)
    owned = []
    subscription = broker.subscribe("mail", Sink(lambda _: None, owned.append, lambda _: None))
    subscription.demand(1)
    eventually(lambda: owned, "the ownership")
    eventually(lambda: broker.remove("mail") == 1, "the consumer to be counted")
    publish(broker, message(Kind.PUSH, "mail"))
    subscription.close()


def test_bytes_stored_are_those_of_our_queues(place):
    broker = place.broker()
    broker.declare(QUEUES)
    later = message(Kind.PUSH, "mail", after_s=600, body=b"y" * 500)
    publish(broker, message(Kind.PULL, "inbox", body=b"x" * 1000), later)
    # 4.3 counts headers too.
    eventually(lambda: 1500 <= broker.stored_bytes() < 2000, "the statistics of the server")
    assert place.broker(management="http://127.0.0.1:1").stored_bytes() is None


# ---------------------------------------------------------------------------------------- permissions


def test_a_user_who_may_not_declare_is_told_the_object_and_what_to_do(common):
    limited = common.broker(common.user("^$", ".*", ".*"))
    limited.declare(QUEUES)  # binding again is allowed: all is there
    with pytest.raises(PermissionDeniedError, match=r"'gaetq.dead.q.new'.*GAE_BROKER_DECLARING=verify"):
        limited.declare([Queue("new")])


@newest
def test_a_user_without_any_permission_is_told_so(common):
    """Older servers show everything to everybody."""
    with pytest.raises(PermissionDeniedError, match=r"docs/how-to/permissions.md"):
        common.verifying(common.user("^$", "^$", "^$")).declare(QUEUES)


@newest
def test_a_wrong_password_and_a_wrong_virtual_host_are_settings(common):
    stranger = common.user(".*", ".*", ".*")
    common.management.call("PUT", f"users/{stranger}", {"password": "changed", "tags": ""})
    with pytest.raises(SettingsError, match="check user and password"):
        common.broker(stranger).declare(QUEUES)
    elsewhere = common.user(".*", ".*", ".*")
    common.management.call("DELETE", f"permissions/{common.virtual_host}/{elsewhere}")
    with pytest.raises(SettingsError, match=r"virtual host|vhost"):
        common.broker(elsewhere).declare(QUEUES)


def test_a_producer_adds_and_can_do_nothing_else(common):
    push, pull = declared = queues()
    common.broker().declare(declared)
    producer = common.verifying(common.user_in(Role.PRODUCER))
    producer.declare(declared)
    publish(
        producer,
        message(Kind.PUSH, push.name),
        message(Kind.PULL, pull.name),
        message(Kind.PUSH, push.name, after_s=0.2),
        message(Kind.PUSH, push.name, after_s=30 * 86_400.0),
    )
    assert producer.depth(Kind.PULL, pull.name).ready == 1
    (answer,) = producer.publish([message(Kind.PUSH, "nowhere")], 5.0)
    assert isinstance(answer, UnknownQueueError)
    with pytest.raises(
        PermissionDeniedError, match=r"take tasks from pull queue .* \(403\); docs/how-to/permissions.md"
    ):
        producer.get(Kind.PULL, pull.name, 1)
    with pytest.raises(PermissionDeniedError):
        producer.purge(Kind.PULL, pull.name)
    assert producer.publish([message(Kind.DEAD, push.name)], 2.0) != [None]


def test_a_worker_dispatches_leases_adds_and_buries_and_deploys_nothing(common):
    push, pull = declared = queues()
    common.broker().declare(declared)
    worker = common.verifying(common.user_in(Role.WORKER))
    worker.declare(declared)
    later = message(Kind.PULL, pull.name, after_s=0.2)
    publish(worker, message(Kind.PUSH, push.name), later, message(Kind.DEAD, push.name))
    received(worker, push.name, 1)
    pulled(worker, pull.name)
    assert worker.purge(Kind.PUSH, push.name) == 0
    with pytest.raises(PermissionDeniedError):
        common.broker(common.user_in(Role.WORKER)).declare(queues())


@newest
def test_an_administrator_deploys_redrives_and_removes(common):
    push, _ = declared = queues()
    administrator = common.broker(common.user_in(Role.ADMINISTRATOR))
    administrator.declare(declared)
    publish(administrator, message(Kind.DEAD, push.name))
    pulled(administrator, push.name, Kind.DEAD)
    assert administrator.remove(push.name) == 0


@pytest.mark.parametrize("role", list(Role))
def test_the_permissions_page_names_what_each_role_gets(role):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "permissions.md").read_text("utf-8")
    configure, write, read = permissions.patterns(role, "gaetq")
    assert f"'{configure}' '{write}' '{read}'" in page


@newest
def test_definitions_are_imported_by_rabbitmqctl_into_a_fresh_node(rabbitmq):
    if rabbitmq.management is None:
        pytest.skip("no Docker")
    with world(rabbitmq) as somewhere, RabbitMQContainer(rabbitmq.version) as fresh:
        made = json.dumps(somewhere.broker().definitions(QUEUES, rabbitmq.version))
        made = made.replace(f'"{somewhere.virtual_host}"', '"/"')
        subprocess.run(
            ["docker", "exec", "-i", fresh.id, "rabbitmqctl", "import_definitions"],
            input=made.encode(),
            check=True,
            capture_output=True,
        )
        options = BrokerOptions(declaring=Declaring.VERIFY, management=fresh.management.url)
        broker = open_broker(fresh.url, clock=RealClock(), options=options)
        try:
            broker.declare(QUEUES)
            publish(broker, message(Kind.PUSH, "mail", after_s=0.2))
            received(broker, "mail", 1)
        finally:
            broker.close()


def test_the_delayed_message_plugin_is_refused_where_it_is_not(place, rabbitmq):
    """No server of the tests has it, and 4.3 cannot; nothing is made, and no other connection suffers."""
    other = place.broker()
    other.declare(QUEUES)
    before = place.management.call("GET", f"exchanges/{place.virtual_host}")
    words = (
        "cannot run x-delayed-message" if rabbitmq.version == "4.3" else "has no plugin that brings x-delayed-message"
    )
    with pytest.raises(ConfigurationError, match=words):
        place.broker(delays=Delays.PLUGIN).declare(QUEUES)
    # Without the management API only declaring the exchange can tell: on 3.10 that costs its own connection.
    with pytest.raises(ConfigurationError, match=words):
        place.broker(delays=Delays.PLUGIN, management="http://127.0.0.1:1").declare(QUEUES)
    assert [one["name"] for one in place.management.call("GET", f"exchanges/{place.virtual_host}")] == [
        one["name"] for one in before
    ]
    assert status(place.broker(delays=Delays.PLUGIN), "broker delays") == "failed"
    publish(other, message(Kind.PUSH, "mail", after_s=0.2))
    received(other, "mail", 1)
