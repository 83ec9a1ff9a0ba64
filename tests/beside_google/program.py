"""A test suite as written for App Engine, on Google's own library; what is beside it is chosen by the first argument.

``testbed``: our import names, and Google's testbed that makes our stub. ``names``: our import names, and the process's
own queues. ``service``: Google's own client, and our service behind the API proxy.
"""

from __future__ import annotations

import os
import pickle
import sys
import unittest

WAY = sys.argv.pop(1)
if WAY == "service":
    from gae_broker_adapters import appengine_service
else:
    import gae_broker_adapters.appengine  # noqa: F401 - that is the one line

from google.appengine.api import apiproxy_stub_map, memcache, namespace_manager, taskqueue
from google.appengine.api.taskqueue import taskqueue_service_bytes_pb2 as pb
from google.appengine.ext import db, deferred, ndb, testbed


class Visit(db.Model):
    count = db.IntegerProperty()


class Page(ndb.Model):
    count = ndb.IntegerProperty()


def call(method: str, request, response):
    apiproxy_stub_map.MakeSyncCall("taskqueue", method, request, response)
    return response


class OnGooglesLibrary(unittest.TestCase):
    def setUp(self):
        self.testbed = testbed.Testbed()
        self.testbed.activate()
        self.testbed.init_datastore_v3_stub()
        self.testbed.init_memcache_stub()
        if WAY == "testbed":
            self.testbed.init_taskqueue_stub(queue_config_path=os.environ["GAE_BROKER_QUEUE_YAML"])
        elif WAY == "service":
            appengine_service.register()
        else:
            os.environ["SERVER_SOFTWARE"] = "Development/2.0"  # no test of Google's testbed
        self.push, self.pull = taskqueue.Queue(), taskqueue.Queue("pull")

    def tearDown(self):
        self.push.purge()
        self.pull.purge()
        self.testbed.deactivate()

    def stored(self) -> int:
        return self.push.fetch_statistics().tasks

    def test_who_is_who(self):
        ours = taskqueue.__name__.startswith("gae_broker")
        self.assertEqual(ours, WAY != "service")
        self.assertTrue(testbed.__name__.startswith("google."))
        memcache.set("key", "value")
        self.assertEqual(memcache.get("key"), "value")

    def test_adding(self):
        first = taskqueue.add(url="/a", params={"b": 1})
        self.assertTrue(first.was_enqueued)
        self.assertTrue(first.name)
        named = self.push.add([taskqueue.Task(url="/a", name="n1"), taskqueue.Task(url="/b")])
        self.assertEqual(named[0].name, "n1")
        self.assertTrue(named[1].name)
        with self.assertRaises(taskqueue.TaskAlreadyExistsError):
            self.push.add([taskqueue.Task(url="/a", name="n1"), taskqueue.Task(url="/b")])
        with self.assertRaises(taskqueue.UnknownQueueError):
            taskqueue.Queue("nowhere").add(taskqueue.Task(url="/a"))
        with self.assertRaises(taskqueue.InvalidQueueModeError):
            self.pull.add(taskqueue.Task(url="/a"))
        with self.assertRaises(taskqueue.InvalidEtaError):
            self.push.add(taskqueue.Task(url="/a", countdown=31 * 86_400))

    def test_leasing(self):
        self.pull.add([taskqueue.Task(f"{n}", method="PULL", tag="t") for n in range(3)])
        self.pull.add(taskqueue.Task("untagged", method="PULL"))
        leased = self.pull.lease_tasks_by_tag(60, 10)
        self.assertEqual(sorted(task.payload for task in leased), [b"0", b"1", b"2"])
        self.assertEqual({(task.tag, task.retry_count) for task in leased}, {("t", 1)})
        (other,) = self.pull.lease_tasks(60, 10)
        self.pull.modify_task_lease(other, 100)
        stale = other.eta
        self.pull.modify_task_lease(other, 0)
        self.assertLess(other.eta, stale)
        (again,) = self.pull.lease_tasks(60, 10)
        self.assertEqual((again.payload, again.retry_count), (b"untagged", 2))
        with self.assertRaises(taskqueue.TaskLeaseExpiredError):
            self.pull.modify_task_lease(other, 10)
        self.pull.delete_tasks([*leased, again])
        self.assertTrue(again.was_deleted)
        self.assertEqual(self.pull.lease_tasks(60, 10), [])

    def test_transactions_of_db(self):
        def body(fail=False):
            Visit(count=1).put()
            self.assertTrue(taskqueue.add(url="/tx", transactional=True).was_enqueued)
            self.assertEqual(self.stored(), before)
            if fail:
                raise db.Rollback

        before = self.stored()
        db.run_in_transaction(body, fail=True)
        self.assertEqual(self.stored(), before)
        db.run_in_transaction(body)
        self.assertEqual(self.stored(), before + 1)
        with self.assertRaises(taskqueue.BadTransactionStateError):
            taskqueue.add(url="/tx", transactional=True)
        with self.assertRaises(taskqueue.DatastoreError):
            db.run_in_transaction(lambda: [taskqueue.add(url="/tx", transactional=True) for _ in range(6)])

    def test_transactions_of_ndb(self):
        @ndb.transactional
        def body():
            Page(count=1).put()
            deferred.defer(len, "abc", _transactional=True)
            return self.stored()

        before = self.stored()
        self.assertEqual(body(), before)
        self.assertEqual(self.stored(), before + 1)
        ndb.transaction(lambda: taskqueue.add(url="/nothing-else", transactional=True))
        self.assertEqual(self.stored(), before + 2)

    def test_tasklets(self):
        @ndb.tasklet
        def both():
            one = yield taskqueue.Task(url="/a").add_async()
            two = yield taskqueue.Task(url="/b").add_async()
            raise ndb.Return([one.was_enqueued, two.was_enqueued])

        self.assertEqual(both().get_result(), [True, True])

    def test_protocol_buffers(self):
        if WAY == "names":
            self.skipTest("nothing is registered with the API proxy")
        task = taskqueue.add(url="/a?b=1", method="GET", countdown=3600)
        queues = call("FetchQueues", pb.TaskQueueFetchQueuesRequest(max_rows=10), pb.TaskQueueFetchQueuesResponse())
        self.assertEqual([queue.queue_name for queue in queues.queue], [b"default", b"pull"])
        add = pb.TaskQueueAddRequest(queue_name=b"default", task_name=b"by-hand", eta_usec=0, url=b"/by-hand")
        self.assertFalse(call("Add", add, pb.TaskQueueAddResponse()).HasField("chosen_task_name"))
        delete = pb.TaskQueueDeleteRequest(queue_name=b"default", task_name=[b"by-hand", b"no-such"])
        deleted = call("Delete", delete, pb.TaskQueueDeleteResponse()).result
        if os.environ["GAE_BROKER_URL"].startswith("amqp"):
            return  # RabbitMQ cannot look tasks up
        self.assertEqual(list(deleted), [0, 14])
        fetch = pb.TaskQueueFetchTaskRequest(queue_name=b"default", task_name=task.name.encode())
        (found,) = call("FetchTask", fetch, pb.TaskQueueFetchTaskResponse()).task.task
        self.assertEqual((found.url, found.method), (b"/a?b=1", 1))
        query = pb.TaskQueueQueryTasksRequest(queue_name=b"default", max_rows=10)
        listed = call("QueryTasks", query, pb.TaskQueueQueryTasksResponse()).task
        self.assertEqual([one.task_name for one in listed], [task.name.encode()])
        run = pb.TaskQueueForceRunRequest(queue_name=b"default", task_name=task.name.encode())
        self.assertEqual(call("ForceRun", run, pb.TaskQueueForceRunResponse()).result, 0)
        self.assertLess(call("QueryTasks", query, pb.TaskQueueQueryTasksResponse()).task[0].eta_usec, found.eta_usec)

    def test_without_the_stub(self):
        self.testbed.deactivate()
        self.testbed.activate()  # and no init_taskqueue_stub
        self.assertEqual(taskqueue.Task(url="/a", countdown=5).url, "/a")
        if WAY != "names":
            with self.assertRaises(AssertionError):
                taskqueue.add(url="/a")
        self.testbed.init_taskqueue_stub(queue_config_path=os.environ["GAE_BROKER_QUEUE_YAML"])

    def test_namespaces(self):
        namespace_manager.set_namespace("tenant")
        try:
            task = taskqueue.Task(url="/a")
        finally:
            namespace_manager.set_namespace("")
        self.assertEqual(task.headers["X-AppEngine-Current-Namespace"], "tenant")
        self.assertEqual(taskqueue.Task(url="/a").headers["X-AppEngine-Current-Namespace"], "")

    def test_pickles(self):
        options = pickle.loads(pickle.dumps(taskqueue.TaskRetryOptions(task_retry_limit=3)))
        self.assertEqual(options.task_retry_limit, 3)
        self.assertEqual(deferred.run(deferred.serialize(len, "abc")), 3)


if __name__ == "__main__":
    unittest.main()
