"""Reading deliveries from bytes: what pika makes of them, in whatever pieces they arrive."""

from __future__ import annotations

import datetime
import decimal
from itertools import pairwise

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import frame, spec
from pika.adapters.select_connection import SelectConnection

from gae_broker_adapters.brokers.rabbitmq.wire import inlet
from gae_broker_adapters.brokers.rabbitmq.wire.inlet import Inlet, connection_class

OURS = {"gae-task": "t", "gae-due-us": 1 << 40, "gae-meta": '{"ü":1}', "x-delivery-count": 3}
DEATHS = {"x-death": [{"count": 1, "queue": "q", "time": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}]}


class Reader(Inlet):
    """An inlet without a connection, that notes what it hands to pika and what it hands out."""

    def __init__(self):
        self._takers = {}
        self._confirm_takers = {}
        self._rest = b""
        self.bytes_received = self.frames_received = 0
        self.taken = []
        self.frames = []
        self.is_closed = False
        self.log = []

    is_closed = False

    def _process_frame(self, value):
        self.frames.append(value)
        self.log.append(value.NAME)

    def watch(self, channel):
        self.take(channel, lambda contents: (self.taken.append(contents), self.log.append(len(contents))))


def delivery(tag, body=b"body", *, channel=5, frame_max=100, **properties):
    method = spec.Basic.Deliver("ctag1.x", tag, False, "exchange", "key")
    return [
        frame.Method(channel, method).marshal(),
        frame.Header(channel, len(body), pika.BasicProperties(**properties)).marshal(),
        *(frame.Body(channel, body[at : at + frame_max]).marshal() for at in range(0, len(body), frame_max)),
    ]


def as_tuple(content):
    tag, properties, body = content
    headers = properties.headers or {}
    return tag, properties.message_id, {key: headers[key] for key in OURS if key in headers}, body


@given(
    st.lists(st.binary(max_size=700), min_size=1, max_size=5),
    st.lists(st.integers(1, 4000), max_size=10),
    st.booleans(),
)
def test_deliveries_come_out_whole_however_the_bytes_arrive(bodies, cuts, is_delayed):
    headers = {**DEATHS, **OURS} if is_delayed else OURS
    data = b"".join(
        b"".join(delivery(tag, body, delivery_mode=2, message_id=f"m{tag}", headers=headers))
        for tag, body in enumerate(bodies, 1)
    )
    reader = Reader()
    reader.watch(5)
    edges = [0, *sorted({cut for cut in cuts if cut < len(data)}), len(data)]
    for begin, end in pairwise(edges):
        reader._on_data_available(data[begin:end])
    expected = [(tag, f"m{tag}", OURS, body) for tag, body in enumerate(bodies, 1)]
    assert [as_tuple(content) for contents in reader.taken for content in contents] == expected
    assert reader.frames == []
    assert reader.bytes_received == len(data)


@pytest.mark.parametrize(
    "properties",
    [
        {"message_id": "m"},
        {"headers": {}, "delivery_mode": 2},
        {"headers": OURS, "message_id": "m", "timestamp": 12, "content_type": "text/plain"},
        {"headers": {**OURS, "x": [1, "a", {"b": None}], "y": {"z": decimal.Decimal("1.5")}, "b": b"\xff"}},
        {"headers": {"x-b": True, "x-n": None, "x-i": 7, **OURS}, "message_id": "m"},
        {"headers": {**OURS, "gae-task": b"bytes"}},
        {},
    ],
)
def test_properties_are_read_as_pika_reads_them(properties):
    raw = pika.BasicProperties(**properties)
    decoded = pika.BasicProperties()
    decoded.decode(b"".join(raw.encode()))
    reader = Reader()
    reader.watch(5)
    reader._on_data_available(b"".join(delivery(1, **properties)))
    [[content]] = reader.taken
    assert as_tuple(content) == as_tuple((1, decoded, b"body"))


def test_text_that_is_none_is_left_to_pika():
    (method, header, body) = delivery(1, headers={"gae-task": "abc"}, message_id="m")
    reader = Reader()
    reader.watch(5)
    reader._on_data_available(method + header.replace(b"abc", b"\xff\xfe\xfd") + body)
    [[(_, properties, _)]] = reader.taken
    assert properties.headers == {"gae-task": b"\xff\xfe\xfd"}


def test_what_the_broker_says_keeps_its_place_among_deliveries():
    cancelled = frame.Method(5, spec.Basic.CancelOk("ctag1.x")).marshal()
    reader = Reader()
    reader.watch(5)
    one, two, three = (b"".join(delivery(tag)) for tag in (1, 2, 3))
    reader._on_data_available(one + two + cancelled + three)
    assert reader.log == [2, "METHOD", 1]


def test_other_channels_are_pikas():
    reader = Reader()
    reader.watch(5)
    reader._on_data_available(b"".join(delivery(1, channel=6)))
    assert reader.log == ["METHOD", "Header", "Body"]


def test_frames_of_several_channels_in_between_are_pikas():
    method, header, body = delivery(1)
    reader = Reader()
    reader.watch(5)
    reader._on_data_available(method + frame.Method(6, spec.Basic.CancelOk("x")).marshal() + header + body)
    assert reader.log == ["METHOD", "METHOD", "Header", "Body"]
    reader._on_data_available(b"".join(delivery(2)))
    assert reader.log[4:] == [1]


@given(
    st.lists(st.tuples(st.integers(1, 1 << 62), st.booleans(), st.booleans()), max_size=8),
    st.lists(st.integers(1, 60), max_size=12),
)
def test_confirms_are_read_as_pika_reads_them_however_the_bytes_arrive(confirms, cuts):
    data = b"".join(
        frame.Method(3, (spec.Basic.Nack if refused else spec.Basic.Ack)(tag, multiple)).marshal()
        for tag, multiple, refused in confirms
    )
    reader, found = Reader(), []
    reader.take_confirms(3, lambda *confirm: found.append(confirm))
    for start, end in pairwise([0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]):
        reader._on_data_available(data[start:end])
    assert found == confirms
    assert reader.log == []
    assert reader.bytes_received == len(data)
    reader.take_confirms(3, None)
    reader._on_data_available(data)
    assert reader.log == ["METHOD"] * len(confirms)


def test_what_is_returned_keeps_its_place_among_confirms():
    reader = Reader()
    reader.take_confirms(5, lambda tag, _multiple, _refused: reader.log.append(tag))
    one, two = (frame.Method(5, spec.Basic.Ack(tag)).marshal() for tag in (1, 2))
    returned = frame.Method(5, spec.Basic.Return(312, "NO_ROUTE", "exchange", "key")).marshal()
    other = frame.Method(6, spec.Basic.Ack(7)).marshal()
    reader._on_data_available(one + returned + two + other)
    assert reader.log == [1, "METHOD", 2, "METHOD"]


def test_a_broken_confirm_ends_the_connection_as_with_pika():
    reader = Reader()
    reader.take_confirms(5, lambda *_: None)
    with pytest.raises(pika.exceptions.InvalidFrameError):
        reader._on_data_available(frame.Method(5, spec.Basic.Ack(1)).marshal()[:-1] + b"\0")


def test_a_broken_frame_ends_the_connection_as_with_pika():
    method, header, body = delivery(1)
    reader = Reader()
    reader.watch(5)
    with pytest.raises(pika.exceptions.InvalidFrameError):
        reader._on_data_available(method + header[:-1] + b"\0" + body)


def test_pika_is_as_the_inlet_needs_it():
    """Fails when a new pika has changed what the inlet stands on; until it is looked at, pika's own way is used."""
    assert connection_class() is Inlet


def test_without_its_private_names_pika_is_used_as_it_is(monkeypatch, caplog):
    monkeypatch.setattr(inlet, "PRIVATE", {**inlet.PRIVATE, "_process_frame": ("self", "other")})
    assert connection_class() is SelectConnection
    assert "is not known to gae-broker" in caplog.text
