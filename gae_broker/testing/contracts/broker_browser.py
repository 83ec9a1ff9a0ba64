"""The Browser's and the Declarer's obligations, and those of the broker object itself."""

from __future__ import annotations

from typing import TypeVar

import pytest

from gae_broker.domain.message import Message
from gae_broker.domain.queue import Mode, Queue
from gae_broker.domain.task import Kind
from gae_broker.errors import UnknownQueueError
from gae_broker.ports import Action, CheckStatus, Depth, Needs
from gae_broker.testing.contracts.broker_bench import DEADLINE_S, Adoption, Bench, eventually, messages

_Answer = TypeVar("_Answer")


class BrowserContract(Adoption):
    """`gae_broker.ports.Browser`; where the adapter cannot look, its tests are skipped."""

    def test_find_sees_waiting_delayed_and_unacked_messages(self, bench: Bench) -> None:
        unacked, ready = bench.stored(2)
        (delayed,) = bench.stored(1, after_s=60.0)
        bench.take(1)
        keys = [unacked.key, ready.key, delayed.key]
        found = _known(bench.broker.find(Kind.PULL, bench.pull, [*keys, "absent"]))
        assert found == {message.key: [message] for message in (unacked, ready, delayed)}
        assert bench.broker.find(Kind.PULL, bench.pull, []) == {}

    def test_find_sees_every_copy_of_a_key(self, bench: Bench) -> None:
        (first,) = bench.stored(1)
        second = Message("copy-2", Kind.PULL, bench.pull, first.key, first.due_us + 1, "{}", b"2")
        assert bench.broker.publish([second], DEADLINE_S) == [None]
        found = _known(bench.broker.find(Kind.PULL, bench.pull, [first.key]))
        assert sorted(found[first.key], key=lambda message: message.due_us) == [first, second]

    def test_find_many_keys(self, bench: Bench) -> None:
        stored = bench.stored(700)
        found = _known(bench.broker.find(Kind.PULL, bench.pull, [message.key for message in stored]))
        assert found == {message.key: [message] for message in stored}

    def test_browse_lists_in_order_page_by_page(self, bench: Bench) -> None:
        later = bench.stored(2, after_s=60.0)
        stored = bench.stored(4)
        bench.take(1)
        listed = _known(bench.broker.browse(Kind.PULL, bench.pull, 100, None))
        assert listed == [*stored, *later]
        page: list[Message] = []
        after = None
        while more := _known(bench.broker.browse(Kind.PULL, bench.pull, 2, after)):
            assert len(more) <= 2
            page += more
            after = (more[-1].due_us, more[-1].key)
        assert page == listed

    def test_discard_removes_what_it_says(self, bench: Bench) -> None:
        held, ready, kept = bench.stored(3)
        (delayed,) = bench.stored(1, after_s=60.0)
        taken = bench.take(1)
        copies = [held.copy_id, ready.copy_id, delayed.copy_id, "absent"]
        if not bench.broker.discard(Kind.PULL, bench.pull, copies):
            pytest.skip("this adapter cannot remove single messages")
        assert bench.broker.discard(Kind.PULL, bench.pull, copies) == 0
        bench.broker.restore(taken)
        assert messages(bench.take(1)) == [kept]
        assert bench.is_empty()

    def test_depth_counts_each_state(self, bench: Bench) -> None:
        self._await_depth(bench, Depth(0, 0, 0, None))
        delayed = bench.stored(4, after_s=60.0)
        stored = bench.stored(5)
        taken = bench.take(2)
        self._await_depth(bench, Depth(3, 4, 2, stored[0].due_us))
        bench.broker.ack(taken[:1])
        bench.broker.restore(taken[1:])
        self._await_depth(bench, Depth(4, 4, 0, stored[1].due_us))
        bench.broker.ack(bench.take(4))
        self._await_depth(bench, Depth(0, 4, 0, delayed[0].due_us))

    def test_depth_turns_delayed_into_ready_when_due(self, bench: Bench) -> None:
        (message,) = bench.stored(1, after_s=0.3)
        self._await_depth(bench, Depth(1, 0, 0, message.due_us))

    def test_a_broker_that_sees_all_never_says_that_it_cannot_tell(self, bench: Bench) -> None:
        (message,) = bench.stored(1)
        depth = bench.broker.depth(Kind.PULL, bench.pull)
        answers = (
            bench.broker.find(Kind.PULL, bench.pull, [message.key]),
            bench.broker.browse(Kind.PULL, bench.pull, 1, None),
            depth.delayed,
            depth.unacked,
        )
        assert (None not in answers) is bench.broker.sees_all

    def test_depth_of_an_unknown_queue(self, bench: Bench) -> None:
        with pytest.raises(UnknownQueueError, match="nowhere"):
            bench.broker.depth(Kind.PUSH, "nowhere")

    def test_purge_removes_what_nobody_holds(self, bench: Bench) -> None:
        bench.stored(5)
        (held,) = messages(taken := bench.take(1))
        assert bench.broker.purge(Kind.PULL, bench.pull) == 4
        assert bench.is_empty()
        bench.broker.restore(taken)
        assert messages(bench.take(1)) == [held]

    def test_purge_of_an_empty_queue(self, bench: Bench) -> None:
        assert bench.broker.purge(Kind.PULL, bench.pull) == 0

    def _await_depth(self, bench: Bench, expected: Depth) -> None:
        def agrees() -> bool:
            depth = bench.broker.depth(Kind.PULL, bench.pull)
            delayed = expected.delayed if self.counts_delayed else None
            unacked = expected.unacked if self.counts_unacked else None
            oldest_us = depth.oldest_due_us and expected.oldest_due_us
            return depth == Depth(expected.ready, delayed, unacked, oldest_us)

        eventually(agrees, f"{expected}")


class DeclarerContract(Adoption):
    """`gae_broker.ports.Declarer`, and ``check`` and ``close`` of `gae_broker.ports.Broker`."""

    def test_declare_again_keeps_every_message(self, bench: Bench) -> None:
        stored = bench.stored(2)
        bench.broker.declare(bench.queues)
        bench.broker.declare([])
        assert messages(bench.take(2)) == stored

    def test_declare_makes_queues_for_every_process(self, shared: Bench) -> None:
        other = shared.open()
        shared.broker.declare([Queue(f"{shared.push}-2")])
        message = Message("copy", Kind.PUSH, f"{shared.push}-2", "task", 0, "{}", b"")
        assert other.publish([message], DEADLINE_S) == [None]

    def test_dead_letters_have_a_place_beside_each_queue(self, bench: Bench) -> None:
        message = Message("copy", Kind.DEAD, bench.push, "task", 0, "{}", b"")
        assert bench.broker.publish([message], DEADLINE_S) == [None]
        if not self.separates_dead:
            pytest.skip("the dead letters of all queues lie together")
        taken = eventually(lambda: bench.broker.get(Kind.DEAD, bench.push, 1), "the dead letter")
        assert messages(taken) == [message]

    def test_known_queues_are_those_declared(self, bench: Bench) -> None:
        known = bench.broker.known_queues()
        assert known[bench.push] is Kind.PUSH
        assert known[bench.pull] is Kind.PULL

    def test_plan_1_what_declare_makes_is_missing_until_then(self, bench: Bench) -> None:
        queues = [*bench.queues, Queue(f"{bench.push}-2"), Queue(f"{bench.pull}-2", mode=Mode.PULL)]
        planned = [change for change in bench.broker.plan(queues).changes if change.action is Action.CREATE]
        assert {change.queue for change in planned} == {f"{bench.push}-2", f"{bench.pull}-2"}
        assert all(change.name and change.what for change in planned)
        bench.broker.declare(queues)
        assert Action.CREATE not in {change.action for change in bench.broker.plan(queues).changes}

    def test_plan_2_what_is_not_wanted_is_unused_with_its_tasks(self, bench: Bench) -> None:
        bench.stored(3)
        dead = Message("copy", Kind.DEAD, bench.pull, "task", 0, "{}", b"")
        assert bench.broker.publish([dead], DEADLINE_S) == [None]

        def unused() -> list[int]:
            plan = bench.broker.plan([Queue(bench.push)])
            if any("queues" in text for text in plan.unseen):
                pytest.skip("this broker cannot list its queues here")
            found = [change for change in plan.changes if change.queue == bench.pull]
            assert {change.action for change in found} == {Action.UNUSED}
            return [change.tasks for change in found]

        eventually(lambda: unused() == [4], "a queue that holds 4 tasks")

    def test_remove_of_a_queue_that_holds_messages_needs_force(self, bench: Bench) -> None:
        stored = bench.stored(2)
        assert bench.broker.remove(bench.pull) == 2
        assert messages(bench.take(2)) == stored
        assert bench.broker.known_queues()[bench.pull] is Kind.PULL

    def test_remove_by_force_loses_the_messages_and_the_name_can_be_used_again(self, bench: Bench) -> None:
        bench.stored(2)
        assert bench.broker.remove(bench.pull, force=True) == 2
        assert bench.pull not in bench.broker.known_queues()
        assert bench.broker.remove(bench.pull, force=True) == 0
        bench.broker.declare(bench.queues)
        assert bench.is_empty()
        stored = bench.stored(1)
        assert messages(bench.take(1)) == stored

    def test_remove_of_an_empty_queue(self, bench: Bench) -> None:
        assert bench.broker.remove(bench.push) == 0
        assert bench.push not in bench.broker.known_queues()

    def test_check_finds_nothing_wrong(self, bench: Bench) -> None:
        checks = bench.broker.check(Needs(bench.queues))
        assert checks
        assert all(check.text and check.name for check in checks)
        assert CheckStatus.FAILED not in {check.status for check in checks}

    def test_close_is_idempotent_and_keeps_messages(self, shared: Bench) -> None:
        stored = shared.stored(2)
        other = shared.open()
        shared.broker.close()
        shared.broker.close()
        assert messages(shared.take(2, other)) == stored


def _known(answer: _Answer | None) -> _Answer:
    if answer is None:
        pytest.skip("this adapter cannot look into its queues")
    return answer
