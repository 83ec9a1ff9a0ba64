from __future__ import annotations

from dataclasses import replace

import pytest

from gae_broker import errors
from gae_broker.domain import wire
from gae_broker.domain.retry import RetryParameters
from gae_broker.domain.task import Content, Kind
from gae_broker.engine import entry
from gae_broker.engine.enqueue import MAX_ETA_US, NewTask
from gae_broker.ports import State
from tests.unit.engine.doubles import Down, Passing, Refusing
from tests.unit.engine.worlds import SETTINGS, START_US, S, World, adapters, pull_task, push_task

DAY_S = 86_400


def stored(world, queue, kind=Kind.PUSH):
    return [wire.decode(message) for message in world.broker.browse(kind, queue, 1000, None)]


def test_everything_about_a_push_task_arrives(world):
    content = Content(
        "n",
        "PUT",
        "/a?b=c",
        (("Host", "h"), ("X-A", "1")),
        b"\x00body",
        retry=RetryParameters(limit=3),
        deadline_us=20 * S,
        target="worker",
    )
    (added,) = world.add(NewTask(content, START_US + 5), queue="push")
    assert (added.name, added.error, added.skipped) == ("n", None, False)
    (copy,) = stored(world, "push")
    assert copy.content == replace(content, created_us=START_US, named=True)
    assert (copy.eta_us, copy.progress.tries) == (START_US + 5, 0)


def test_unnamed_tasks_get_names_in_order_and_leave_no_row(world):
    added = world.add(*[push_task(payload=b"%d" % index) for index in range(3)], queue="push")
    assert [task.name for task in added] == ["auto-0001", "auto-0002", "auto-0003"]
    assert {copy.name: copy.content.payload for copy in stored(world, "push")} == {
        "auto-0001": b"0",
        "auto-0002": b"1",
        "auto-0003": b"2",
    }
    assert world.ledger.facts("push", [task.name for task in added]) == {}


def test_nothing_is_added_for_nothing(world):
    assert world.add(queue="nowhere") == []


@pytest.mark.parametrize(
    ("eta_us", "error"),
    [
        (0, None),
        (START_US - 10**12, None),
        (START_US + MAX_ETA_US, None),
        (START_US + MAX_ETA_US + 1, errors.InvalidEtaError),
        (-1, errors.InvalidEtaError),
        (10**18, errors.InvalidEtaError),
    ],
)
def test_eta_bounds(world, eta_us, error):
    (added,) = world.add(pull_task("a", eta_us=eta_us))
    assert type(added.error) is (error or type(None))


@pytest.mark.parametrize(
    ("task", "queue", "room"),
    [
        pytest.param(pull_task("n"), "pull", entry.MAX_PULL_BYTES, id="pull"),
        pytest.param(pull_task("n", tag="t" * 500), "pull", entry.MAX_PULL_BYTES, id="tag"),
        pytest.param(push_task("n" * 500, url="/" + "u" * 2000), "push", entry.MAX_PUSH_BYTES, id="push"),
    ],
)
def test_the_size_of_the_whole_entry_counts_to_the_byte(world, task, queue, room):
    least = replace(task, content=replace(task.content, payload=b"x" * 70_000))
    fits = room - entry.size(queue, least.content, task.eta_us) + 70_000
    for length, error in ((fits, type(None)), (fits + 1, errors.TaskTooLargeError)):
        content = replace(task.content, name=f"{length % 10}" + task.content.name[1:], payload=b"x" * length)
        (added,) = world.add(replace(task, content=content), queue=queue)
        assert type(added.error) is error


@pytest.mark.parametrize(
    ("tasks", "queue", "expected"),
    [
        pytest.param(
            [pull_task("a"), pull_task("b", eta_us=-1), pull_task("c")],
            "pull",
            [(None, True), (errors.InvalidEtaError, False), (None, True)],
            id="one bad eta",
        ),
        pytest.param([pull_task("a"), pull_task()], "nowhere", [(errors.UnknownQueueError, False)] * 2, id="queue"),
        pytest.param(
            [pull_task("a", eta_us=-1), pull_task()],
            "nowhere",
            [(errors.InvalidEtaError, False), (errors.UnknownQueueError, False)],
            id="eta comes before queue",
        ),
        pytest.param(
            [pull_task(payload=b"x" * entry.MAX_PULL_BYTES), pull_task(payload=b"x")],
            "push",
            [(errors.TaskTooLargeError, False), (None, True)],
            id="size comes before mode",
        ),
    ],
)
def test_if_any_task_is_invalid_none_is_added(world, tasks, queue, expected):
    added = world.add(*tasks, queue=queue)
    assert [(task.error and type(task.error), task.skipped) for task in added] == expected
    assert {task.name for task in added} == {None}
    assert stored(world, "pull", Kind.PULL) == stored(world, "push") == []
    assert world.ledger.facts("pull", ["a", "b", "c"]) == {}


@pytest.mark.parametrize(("task", "queue"), [(pull_task("a"), "push"), (push_task("a"), "pull")])
def test_the_wrong_mode_fails_the_whole_call(world, task, queue):
    with pytest.raises(errors.InvalidQueueModeError, match=queue):
        world.add(task, queue=queue)
    assert world.ledger.facts(queue, ["a"]) == {}


@pytest.mark.parametrize("tag", [None, "t"])
def test_a_taken_name_concerns_its_task_alone(world, tag):
    world.put("live", tag=tag)
    world.put("gone", tag=tag)
    world.delete("gone")
    added = world.add(*[pull_task(name, tag=tag) for name in ("new1", "live", "gone", "new2", "")])
    assert [task.error and type(task.error) for task in added] == [
        None,
        errors.TaskAlreadyExistsError,
        errors.TombstonedTaskError,
        None,
        None,
    ]
    assert [task.name for task in added] == ["new1", None, None, "new2", "auto-0001"]


def test_names_are_taken_per_queue(world):
    world.put("n")
    assert world.put("n", queue="twice") == "n"


def test_two_tasks_of_a_name_in_one_call(world):
    first, second = world.add(pull_task("n", payload=b"1"), pull_task("n", payload=b"2"))
    assert (first.error, type(second.error)) == (None, errors.TaskAlreadyExistsError)
    assert [copy.content.payload for copy in stored(world, "pull", Kind.PULL)] == [b"1"]


def test_a_tombstone_says_what_happened_when_and_when_the_name_is_free(world):
    world.put("n")
    world.clock.advance(60)
    world.delete("n")
    world.clock.advance(7 * DAY_S - 1)
    with pytest.raises(errors.TombstonedTaskError) as caught:
        world.put_error("n")
    assert str(caught.value) == (
        "task 'n' of queue 'pull' was deleted at 2023-11-14T22:14:20Z; the name is free again at 2023-11-21T22:14:20Z"
    )
    world.clock.advance(2)
    assert world.put("n") == "n"


def test_a_done_task_s_name_is_tombstoned_too(world):
    world.add(push_task("n"), queue="push")
    (copy,) = stored(world, "push")
    world.ledger.finish("push", [("n", copy.copy_id)], START_US, START_US + DAY_S * S)
    with pytest.raises(errors.TombstonedTaskError, match="executed or given up at 2023-11-14"):
        raise world.add(push_task("n"), queue="push")[0].error


@pytest.mark.parametrize("error", [errors.UnknownQueueError("gone"), errors.PublishRejectedError("full")])
def test_a_publish_that_definitely_failed_frees_the_name_at_once(world, error):
    refusing = World(Refusing(world.broker, error), world.ledger, world.clock, "r-")
    named, unnamed = refusing.add(pull_task("n"), pull_task())
    assert (named.error, unnamed.error) == (error, error)
    assert world.put("n") == "n"


@pytest.mark.parametrize("stores", [True, False])
@pytest.mark.parametrize(
    "error", [errors.ConfirmTimeoutError("?"), errors.BrokerUnavailableError("?"), errors.BrokerBlockedError("?")]
)
def test_a_publish_with_an_unknown_end_keeps_the_claim_for_housekeeping(world, error, stores):
    failing = World(Refusing(world.broker, error, stores=stores), world.ledger, world.clock, "f-")
    assert failing.add(pull_task("n"))[0].error is error
    with pytest.raises(errors.ClaimPendingError, match="'n'"):
        world.put_error("n")
    world.clock.advance(SETTINGS.claim_takeover_s + 1)
    housework = world.runtime.housekeeper.run_once()
    assert (housework.completed, housework.released) == (1, 0)
    assert [copy.name for copy in stored(world, "pull", Kind.PULL)] == ["n"]
    with pytest.raises(errors.TaskAlreadyExistsError):
        world.put_error("n")


def test_an_old_claim_is_taken_over_by_the_next_add(world):
    failing = World(
        Refusing(world.broker, errors.ConfirmTimeoutError("?"), stores=True), world.ledger, world.clock, "f-"
    )
    failing.add(pull_task("n", payload=b"old"))
    world.clock.advance(SETTINGS.claim_takeover_s + 1)
    (added,) = world.add(pull_task("n", payload=b"new"))
    assert added.error is None
    assert [copy.content.payload for copy in world.lease()] == [b"new"]
    assert world.lease() == [], "the old copy is void"


DOWN = errors.LedgerUnavailableError("down")


def test_without_a_ledger_unnamed_adds_go_on_and_named_ones_are_transient(world):
    down = World(world.broker, Down(world.ledger, DOWN, "claim", "confirm", "facts", "control"), world.clock)
    unnamed, named, tagged = down.add(pull_task(), pull_task("n"), pull_task(tag="t"))
    assert unnamed.error is None
    assert {type(named.error), type(tagged.error)} == {errors.LedgerUnavailableError}
    world.clock.advance(1)
    assert [copy.name for copy in world.lease()] == [unnamed.name]


def test_a_claim_that_could_not_be_confirmed_is_not_reported_as_added(world):
    down = World(world.broker, Down(world.ledger, DOWN, "confirm"), world.clock)
    named, unnamed = down.add(pull_task("n"), pull_task())
    assert (type(named.error), unnamed.error) == (errors.LedgerUnavailableError, None)
    assert world.ledger.facts("pull", ["n"])["n"].state is State.CLAIMED


def test_a_publish_slower_than_the_takeover_time_is_not_reported_as_added(world):
    class Slow(Passing):
        def publish(self, *args):
            world.clock.advance(SETTINGS.claim_takeover_s + 1)
            return world.broker.publish(*args)

    slow = World(Slow(world.broker), world.ledger, world.clock, "s-")
    named, unnamed = slow.add(pull_task("n"), pull_task())
    assert type(named.error) is errors.ConfirmTimeoutError
    assert unnamed.error is None


def test_claims_for_a_queue_that_is_gone_are_released_by_housekeeping(world):
    failing = World(Refusing(world.broker, errors.ConfirmTimeoutError("?")), world.ledger, world.clock, "f-")
    failing.add(pull_task("n"))
    world.clock.advance(SETTINGS.claim_takeover_s + 1)
    gone = World(Refusing(world.broker, errors.UnknownQueueError("gone")), world.ledger, world.clock)
    assert gone.runtime.housekeeper.run_once().released == 1
    assert world.put("n") == "n"


def test_claims_stay_while_the_broker_is_down(world):
    failing = World(Refusing(world.broker, errors.BrokerUnavailableError("down")), world.ledger, world.clock, "f-")
    failing.add(pull_task("n"))
    world.clock.advance(SETTINGS.claim_takeover_s + 1)
    assert failing.runtime.housekeeper.run_once().completed == 0
    assert world.runtime.housekeeper.run_once().completed == 1


@pytest.mark.parametrize("leased", [False, True])
@pytest.mark.parametrize("tag", [None, "t"])
def test_a_name_that_was_chosen_for_a_live_task_exists(world, tag, leased):
    name = world.put(eta_s=-1)
    if leased:
        world.lease()
    (added,) = world.add(pull_task(name, tag=tag, payload=b"other"))
    assert type(added.error) is errors.TaskAlreadyExistsError
    world.clock.advance(100)
    assert [copy.content.payload for copy in world.lease()] == [b"p"]


def test_with_a_lost_ledger_live_tasks_still_keep_their_names(world):
    world.put("n")
    with adapters(world.clock) as (_, empty):
        fresh = World(world.broker, empty, world.clock, "f-")
        assert type(fresh.add(pull_task("n"))[0].error) is errors.TaskAlreadyExistsError
        fresh.clock.advance(1)
        assert [copy.name for copy in fresh.lease()] == ["n"]
