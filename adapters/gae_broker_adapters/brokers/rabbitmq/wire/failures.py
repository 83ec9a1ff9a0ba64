"""What pika and the operating system report, as this package's errors; pure.

A failure that passes by itself (a broker that restarts, a network that is down) is a `BrokerUnavailableError`. One
that stays until somebody changes a setting here or a user there is a `SettingsError`, and callers are told at once
instead of when their deadline is over.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Sequence

from pika import exceptions
from pika.adapters.utils import connection_workflow

from gae_broker.errors import BrokerUnavailableError, Error, SettingsError

FAILURES = (exceptions.AMQPError, connection_workflow.AMQPConnectorException, OSError)
"""What pika raises where a connection cannot be made."""
_BY_BROKER = re.compile(r"""ConnectionClosedByBroker: \((\d+)\) ['"](.*)['"]$""", re.DOTALL)
"""In the texts of what pika raises in place of the broker's own reason."""
_ACCESS_REFUSED, _NOT_ALLOWED = 403, 530
_TLS_MISTAKES = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "WRONG_VERSION_NUMBER", "PROTOCOL_VERSION")


def to_connect(failure: BaseException, where: str) -> Error:
    """Why a connection could not be made.

    Args:
        failure: as pika reported it.
        where: the broker's address, for the text.
    """
    cause = _innermost(failure)
    by_broker = _closed_by_broker(cause)
    if by_broker is not None:
        return _refused(*by_broker, where)
    if isinstance(cause, ssl.SSLError):
        return _tls(cause, where)
    return BrokerUnavailableError(f"RabbitMQ at {where} cannot be reached: {_advice(cause)}")


def gravest(errors: Sequence[Error]) -> Error:
    """The one error for all hosts of a cluster: lasting only where none of them may pass."""
    return next((error for error in errors if not isinstance(error, SettingsError)), errors[0])


def to_stay(failure: BaseException, where: str) -> Error:
    """Why a connection ended."""
    return BrokerUnavailableError(f"RabbitMQ at {where} ended the connection: {text(failure)}")


def text(failure: BaseException) -> str:
    """What an exception says, or its name where it says nothing."""
    by_broker = _closed_by_broker(failure)
    if by_broker is not None:
        return f"{by_broker[1]} ({by_broker[0]})"
    return str(failure) or repr(failure)


def _innermost(failure: BaseException) -> BaseException:
    while True:
        if isinstance(failure, connection_workflow.AMQPConnectionWorkflowFailed) and failure.exceptions:
            failure = failure.exceptions[-1]
        elif isinstance(failure, connection_workflow.AMQPConnectorPhaseErrorBase):
            failure = failure.exception
        elif isinstance(failure, exceptions.AMQPConnectionError) and isinstance(
            next(iter(failure.args), None), connection_workflow.AMQPConnectorPhaseErrorBase
        ):
            failure = failure.args[0]
        else:
            return failure


def _closed_by_broker(failure: BaseException) -> tuple[int, str] | None:
    """(code, text) of the broker's own reason, ``None`` where it gave none."""
    if isinstance(failure, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return failure.reply_code, failure.reply_text
    match = _BY_BROKER.search(str(failure)) if isinstance(failure, exceptions.AMQPConnectionError) else None
    return None if match is None else (int(match[1]), match[2])


def _refused(code: int, reason: str, where: str) -> Error:
    said = f"RabbitMQ at {where} refused the connection: {reason}"
    if code == _ACCESS_REFUSED:
        return SettingsError(f"{said}; check user and password of the broker URL")
    if code == _NOT_ALLOWED and "not found" in reason:
        return SettingsError(f"{said}; create the virtual host, or correct the broker URL's path")
    if code == _NOT_ALLOWED and "refused for user" in reason and "limit" not in reason:
        return SettingsError(f"{said}; give the user permissions in this virtual host (rabbitmqctl)")
    return BrokerUnavailableError(said)


def _tls(cause: ssl.SSLError, where: str) -> Error:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SettingsError(
            f"RabbitMQ at {where} has a certificate that cannot be trusted: {cause.verify_message}; name its authority "
            "by ?cafile=, and the host (or ?server_name=) as the certificate does",
        )
    reason = (cause.reason or "").upper()
    if any(mistake in reason for mistake in _TLS_MISTAKES):
        return SettingsError(
            f"RabbitMQ at {where} and this client do not agree on TLS: {reason or cause}; check that the port is one "
            "for TLS (5671), and whether the broker wants a client's certificate (?certfile=, ?keyfile=)",
        )
    return BrokerUnavailableError(f"RabbitMQ at {where}: TLS failed: {text(cause)}")


def _advice(cause: BaseException) -> str:
    if isinstance(cause, socket.gaierror):
        return f"the host's name is not known here ({cause.strerror}); check the broker URL and the name service"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there (connection refused); is RabbitMQ running, and is the port right?"
    if isinstance(cause, TimeoutError | connection_workflow.AMQPConnectorStackTimeout):
        return "no answer in time; is a firewall or a network in between, or the broker overloaded?"
    if isinstance(cause, exceptions.IncompatibleProtocolError):
        return "it hung up without a word of AMQP; is it up, and is the port one for AMQP without TLS (5672)?"
    return text(cause)
