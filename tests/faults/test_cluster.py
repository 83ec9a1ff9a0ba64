"""A cluster of three nodes loses one under load, and gets it back; the URL names all three."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults import handler
from tests.faults.brokers import CONFIG, leader
from tests.faults.site import Site
from tests.servers.cluster import RabbitMQCluster
from tests.servers.rabbitmq import RabbitMQContainer

SOME = 80


@pytest.fixture(scope="module")
def cluster(start) -> RabbitMQCluster:
    return start(RabbitMQCluster, config=CONFIG)


def _node(cluster: RabbitMQCluster, name: str) -> RabbitMQContainer:
    return next(node for node in cluster.nodes if node.node == name)


def _consumed_at(node: RabbitMQContainer, queue: str) -> str:
    """The name of the node that the consumer of a queue is connected to."""
    listed = node.rabbitmqctl("list_consumers", "queue_name", "channel_pid")
    (found,) = re.findall(rf"^{re.escape(queue)}\t<(.+?)(?:\.\d+)+>", listed, re.MULTILINE)
    return str(found)


@contextmanager
def without(cluster: RabbitMQCluster, victim: RabbitMQContainer) -> Iterator[None]:
    """Kill a node, and start it again in the end."""
    victim.kill()
    try:
        yield
    finally:
        victim.start()
        cluster.wait_until_whole()


@pytest.mark.parametrize("which", ["leader", "dispatcher"])
def test_a_node_is_killed_and_comes_back(cluster: RabbitMQCluster, make_site, which: str) -> None:
    site: Site = make_site(cluster.nodes[0], url=cluster.url)
    dispatcher, producer = site.dispatcher(), site.producer()
    site.await_done(SOME)
    queue = f"gaetq.push.q.{site.queue}"
    of_leader = leader(cluster.nodes[0], queue)
    victim = _node(
        cluster, of_leader if which == "leader" else _consumed_at(cluster.nodes[0], f"gaetq.owner.{site.queue}")
    )
    site.server = next(node for node in cluster.nodes if node is not victim)
    since_us = handler.now_us()
    with without(cluster, victim):
        # Two of three go on, with what came before and with what comes now.
        site.await_done(len(site.done()) + SOME)
        assert leader(site.server, queue) != victim.node
    until_us = handler.now_us()
    assert producer.end() == 0
    site.await_all_done()
    assert dispatcher.is_running
    assert not site.early()
    assert site.again_outside((since_us, until_us)) <= site.unsure()


def test_pull_tasks_outlive_a_node(cluster: RabbitMQCluster, make_site) -> None:
    site: Site = make_site(cluster.nodes[0], "  mode: pull\n", url=cluster.url)
    producer, worker = site.producer(method="PULL"), site.worker()
    site.await_done(SOME)
    victim = _node(cluster, leader(cluster.nodes[0], f"gaetq.pull.q.{site.queue}"))
    site.server = next(node for node in cluster.nodes if node is not victim)
    with without(cluster, victim):
        site.await_done(len(site.done()) + SOME)
    assert producer.end() == 0
    site.await_all_done()
    assert worker.is_running
    assert not site.early()
    assert len(site.again() - site.unsure()) <= 2 * 30
