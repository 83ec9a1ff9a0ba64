"""Our own encoding of a publish: byte for byte what pika makes of it."""

from __future__ import annotations

import pika
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pika import frame, spec

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import StorageError
from gae_broker_adapters.brokers.rabbitmq.wire import envelope, frames

_UNTIMED = settings(deadline=None)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_MESSAGES = st.builds(
    Message,
    copy_id=_TEXT,
    kind=st.sampled_from(Kind),
    queue=_TEXT,
    key=st.text(st.characters(exclude_categories=["Cs"]), max_size=500),
    due_us=st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-(1 << 31) - 1, 1 << 31),
    meta=_TEXT | st.integers(2900, 3100).map("é".__mul__) | st.integers(2990, 3010).map("m".__mul__),
    body=st.binary(max_size=300) | st.integers(4080, 12300).map(bytes),
)


def _by_pika(message: Message, exchange: str, key: str, cut: frames.Cut) -> bytes:
    """As `pika.connection.Connection._send_message` does it."""
    properties, body = envelope.contents(message)
    method = spec.Basic.Publish(exchange=exchange, routing_key=key, mandatory=True)
    pieces = [
        frame.Method(cut.channel, method).marshal(),
        frame.Header(cut.channel, len(body), properties).marshal(),
    ]
    largest = cut.largest_frame - spec.FRAME_HEADER_SIZE - spec.FRAME_END_SIZE
    chunks = [body[start : start + largest] for start in range(0, len(body), largest)]
    return b"".join([*pieces, *(frame.Body(cut.channel, chunk).marshal() for chunk in chunks)])


@_UNTIMED
@given(_MESSAGES, _TEXT, _TEXT, st.builds(frames.Cut, st.integers(1, 65535), st.sampled_from([4096, 8192, 131072])))
@example(Message("", Kind.PUSH, "", "", 0, "", b""), "", "", frames.Cut(1, 4096))
@example(Message("", Kind.PUSH, "", "", 0, "", bytes(4088)), "", "", frames.Cut(1, 4096))
@example(Message("", Kind.PUSH, "", "", 0, "", bytes(4089)), "", "", frames.Cut(1, 4096))
@example(envelope.Returned("c", Kind.PUSH, "q", "k", 0, "m", b"", 2), "x", "q", frames.Cut(1, 4096))
@example(envelope.Returned("c", Kind.PUSH, "q", "k", 0, "m", b"", 0), "x", "q", frames.Cut(1, 4096))
def test_it_is_what_pika_would_send(message, exchange, key, cut):
    assert frames.publish(message, exchange, key, cut) == _by_pika(message, exchange, key, cut)


@_UNTIMED
@given(_MESSAGES)
def test_what_is_delivered_is_what_was_published(message):
    properties, body = envelope.contents(message)
    encoded = b"".join(properties.encode())
    decoded = pika.BasicProperties().decode(encoded)
    assert envelope.message(message.kind, message.queue, decoded, body) == message


def test_a_message_that_is_put_back_keeps_its_count_of_ended_workers():
    properties, _ = envelope.contents(envelope.Returned("c", Kind.PUSH, "q", "k", 0, "m", b"", 2))
    assert envelope.delivery_count(properties) == 2
    properties.headers["x-delivery-count"] = 1
    assert envelope.delivery_count(properties) == 3


@_UNTIMED
@given(_MESSAGES)
def test_no_header_frame_is_beyond_what_any_broker_takes(message):
    properties, _ = envelope.contents(message)
    assert len(frame.Header(1, 0, properties).marshal()) < 6000


@pytest.mark.parametrize(
    ("exchange", "message"),
    [("x" * 256, {}), ("x", {"copy_id": "é" * 128}), ("x", {"meta": "\ud800"}), ("x", {"key": "\udfff"})],
)
def test_what_amqp_cannot_carry_is_a_value_error(exchange, message):
    fields = {"copy_id": "c", "kind": Kind.PUSH, "queue": "q", "key": "k", "due_us": 0, "meta": "m", "body": b""}
    with pytest.raises(ValueError, match=r"AMQP takes 255|surrogates not allowed"):
        frames.publish(Message(**(fields | message)), exchange, "key", frames.Cut(1, 4096))


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"gae-task": "t"}, {"gae-task": "t", "gae-due-us": 1, "gae-meta-length": "many"}],
)
def test_a_foreign_message_is_told_as_such(headers):
    with pytest.raises(StorageError, match=r"queue 'q' has no readable header .*not published by gae-broker"):
        envelope.message(Kind.PULL, "q", pika.BasicProperties(headers=headers), b"\xff")
