"""What pika reports as our errors: what passes, and what somebody must change."""

from __future__ import annotations

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils import connection_workflow as workflow

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import (
    BrokerUnavailableError,
    PermissionDeniedError,
    SettingsError,
    TaskTooLargeError,
    UnknownQueueError,
)
from gae_broker_adapters.brokers.rabbitmq.publishing import refusals
from gae_broker_adapters.brokers.rabbitmq.wire import failures, location

_LOGIN = "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN."


def _tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] it failed (_ssl.c:1000)")
    error.reason = reason
    return error


def _untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "kind", "text"),
    [
        (socket.gaierror(-2, "Name or service not known"), BrokerUnavailableError, "name is not known here"),
        (ConnectionRefusedError(111, "refused"), BrokerUnavailableError, "is RabbitMQ running"),
        (TimeoutError(), BrokerUnavailableError, "no answer in time"),
        (workflow.AMQPConnectorStackTimeout("AMQP"), BrokerUnavailableError, "no answer in time"),
        (exceptions.IncompatibleProtocolError("EOF"), BrokerUnavailableError, "without a word of AMQP"),
        (exceptions.ProbableAuthenticationError("StreamLostError: EOF"), BrokerUnavailableError, "EOF"),
        (OSError(113, "No route to host"), BrokerUnavailableError, "No route to host"),
        (
            exceptions.ProbableAuthenticationError(f"ConnectionClosedByBroker: (403) '{_LOGIN}'"),
            SettingsError,
            "Login was refused.*check user and password",
        ),
        (
            exceptions.ProbableAccessDeniedError(
                "ConnectionClosedByBroker: (530) \"NOT_ALLOWED - vhost 'x' not found\""
            ),
            SettingsError,
            "vhost 'x' not found; create the virtual host",
        ),
        (
            exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - access to vhost 'x' refused for user 'u'"),
            SettingsError,
            "give the user permissions",
        ),
        (
            exceptions.ConnectionClosedByBroker(
                530, "NOT_ALLOWED - access to vhost 'x' refused for user 'u': connection limit (1) is reached"
            ),
            BrokerUnavailableError,
            "limit",
        ),
        (
            exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - vhost 'x' is down"),
            BrokerUnavailableError,
            "is down",
        ),
        (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - shutdown"), BrokerUnavailableError, "shutdown"),
        (_untrusted(), SettingsError, "self-signed certificate; name its authority"),
        (_tls("WRONG_VERSION_NUMBER"), SettingsError, "one for TLS"),
        (_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), SettingsError, "wants a client's certificate"),
        (_tls("UNEXPECTED_EOF_WHILE_READING"), BrokerUnavailableError, "TLS failed"),
    ],
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda cause: cause,
        lambda cause: workflow.AMQPConnectionWorkflowFailed([workflow.AMQPConnectorAMQPHandshakeError(cause)]),
        lambda cause: exceptions.AMQPConnectionError(workflow.AMQPConnectorSocketConnectError(cause)),
    ],
)
def test_why_a_connection_could_not_be_made(cause, kind, text, wrap):
    error = failures.to_connect(wrap(cause), "host:5672")
    assert type(error) is kind
    with pytest.raises(kind, match=rf"(?s)host:5672.*{text}"):
        raise error


def test_hosts_that_refuse_hide_none_that_may_come_back():
    refused, gone = SettingsError("refused"), BrokerUnavailableError("gone")
    assert failures.gravest([refused, gone]) is gone
    assert failures.gravest([refused, refused]) is refused


@pytest.mark.parametrize(
    ("code", "reply", "guilty", "kind", "text"),
    [
        (404, "NOT_FOUND - no exchange 'g.push' in vhost '/'", "abc", UnknownQueueError, "deploy"),
        (403, "ACCESS_REFUSED - write access to exchange 'g.push' in vhost '/' refused for user 'u'", "abc",
         PermissionDeniedError, "write permission"),
        (403, "ACCESS_REFUSED - access to exchange 'g.push' in vhost '/' refused for user 'u'", "abc",
         PermissionDeniedError, "write permission"),
        (406, "PRECONDITION_FAILED - message size 51 is larger than configured max size 50", "bd",
         TaskTooLargeError, "max_message_size"),
        (406, "PRECONDITION_FAILED - message size 51 is larger than max size 50", "bd", TaskTooLargeError, "raise"),
        (504, "CHANNEL_ERROR - whatever", "", None, ""),
        (541, "INTERNAL_ERROR", "", None, ""),
    ],
)  # fmt: skip
def test_which_messages_a_channel_was_closed_for(code, reply, guilty, kind, text):
    closed = exceptions.ChannelClosedByBroker(code, reply)
    messages = [
        Message(name, Kind.PUSH, "q", name, 0, "", bytes(size)) for name, size in [("a", 1), ("b", 60), ("c", 50)]
    ] + [Message("d", Kind.PULL, "q", "d", 0, "m" * 4000, b"")]
    objects = refusals.objection(closed, lambda message: (f"g.{message.kind}", "q"))
    found = [message for message in messages if objects(message)]
    assert "".join(message.key for message in found) == guilty
    if found:
        error = refusals.verdict(closed, found[0], location.parse("amqp://h"))
        assert type(error) is kind
        assert text in str(error)
        assert reply in str(error)
