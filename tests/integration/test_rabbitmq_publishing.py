"""Publishing to RabbitMQ, and each of its refusals as its own error; on a broker that other tests use too."""

from __future__ import annotations

import logging
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import (
    BrokerUnavailableError,
    PermissionDeniedError,
    PublishRejectedError,
    SettingsError,
    UnknownQueueError,
)
from gae_broker_adapters.brokers.rabbitmq.publishing import publisher
from gae_broker_adapters.brokers.rabbitmq.wire.outlet import FrameOutlet, PublicOutlet
from tests.integration.rabbitmq_publisher import DEADLINE_S, QUEUE, at, message, opened, stored


@pytest.fixture
def management(rabbitmq):
    if rabbitmq.management is None:
        pytest.skip("a given broker's users and policies are not this test's to change")
    return rabbitmq.management


@pytest.fixture
def broker(rabbitmq_url):
    with opened(rabbitmq_url) as made:
        yield made


@pytest.fixture
def virtual_host(rabbitmq_url):
    return urlsplit(rabbitmq_url).path[1:]


def _connections(broker) -> int:
    """How many connections its publisher has opened so far, by what it logged."""
    return broker._publisher.session._turn


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


class _Relay(socketserver.ThreadingTCPServer):
    """Passes connections to an IPv6 address on to a port of 127.0.0.1."""

    address_family = socket.AF_INET6

    def __init__(self, target: int) -> None:
        self.target = target
        super().__init__(("::1", 0), _Passing)


class _Passing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as far:
            back = threading.Thread(target=_carry, args=(far, self.request))
            back.start()
            _carry(self.request, far)
            back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Carry one direction to its end, which is the other's too."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


# ---- what is accepted


def test_many_threads_with_batches_and_single_messages(broker):
    batches = [[message(body=bytes(1000 * size)) for _ in range(size)] for size in [1, 33, 2, 100, 1, 7] * 6]
    batches += [[message(body=bytes(300_000)) for _ in range(4)]]
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda batch: broker.publish(batch, DEADLINE_S), batches))
    assert {error for answer in answers for error in answer} == {None}
    assert stored(broker, sum(map(len, batches))) == {one.key for batch in batches for one in batch}


def test_a_meta_larger_than_any_frame_arrives(broker):
    large = replace(message(body=b"the body"), meta="é" * 150_000)
    assert broker.publish([message(), large, message()], DEADLINE_S) == [None] * 3
    taken = {}
    while len(taken) < 3:
        deliveries = broker.get(Kind.PULL, QUEUE, 10)
        taken |= {delivery.message.key: delivery.message for delivery in deliveries}
        broker.ack(deliveries)
    assert taken[large.key] == large


def test_the_frames_go_past_pikas_encoding(broker):
    """Or a new pika has made adding several times slower: see `outlet`."""
    assert broker.publish([message()], DEADLINE_S) == [None]
    outlet = broker._publisher._outlet
    assert type(outlet).__name__ == "FrameOutlet"
    assert outlet.any_thread


def test_pikas_documented_ways_will_do(broker, monkeypatch):
    """What is left to use should pika's inner parts change."""
    monkeypatch.setattr(publisher, "open_outlet", lambda channel, _gate: PublicOutlet(channel))
    published = [message(body=bytes(200_000)), message(), replace(message(), meta="m" * 5000)]
    assert broker.publish(published, DEADLINE_S) == [None] * 3
    assert type(broker._publisher._outlet).__name__ == "PublicOutlet"
    assert stored(broker, 3) == {one.key for one in published}


# ---- what is refused


@pytest.mark.parametrize("count", [1, 40])
def test_each_message_to_a_missing_queue_is_unknown_and_the_others_are_stored(broker, count):
    good, bad = [message() for _ in range(count)], [message(queue="missing") for _ in range(count)]
    mixed = [one for pair in zip(good, bad, strict=True) for one in pair]
    answers = broker.publish([*mixed, bad[0], bad[0]], DEADLINE_S)
    assert [type(error) for error in answers] == [type(None), UnknownQueueError] * count + [UnknownQueueError] * 2
    assert "no pull queue 'missing'" in str(answers[1])
    assert "gae-broker deploy" in str(answers[1])
    assert stored(broker, count) == {one.key for one in good}


def test_a_nack_is_a_refusal_of_its_message_alone(broker, management, virtual_host, rabbitmq_url):
    definition = {"max-length": 2, "overflow": "reject-publish"}
    policy = {"pattern": f"^gaetq.pull.q.{QUEUE}$", "definition": definition, "apply-to": "queues"}
    management.call("PUT", f"policies/{virtual_host}/short", policy)
    try:
        _wait_for(lambda: any(isinstance(e, PublishRejectedError) for e in broker.publish([message()], DEADLINE_S)))
        full, other = broker.publish([message(), message(Kind.PUSH)], DEADLINE_S)
        assert isinstance(full, PublishRejectedError)
        assert f"pull queue '{QUEUE}' (basic.nack)" in str(full)
        assert other is None
    finally:
        management.call("DELETE", f"policies/{virtual_host}/short")
    with opened(rabbitmq_url) as another:  # 3.10 goes on refusing on a channel that has seen the limit
        _wait_for(lambda: another.publish([message()], DEADLINE_S) == [None])


def test_without_the_exchange_every_message_to_it_is_unknown_and_no_other(broker, management, virtual_host):
    assert broker.publish([message()], DEADLINE_S) == [None]
    stored(broker, 1)
    management.call("DELETE", f"exchanges/{virtual_host}/gaetq.push")
    before = _connections(broker)
    pull, push = [message() for _ in range(3)], [message(Kind.PUSH) for _ in range(40)]
    try:
        answers = broker.publish([*push, *pull], DEADLINE_S)
        assert [type(error) for error in answers] == [UnknownQueueError] * 40 + [type(None)] * 3
        assert "no exchange 'gaetq.push'" in str(answers[0])
        assert "gae-broker deploy" in str(answers[0])
        assert _connections(broker) == before
        assert stored(broker, 3) == {one.key for one in pull}
    finally:
        broker.declare([Queue(QUEUE, mode=Mode.PULL), Queue(f"{QUEUE}-push")])
    assert broker.publish([message(Kind.PUSH)], DEADLINE_S) == [None]


def test_who_may_not_write_is_told_so(broker, management, virtual_host, rabbitmq_url):
    user, password = f"reader-{secrets.token_hex(4)}", "p@ss/wörd?#%"
    management.call("PUT", f"users/{user}", {"password": password, "tags": ""})
    rights = {"configure": "^$", "write": r"^gaetq\.pull$", "read": "^$"}
    management.call("PUT", f"permissions/{virtual_host}/{user}", rights)
    url = at(rabbitmq_url, user=f"{user}:p%40ss%2Fw%C3%B6rd%3F%23%25")
    try:
        with opened(url, declare=False) as limited:
            refused, allowed = limited.publish([message(Kind.PUSH), message()], DEADLINE_S)
            assert isinstance(refused, PermissionDeniedError)
            assert "write permission" in str(refused)
            assert "access to exchange 'gaetq.push'" in str(refused)
            assert allowed is None
    finally:
        management.call("DELETE", f"users/{user}")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"user": "guest:hunter2"}, "check user and password"),
        ({"user": "nobody:hunter2"}, "check user and password"),
        ({"path": "/there-is-none"}, "not found; create the virtual host"),
    ],
)
def test_a_wrong_login_or_virtual_host_is_told_at_once_and_each_time(rabbitmq_url, changes, text, caplog):
    caplog.set_level(logging.DEBUG)
    with opened(at(rabbitmq_url, **changes), declare=False) as refused:
        for _ in range(3):
            answers = refused.publish([message(), message()], 10 * DEADLINE_S)
            assert {type(error) for error in answers} == {SettingsError}
            assert text in str(answers[0])
            assert "hunter2" not in str(answers[0])
    assert "hunter2" not in caplog.text


def test_a_user_without_rights_in_the_virtual_host_is_told_so(management, virtual_host, rabbitmq_url):
    user = f"stranger-{secrets.token_hex(4)}"
    management.call("PUT", f"users/{user}", {"password": "p", "tags": ""})
    try:
        with opened(at(rabbitmq_url, user=f"{user}:p"), declare=False) as refused:
            (error,) = refused.publish([message()], DEADLINE_S)
        assert isinstance(error, SettingsError)
        assert "give the user permissions" in str(error)
    finally:
        management.call("DELETE", f"users/{user}")


# ---- a signal in the middle


class _Interrupted:
    """An outlet that is interrupted, as by Ctrl+C, when half of the bytes are written."""

    def __init__(self, outlet: FrameOutlet) -> None:
        self.cut, self.any_thread, self.encode = outlet.cut, outlet.any_thread, outlet.encode
        self._write = outlet.write

    def write(self, encoded: Sequence[bytes]) -> None:
        half = b"".join(encoded)
        self._write([half[: len(half) // 2]])
        raise KeyboardInterrupt


def test_an_interrupted_write_ends_the_connection_and_the_next_one_is_sound(broker):
    assert broker.publish([message()], DEADLINE_S) == [None]
    connections = _connections(broker)
    broker._publisher._outlet = _Interrupted(broker._publisher._outlet)
    with pytest.raises(KeyboardInterrupt):
        broker.publish([lost := message()], DEADLINE_S)
    after = [message() for _ in range(3)]
    assert [broker.publish([one], DEADLINE_S) for one in after] == [[None]] * 3
    assert _connections(broker) == connections + 1
    found = stored(broker, 4)
    assert {one.key for one in after} <= found
    assert lost.key not in found


# ---- where the broker is


def test_of_several_hosts_those_that_cannot_be_reached_are_passed_over(rabbitmq_url):
    port = urlsplit(rabbitmq_url).port
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = taken.getsockname()[1]
        taken.close()
        hosts = f"no-such-host.invalid,127.0.0.1:{nowhere},127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{port}"
        url = f"amqp://guest:guest@{hosts}{urlsplit(rabbitmq_url).path}?connection_timeout=1"
        for _ in range(2):  # each begins with a host at random
            with opened(url) as broker:
                assert broker.publish([message()], DEADLINE_S) == [None]


@pytest.mark.parametrize(
    ("host", "text"), [("no-such-host.invalid", "name is not known"), ("127.0.0.1:{}", "nothing listens there")]
)
def test_a_broker_that_is_not_there_is_unavailable_when_the_deadline_is_over(host, text):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with opened(f"amqp://guest:hunter2@{host.format(port)}", declare=False) as broker:
        began_s = time.monotonic()
        (error,) = broker.publish([message()], 1.5)
        assert time.monotonic() - began_s < 1.5 + 1  # the port's third obligation
    assert isinstance(error, BrokerUnavailableError)
    assert text in str(error)
    assert "hunter2" not in str(error)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6(rabbitmq_url):
    with _Relay(urlsplit(rabbitmq_url).port) as relay:
        serving = threading.Thread(target=relay.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        port = relay.server_address[1]
        with opened(f"amqp://guest:guest@[::1]:{port}{urlsplit(rabbitmq_url).path}") as broker:
            assert broker.publish([message()], DEADLINE_S) == [None]
            assert str(broker._location).startswith(f"[::1]:{port}/")
        relay.shutdown()
        serving.join()


# ---- the end


def test_closing_tells_who_waits_and_who_comes_after(rabbitmq_url):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with opened(f"amqp://127.0.0.1:{silent.getsockname()[1]}", declare=False) as broker:
            with ThreadPoolExecutor(1) as threads:
                waiting = threads.submit(broker.publish, [message()], 10 * DEADLINE_S)
                connection, _ = silent.accept()
                broker.close()
                (early,) = waiting.result()
            (late,) = broker.publish([message()], 10 * DEADLINE_S)
        connection.close()
    for error in (early, late):
        assert isinstance(error, BrokerUnavailableError)
        assert "closed by this program" in str(error)
    assert not [thread for thread in threading.enumerate() if thread.name == "gae-broker-publisher"]
