"""Adds up events by tag: a pull queue, and a worker that leases whichever tag has waited longest."""

import json
import logging
import threading

import webapp2
from google.appengine.api import taskqueue

totals = {}
batches = []
lock = threading.Lock()
QUEUE = "events"


class EventHandler(webapp2.RequestHandler):
    def post(self):
        events = json.loads(self.request.body)
        queue = taskqueue.Queue(QUEUE)
        rpcs = []
        for start in range(0, len(events), 100):
            tasks = [
                taskqueue.Task(payload=json.dumps(event), method="PULL", tag=event.get("game"))
                for event in events[start : start + 100]
            ]
            rpcs.append(queue.add_async(tasks))
        for rpc in rpcs:
            rpc.get_result()
        self.response.write(len(events))


class WorkerHandler(webapp2.RequestHandler):
    """Works until nothing is left; on App Engine a backend ran this loop."""

    def post(self):
        queue = taskqueue.Queue(QUEUE)
        while True:
            try:
                tasks = queue.lease_tasks_by_tag(30, 500)
            except taskqueue.TransientError as e:
                logging.warning("lease failed: %s", e)
                continue
            if not tasks:
                break
            self.work(queue, tasks)
        self.response.write("ok")

    def work(self, queue, tasks):
        assert len(set(task.tag for task in tasks)) == 1
        if tasks[0].retry_count == 1 and tasks[0].tag == "chess" and not batches:
            # The first batch is given back, as a worker did that was about to be stopped.
            for task in tasks:
                queue.modify_task_lease(task, 0)
            batches.append(("chess", -len(tasks)))
            return
        points = sum(json.loads(task.payload)["points"] for task in tasks)
        with lock:
            totals[tasks[0].tag] = totals.get(tasks[0].tag, 0) + points
            batches.append((tasks[0].tag, len(tasks)))
        queue.delete_tasks(tasks)


class TotalsHandler(webapp2.RequestHandler):
    def get(self):
        stats = taskqueue.QueueStatistics.fetch(QUEUE)
        with lock:
            self.response.write(
                json.dumps(
                    {
                        "totals": {str(tag): points for tag, points in totals.items()},
                        "batches": batches,
                        "left": stats.tasks,
                    }
                )
            )


app = webapp2.WSGIApplication([("/events", EventHandler), ("/work", WorkerHandler), ("/totals", TotalsHandler)])
