from __future__ import annotations

import pytest

from gae_broker import taskqueue as tq
from gae_broker.taskqueue import Queue, QueueStatistics, Task


def test_figures_of_one_queue(world, clock):
    Queue("pull").add([Task(b"x", method="PULL", countdown=n, tag=t) for n, t in ((5, None), (3, "t"), (9, None))])
    expected = QueueStatistics(Queue("pull"), 3, clock.us + 3_000_000, 0, 0, 0.0)
    assert Queue("pull").fetch_statistics() == expected
    assert QueueStatistics.fetch("pull") == expected
    assert QueueStatistics.fetch(Queue("pull")) == expected
    assert QueueStatistics.fetch_async("pull").get_result() == expected
    assert Queue("pull").fetch_statistics_async().get_result() == expected


def test_an_empty_queue_has_no_oldest_task(world):
    assert Queue().fetch_statistics().oldest_eta_usec is None


@pytest.mark.parametrize(
    "queues",
    [["push", "pull"], ("push", "pull"), [Queue("push"), Queue("pull")], iter(["push", "pull"])],
    ids=["list", "tuple", "queues", "iterator"],
)
def test_figures_of_several_queues_in_order(world, queues):
    assert [figures.queue.name for figures in QueueStatistics.fetch(queues)] == ["push", "pull"]


@pytest.mark.parametrize("nothing", [None, [], "", ()])
def test_nothing_is_an_empty_list_after_the_deadline_is_checked(world, nothing):
    assert QueueStatistics.fetch(nothing) == []
    with pytest.raises(tq.InvalidDeadlineError):
        QueueStatistics.fetch(nothing, deadline=0)


def test_an_empty_list_asked_for_later_is_an_empty_list(world):
    assert QueueStatistics.fetch_async([]).get_result() == []


@pytest.mark.parametrize("queues", [["a", Queue("b")], 5, [5], [None]])
def test_other_things_are_type_errors(world, queues):
    with pytest.raises(TypeError):
        QueueStatistics.fetch_async(queues)


def test_bad_and_unknown_names(world):
    with pytest.raises(tq.InvalidQueueNameError):
        QueueStatistics.fetch_async("a_b")
    with pytest.raises(tq.UnknownQueueError):
        QueueStatistics.fetch("nope")


@pytest.mark.parametrize(("deadline", "error"), [(None, TypeError), ("5", TypeError), (-1, tq.InvalidDeadlineError)])
def test_deadlines(world, deadline, error):
    with pytest.raises(error):
        Queue().fetch_statistics(deadline=deadline)
    with pytest.raises(error):
        QueueStatistics.fetch("default", deadline=deadline)


def test_all_attributes_count_for_equality():
    figures = QueueStatistics(Queue(), 1, 2, 3, 4, 5.0)
    assert figures == QueueStatistics(Queue(), 1, 2, 3, 4, 5.0)
    for position in range(1, 6):
        other = [1, 2, 3, 4, 5.0]
        other[position - 1] = 99
        assert figures != QueueStatistics(Queue(), *other)
    assert figures != 5
    assert repr(figures) == (
        "QueueStatistics(queue=Queue<name='default'>, tasks=1, oldest_eta_usec=2, executed_last_minute=3, "
        "in_flight=4, enforced_rate=5.0)"
    )
    with pytest.raises(TypeError, match="unhashable"):
        hash(figures)
