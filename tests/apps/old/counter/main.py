"""A counter, in the style of App Engine's first push queue sample: the page adds tasks, the worker counts."""

import logging
import threading

import webapp2
from google.appengine.api import taskqueue
from google.appengine.api.taskqueue import TaskAlreadyExistsError, TombstonedTaskError

counters = {}
tries = {}
lock = threading.Lock()


class CounterHandler(webapp2.RequestHandler):
    def get(self):
        with lock:
            for key in sorted(counters):
                self.response.out.write("%s %d\n" % (key, counters[key]))

    def post(self):
        key = self.request.get("key")
        once = self.request.get("once")
        try:
            taskqueue.add(
                queue_name="counters",
                url="/worker",
                params={"key": key},
                name="count-%s-%s" % (key, once) if once else None,
                countdown=1 if self.request.get("later") else None,
            )
        except (TaskAlreadyExistsError, TombstonedTaskError) as e:
            logging.info("already counted: %s", type(e).__name__)
        self.redirect("/")


class CounterWorker(webapp2.RequestHandler):
    def post(self):
        if "X-AppEngine-QueueName" not in self.request.headers:
            self.abort(403)
        key = self.request.get("key")
        # The datastore has a bad day: the first try of each key fails.
        retry_count = int(self.request.headers["X-AppEngine-TaskRetryCount"])
        if key == "flaky" and retry_count == 0:
            with lock:
                tries[key] = tries.get(key, 0) + 1
            raise RuntimeError("datastore timeout")
        with lock:
            counters[key] = counters.get(key, 0) + 1


class BatchHandler(webapp2.RequestHandler):
    """Counts many at a time, a hundred tasks a call."""

    def post(self):
        queue = taskqueue.Queue("counters")
        total = int(self.request.get("n"))
        while total > 0:
            size = min(total, 100)
            tasks = [
                taskqueue.Task(
                    url="/worker",
                    params={"key": "batch"},
                    retry_options=taskqueue.TaskRetryOptions(task_retry_limit=5, min_backoff_seconds=0.1),
                )
                for _ in range(size)
            ]
            queue.add(tasks)
            total -= size
        stats = queue.fetch_statistics()
        self.response.write("added, queue is %s\n" % stats.queue.name)


class ResetHandler(webapp2.RequestHandler):
    def get(self):
        taskqueue.Queue("counters").purge()
        with lock:
            counters.clear()


app = webapp2.WSGIApplication(
    [("/", CounterHandler), ("/worker", CounterWorker), ("/batch", BatchHandler), ("/reset", ResetHandler)],
    debug=True,
)
