"""Publishing while the broker is out of memory, frozen, killed, or behind TLS: on a node of these tests' own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from gae_broker.domain.task import Kind
from gae_broker.errors import (
    BrokerBlockedError,
    BrokerUnavailableError,
    ConfirmTimeoutError,
    Error,
    SettingsError,
    TaskTooLargeError,
)
from gae_broker.testing.contracts.broker_bench import Bench
from gae_broker.testing.contracts.broker_consumer import Recorder
from gae_broker_adapters.brokers.rabbitmq.broker import RabbitBroker
from tests.integration.rabbitmq_publisher import DEADLINE_S, at, message, opened, stored
from tests.servers.availability import unavailable
from tests.servers.session import ServerUnavailableError

_TLS_PORT = 5671
_LARGEST = 20_000
_FOLDER = "/etc/rabbitmq/"
_CONFIG = f"""
max_message_size = {_LARGEST}
listeners.ssl.default = {_TLS_PORT}
ssl_options.cacertfile = {_FOLDER}authority.pem
ssl_options.certfile = {_FOLDER}server.pem
ssl_options.keyfile = {_FOLDER}server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def node(authority):
    from tests.servers.rabbitmq import RabbitMQContainer  # noqa: PLC0415 - the Docker client takes a while to import

    certificate = authority.issue_cert("broker.example", "127.0.0.1")
    contents = {
        f"{_FOLDER}authority.pem": authority.cert_pem.bytes(),
        f"{_FOLDER}server.pem": b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
        f"{_FOLDER}server.key": certificate.private_key_pem.bytes(),
    }
    try:
        with RabbitMQContainer(config=_CONFIG, contents=contents, ports=[_TLS_PORT]) as started:
            yield started
    except ServerUnavailableError as exc:
        unavailable(str(exc))


@pytest.fixture
def broker(node) -> Iterator[RabbitBroker]:
    with opened(node.url) as made:
        assert made.publish([message()], DEADLINE_S) == [None]
        stored(made, 1)
        yield made


# ---- alarms


def test_an_alarm_is_told_with_the_brokers_reason_and_over_when_it_is(node, broker):
    node.rabbitmqctl("set_vm_memory_high_watermark", "0.0000001")
    try:
        # The broker tells of it when the first message comes.
        _until(lambda: isinstance(broker.publish([message()], 1.0)[0], BrokerBlockedError))
        began_s = time.monotonic()
        answers = broker.publish([message(), message()], 1.0)
        assert time.monotonic() - began_s < 1.0 + 1  # the port's third obligation
        assert [type(error) for error in answers] == [BrokerBlockedError] * 2
        assert "low on memory" in str(answers[0])
        assert "free memory or disk" in str(answers[0])
        with ThreadPoolExecutor(1) as threads:
            late = message()
            waiting = threads.submit(broker.publish, [late], DEADLINE_S)
            node.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
            assert waiting.result() == [None]
    finally:
        node.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    assert late.key in stored(broker, 1)


# ---- too large


def test_a_message_that_the_broker_finds_too_large_is_told_and_the_others_are_stored(broker):
    batch = [message(body=bytes(size)) for size in [10, _LARGEST + 1, 20, _LARGEST, 30, 2 * _LARGEST]]
    with ThreadPoolExecutor(2) as threads:
        others = threads.submit(lambda: [broker.publish([message()], DEADLINE_S)[0] for _ in range(20)])
        answers = broker.publish(batch, DEADLINE_S)
    large = [isinstance(error, TaskTooLargeError) for error in answers]
    assert [large[1], large[5]] == [True, True]
    assert "max_message_size" in str(answers[1])
    assert str(_LARGEST) in str(answers[1])
    # Those before the first large one were on their way when the channel ended: stored or not known to be.
    assert {type(error) for error in answers[2:5]} == {type(None)}
    assert {type(error) for error in [answers[0], *others.result()]} <= {type(None), BrokerUnavailableError}
    expected = {one.key for one, error in zip(batch, answers, strict=True) if error is None}
    assert expected <= stored(broker, len(expected))


# ---- frozen, killed, back again


def test_a_broker_that_is_frozen_may_have_stored_the_message(node, broker):
    node.pause()
    try:
        began_s = time.monotonic()
        (error,) = broker.publish([message()], 1.0)
        assert time.monotonic() - began_s < 1.0 + 1
        assert isinstance(error, ConfirmTimeoutError)
        assert "may be stored" in str(error)
    finally:
        node.unpause()
    _until(lambda: broker.publish([message()], 5.0) == [None])


def test_what_was_written_when_the_broker_died_is_unknown_and_what_was_not_goes_to_the_next(node, broker):
    with ThreadPoolExecutor(4) as threads:
        node.pause()
        written = threads.submit(broker.publish, [message() for _ in range(3)], DEADLINE_S)
        _until(lambda: len(broker._publisher._unconfirmed._written) == 3)
        node.kill()
        answers = written.result()
        assert [type(error) for error in answers] == [BrokerUnavailableError] * 3
        assert "may be stored" in str(answers[0])
        assert isinstance(broker.publish([message()], 1.0)[0], BrokerUnavailableError)
        batch = [message() for _ in range(40)]
        waiting: Future[list[Exception | None]] = threads.submit(broker.publish, batch, 2 * DEADLINE_S)
        abandoned = broker.publish([given_up := message()], 0.2)
        node.start()
        assert waiting.result() == [None] * 40
    assert isinstance(abandoned[0], Error)
    found = stored(broker, 40)
    assert found >= {one.key for one in batch}
    assert given_up.key not in found


def test_heartbeats_keep_an_idle_connection(node):
    with opened(f"{node.url}?heartbeat=1", declare=True) as broker:
        assert broker.publish([message()], DEADLINE_S) == [None]
        turn, connection = broker._publisher.session._turn, broker._publisher._connection
        received = connection.frames_received
        _until(lambda: connection.frames_received >= received + 4)  # a heartbeat every half a second
        assert broker.publish([message()], DEADLINE_S) == [None]
        assert broker._publisher.session._turn == turn
        assert broker._publisher._connection is connection


# ---- TLS


def _tls(node, **options: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"amqps{at(node.url, port=node.port_of(_TLS_PORT)).removeprefix('amqp')}?{query}"


@pytest.fixture
def cafile(authority, tmp_path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return tmp_path / "authority.pem"


@pytest.mark.parametrize("name", ["127.0.0.1", "broker.example"])
def test_tls_with_the_name_in_the_certificate(node, cafile, name):
    with opened(_tls(node, cafile=str(cafile), server_name=name)) as broker:
        published = [message(body=bytes(15_000)) for _ in range(50)]
        assert broker.publish(published, DEADLINE_S) == [None] * 50
        assert not broker._publisher._outlet.any_thread
        assert stored(broker, 50) == {one.key for one in published}


def test_push_and_pull_over_tls(node, cafile):
    bench = Bench(
        "gae_broker_adapters.brokers.rabbitmq:open_broker", _tls(node, cafile=str(cafile), server_name="127.0.0.1")
    )
    try:
        pushed, pulled = bench.stored(300, Kind.PUSH), bench.stored(30)
        recorder = Recorder(bench.broker, bench.push, demand=300)
        assert {one.copy_id for one in recorder.await_messages(300)} == {one.copy_id for one in pushed}
        recorder.subscription.ack(recorder.delivered[:200])
        recorder.subscription.restore(recorder.delivered[200:])
        recorder.subscription.demand(100)
        recorder.await_messages(400)
        taken = bench.take(30)
        assert [delivery.message for delivery in taken] == pulled
        bench.broker.ack(taken)
        assert bench.is_empty()
    finally:
        bench.close()


def test_tls_with_a_clients_certificate(node, authority, cafile, tmp_path):
    mine = authority.issue_cert("client.example")
    mine.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    with opened(_tls(node, cafile=str(cafile), certfile=str(tmp_path / "client.pem"))) as broker:
        assert broker.publish([message()], DEADLINE_S) == [None]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "cannot be trusted: .*certificate"),
        ({"server_name": "other.example"}, "cannot be trusted: .*(other.example|[Hh]ostname)"),
        ({"cafile": "stranger"}, "cannot be trusted"),
    ],
)
def test_a_server_that_cannot_be_verified_is_told_at_once(node, cafile, tmp_path, options, text):
    trustme.CA().cert_pem.write_to_path(tmp_path / "stranger.pem")
    named = {"server_name": "127.0.0.1"} | options
    if options:
        named["cafile"] = str(tmp_path / "stranger.pem" if "cafile" in options else cafile)
    with opened(_tls(node, **named), declare=False) as broker:
        for _ in range(2):
            (error,) = broker.publish([message()], 10 * DEADLINE_S)
            assert isinstance(error, SettingsError)
            with pytest.raises(SettingsError, match=text):
                raise error


def test_tls_to_a_port_without_it_and_the_reverse(node, cafile):
    plain = f"amqps{node.url.removeprefix('amqp')}?cafile={cafile}"
    with opened(plain, declare=False) as broker:
        (error,) = broker.publish([message()], 3.0)
    assert isinstance(error, SettingsError | BrokerUnavailableError)  # by what the broker sends before it hangs up
    assert "TLS" in str(error)
    with opened(at(node.url, port=node.port_of(_TLS_PORT)), declare=False) as broker:
        (error,) = broker.publish([message()], 3.0)
    assert isinstance(error, BrokerUnavailableError)
    assert "one for AMQP without TLS" in str(error)


def _until(condition) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
