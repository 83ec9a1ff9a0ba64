"""A copy survives its message, whatever is in it, and a message that is not ours is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gae_broker.domain import wire
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content, Copy, Kind, Progress, Try
from gae_broker.errors import StorageError

TEXT = st.one_of(st.text(max_size=20), st.sampled_from(['"named":true', '\\"named":true', 'x","named":true,"y":"']))
TIMES = st.integers(0, 2**53)
RETRIES = st.builds(
    RetryParameters,
    limit=st.none() | st.integers(0, 99),
    age_limit_s=st.none() | st.integers(0, 99),
    min_backoff_s=st.floats(0, 1e6),
    max_backoff_s=st.floats(0, 1e6),
    max_doublings=st.integers(0, 99),
)
TRIES = st.builds(Try, TIMES, TIMES, st.none() | st.integers(100, 599), TEXT)
PROGRESS = st.just(Progress()) | st.builds(
    Progress,
    tries=st.integers(1, 99),
    executions=st.integers(0, 99),
    first_try_us=st.none() | TIMES,
    last_status=st.none() | st.integers(100, 599),
    reason=TEXT,
    history=st.lists(TRIES, max_size=3).map(tuple),
)
CONTENTS = st.builds(
    Content,
    name=TEXT,
    method=st.sampled_from(["POST", "GET", "PULL"]),
    url=TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    payload=st.binary(max_size=50),
    created_us=TIMES,
    tag=st.none() | TEXT,
    retry=st.none() | RETRIES,
    deadline_us=st.none() | TIMES,
    target=st.none() | TEXT,
    named=st.booleans(),
)
COPIES = st.builds(Copy, TEXT, TEXT, CONTENTS, TIMES, PROGRESS, st.none() | TEXT)


@given(COPIES)
def test_a_copy_comes_back_as_it_was(copy):
    message = wire.encode(copy)
    assert wire.decode(message) == copy
    assert (message.copy_id, message.queue, message.key) == (copy.copy_id, copy.queue, copy.name)
    assert (message.kind, message.due_us, message.body) == (copy.content.kind, copy.eta_us, copy.content.payload)


@given(COPIES)
def test_a_dead_letter_keeps_everything_and_waits_for_nothing(copy):
    message = wire.encode(copy, Kind.DEAD)
    assert (message.kind, message.due_us) == (Kind.DEAD, 0)
    assert wire.decode(message) == copy


@given(COPIES)
def test_whether_a_task_is_named_is_told_without_decoding(copy):
    assert wire.is_named(wire.encode(copy)) is copy.content.named


def test_a_plain_task_s_meta_is_short():
    meta = wire.encode(Copy("c", "q", Content("n", url="/w", created_us=1), 2)).meta
    assert json.loads(meta) == {"v": 1, "method": "POST", "created": 1, "eta": 2, "url": "/w"}


@pytest.mark.parametrize(
    "meta",
    [
        "",
        "nonsense",
        "3",
        "[]",
        "null",
        "{}",
        '{"v":2}',
        '{"v":1}',
        '{"v":1,"method":"POST","created":1}',
        '{"v":1,"method":"POST","created":1,"eta":2,"retry":3}',
        '{"v":1,"method":"POST","created":1,"eta":2,"progress":[1]}',
    ],
)
def test_a_message_that_cannot_be_read_says_whose_it_is(meta):
    message = replace(wire.encode(Copy("c", "the-queue", Content("the-name"), 2)), meta=meta)
    with pytest.raises(StorageError, match="'the-name' in queue 'the-queue' cannot be read"):
        wire.decode(message)
