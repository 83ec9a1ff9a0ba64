"""The guestbook's tests, as they were written against App Engine's testbed."""

import base64
import os
import unittest
from unittest import mock
from urllib.parse import parse_qs

import guestbook
from google.appengine.api import apiproxy_stub_map, taskqueue
from google.appengine.api.taskqueue import taskqueue_stub
from google.appengine.ext import deferred, testbed


class GuestbookTestCase(unittest.TestCase):
    def setUp(self):
        self.testbed = testbed.Testbed()
        self.testbed.setup_env(current_version_id="testbed.version", overwrite=True)
        self.testbed.activate()
        self.testbed.init_taskqueue_stub(root_path=os.path.dirname(os.path.abspath(__file__)))
        self.taskqueue_stub = self.testbed.get_stub(testbed.TASKQUEUE_SERVICE_NAME)
        del guestbook.entries[:], guestbook.outbox[:]
        guestbook.index.clear()

    def tearDown(self):
        self.testbed.deactivate()

    def run_deferred(self, queue="default"):
        """What every project had somewhere in its tests."""
        ran = 0
        for task in self.taskqueue_stub.GetTasks(queue):
            if task["url"] == "/_ah/queue/deferred":
                deferred.run(base64.b64decode(task["body"]))
                self.taskqueue_stub.DeleteTask(queue, task["name"])
                ran += 1
        return ran

    def test_signing_adds_tasks(self):
        guestbook.sign("Hello world")
        tasks = self.taskqueue_stub.get_filtered_tasks(queue_names="mail")
        self.assertEqual(1, len(tasks))
        self.assertEqual("/tasks/mail", tasks[0].url)
        self.assertEqual({b"to": b"owner@example.com", b"text": b"Hello world"}, tasks[0].extract_params())
        self.assertEqual("mail", tasks[0].headers["X-AppEngine-QueueName"])

    def test_deferred_index(self):
        guestbook.sign("Hello world")
        self.assertEqual({}, guestbook.index)
        self.assertEqual(1, self.run_deferred())
        self.assertEqual([0], guestbook.index["hello"])
        self.assertEqual([], self.taskqueue_stub.GetTasks("default"))

    def test_raw_task(self):
        guestbook.sign("Hello")
        (task,) = self.taskqueue_stub.GetTasks("mail")
        self.assertEqual("POST", task["method"])
        self.assertEqual(["Hello"], parse_qs(base64.b64decode(task["body"]).decode())["text"])
        self.assertIn(("X-AppEngine-TaskName", task["name"]), task["headers"])
        self.assertRegex(task["eta_delta"], r"^0:00:\d\d(\.\d+)? ago$")

    def test_reminder_once(self):
        guestbook.remind(7, days=3)
        guestbook.remind(7, days=3)
        (task,) = self.taskqueue_stub.get_filtered_tasks(name="remind-7")
        self.assertGreater(task.eta_posix, 0)
        self.taskqueue_stub.FlushQueue("default")
        guestbook.remind(7, days=3)
        self.assertEqual(1, len(self.taskqueue_stub.get_filtered_tasks(url="/tasks/remind")))

    def test_digest(self):
        guestbook.sign("One")
        guestbook.sign("Two", digest=False)
        queue = taskqueue.Queue("digest")
        tasks = queue.lease_tasks_by_tag(60, 10, tag="today")
        self.assertEqual([b"One"], [task.payload for task in tasks])
        self.assertEqual("today", tasks[0].tag)
        queue.delete_tasks(tasks)
        self.assertTrue(tasks[0].was_deleted)
        self.assertEqual(0, queue.fetch_statistics().tasks)

    def test_queues_of_the_file(self):
        names = [queue["name"] for queue in self.taskqueue_stub.GetQueues()]
        self.assertEqual(["default", "digest", "mail"], names)
        with self.assertRaises(taskqueue.UnknownQueueError):
            taskqueue.add(url="/x", queue_name="nowhere")

    def test_limits(self):
        with self.assertRaises(taskqueue.TaskTooLargeError):
            taskqueue.Task(payload=b"x" * (taskqueue.MAX_TASK_SIZE_BYTES + 1), url="/x")
        with self.assertRaises(taskqueue.TooManyTasksError):
            taskqueue.Queue().add([taskqueue.Task(url="/x") for _ in range(taskqueue.MAX_TASKS_PER_ADD + 1)])

    @mock.patch("google.appengine.api.taskqueue.add")
    def test_patched(self, add):
        guestbook.sign("Hello", digest=False)
        add.assert_called_once_with(
            url="/tasks/mail", params={"to": "owner@example.com", "text": "Hello"}, queue_name="mail"
        )

    @mock.patch.object(deferred, "defer")
    def test_patched_defer(self, defer):
        guestbook.sign("Hello", digest=False)
        defer.assert_called_once_with(guestbook.index_entry, 0)


class ByHandTestCase(unittest.TestCase):
    """The older way, without a testbed."""

    def setUp(self):
        self.proxy = apiproxy_stub_map.apiproxy
        apiproxy_stub_map.apiproxy = apiproxy_stub_map.APIProxyStubMap()
        self.stub = taskqueue_stub.TaskQueueServiceStub(_all_queues_valid=True)
        apiproxy_stub_map.apiproxy.RegisterStub("taskqueue", self.stub)

    def tearDown(self):
        apiproxy_stub_map.apiproxy = self.proxy

    def test_any_queue(self):
        taskqueue.add(url="/x", queue_name="whatever")
        stub = apiproxy_stub_map.apiproxy.GetStub("taskqueue")
        self.assertEqual(["/x"], [task["url"] for task in stub.GetTasks("whatever")])


if __name__ == "__main__":
    unittest.main()
