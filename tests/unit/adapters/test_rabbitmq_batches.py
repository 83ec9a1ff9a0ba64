"""What becomes of a batch's messages, without a broker."""

from __future__ import annotations

import itertools
import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.errors import BrokerUnavailableError, InvalidTaskError, PublishRejectedError, UnknownQueueError
from gae_broker_adapters.brokers.rabbitmq.publishing import batches
from gae_broker_adapters.brokers.rabbitmq.publishing.batches import Batch, Part
from gae_broker_adapters.brokers.rabbitmq.publishing.unconfirmed import Unconfirmed
from gae_broker_adapters.brokers.rabbitmq.wire import frames
from gae_broker_adapters.brokers.rabbitmq.wire.outlet import FrameOutlet

_UNTIMED = settings(deadline=None)
_LOST = BrokerUnavailableError("lost")


def _message(name: str = "t", *, meta: str = "{}") -> Message:
    return Message(f"copy-{name}", Kind.PUSH, "q", name, 0, meta, b"")


def _batch(*names: str) -> Batch:
    return Batch([_message(name) for name in names])


def test_a_batch_is_done_when_its_last_message_is_settled():
    batch = _batch("a", "b")
    waited: list[bool] = []
    thread = threading.Thread(target=lambda: waited.append(batch.wait(30)))
    thread.start()
    batch.settle(1, None)
    batch.settle(1, _LOST)
    assert batch.answer(_LOST) == [_LOST, None]
    batch.settle(0, None)
    thread.join()
    assert waited == [True]
    assert batch.answer(_LOST) == [None, None]


def test_who_gives_up_learns_what_is_settled_by_then():
    batch = _batch("a", "b")
    batch.settle(0, None)
    assert not batch.wait(0)
    assert batch.answer(_LOST) == [None, _LOST]


def test_any_deadline_will_do():
    batch = _batch("a")
    assert not batch.wait(-1)
    batch.settle(0, None)
    assert batch.wait(float("inf"))


def test_a_message_that_cannot_be_encoded_is_left_out_and_told():
    sent: list[bytes] = []
    outlet = FrameOutlet(frames.Cut(1, 4096), sent.append, any_thread=False)
    batch = Batch([_message("a"), _message("b", meta="\ud800"), _message("c")])
    part = Part(batch, range(3))
    part.encode(outlet, lambda _: ("x", "k"))
    outlet.write(part.encoded)
    assert list(part.indices) == [0, 2]
    assert [b"copy-" + name in sent[0] for name in (b"a", b"b", b"c")] == [True, False, True]
    error = batch.answer()[1]
    assert isinstance(error, InvalidTaskError)
    assert "task 'b' cannot be sent" in str(error)


def test_a_batch_is_written_in_chunks_that_pika_need_not_copy_often():
    sent: list[bytes] = []
    outlet = FrameOutlet(frames.Cut(1, 131072), sent.append, any_thread=False)
    encoded = [bytes([number]) * 100_000 for number in range(10)]
    outlet.write(encoded)
    assert b"".join(sent) == b"".join(encoded)
    assert {len(chunk) for chunk in sent} == {300_000, 100_000}
    outlet.write([])
    assert len(sent) == 4


_ENTRIES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), unique=True, max_size=20)


@_UNTIMED
@given(_ENTRIES, st.sets(st.integers(0, 30)))
def test_after_an_objection_each_message_is_unknown_guilty_or_innocent(entries, objectionable):
    of = [Batch([_message(str(number)) for number in range(31)]) for _ in range(4)]
    written = [(of[which], index) for which, index in entries]
    found = batches.aftermath(written, lambda message: int(message.key) in objectionable)
    first = next((at for at, (_, index) in enumerate(written) if index in objectionable), len(written))
    assert found.unknown == written[:first]
    assert found.guilty == [entry for entry in written if entry[1] in objectionable]
    assert found.innocent == [entry for entry in written[first:] if entry[1] not in objectionable]


@_UNTIMED
@given(_ENTRIES)
def test_parts_keep_the_order(entries):
    of = [_batch() for _ in range(4)]
    written = [(of[which], index) for which, index in entries]
    parts = batches.parts(written)
    assert [(part.batch, index) for part in parts for index in part.indices] == written
    assert all(a.batch is not b.batch for a, b in itertools.pairwise(parts))


# ---- confirms


def _confirm(unconfirmed: Unconfirmed, tag: int, *, multiple: bool = False, refused: bool = False) -> None:
    unconfirmed.confirm(unconfirmed.tags(tag, multiple=multiple), refused=refused)


@_UNTIMED
@given(st.data())
def test_confirms_in_any_order_settle_each_message_once(data):
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    unconfirmed = Unconfirmed()
    of = [Batch([_message(f"{which}-{index}") for index in range(size)]) for which, size in enumerate(sizes)]
    for batch in of:
        unconfirmed.add(batch, range(len(batch.messages)))
    expected: dict[int, type | None] = {}
    for _ in range(data.draw(st.integers(0, 12))):
        tag = data.draw(st.integers(1, sum(sizes)))
        multiple, refused = data.draw(st.booleans()), data.draw(st.booleans())
        _confirm(unconfirmed, tag, multiple=multiple, refused=refused)
        for one in range(1 if multiple else tag, tag + 1):
            expected.setdefault(one, PublishRejectedError if refused else None)
    answers = [error for batch in of for error in batch.answer(_LOST)]
    told = {number: error and type(error) for number, error in enumerate(answers, 1)}
    assert told == {number: expected.get(number, BrokerUnavailableError) for number in told}
    assert len(unconfirmed.take()) == len(told) - len(expected)
    assert unconfirmed.take() == []


def test_a_returned_message_is_unknown_and_each_return_counts_once():
    unconfirmed = Unconfirmed()
    twice, other = Batch([_message("same")] * 3), _batch("other")
    unconfirmed.add(twice, range(3))
    unconfirmed.add(other, range(1))
    unconfirmed.returned("copy-same")
    unconfirmed.returned("copy-same")
    _confirm(unconfirmed, 4, multiple=True)
    assert [type(error) for error in twice.answer()] == [UnknownQueueError, UnknownQueueError, type(None)]
    assert other.answer() == [None]


def test_a_new_channel_counts_from_one_and_forgets_returns():
    unconfirmed = Unconfirmed()
    first, second = _batch("a"), _batch("a")
    unconfirmed.add(first, [0])
    unconfirmed.returned("copy-a")
    assert unconfirmed.take() == [(first, 0)]
    unconfirmed.add(second, [0])
    _confirm(unconfirmed, 1)
    assert second.answer() == [None]


def test_whose_messages_are_on_their_way():
    unconfirmed = Unconfirmed()
    mine, other = _batch("a", "b"), _batch("c")
    assert unconfirmed.only(mine)
    unconfirmed.add(mine, [0, 1])
    assert unconfirmed.only(mine)
    assert not unconfirmed.only(other)
    _confirm(unconfirmed, 2, multiple=True)
    assert unconfirmed.only(other)
