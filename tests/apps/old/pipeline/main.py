"""A pipeline of deferred steps: a job fans out into shards, shards into steps, and the last step ends the job."""

import json
import threading

import webapp2
from google.appengine.api import taskqueue
from google.appengine.ext import deferred

jobs = {}
lock = threading.Lock()
SHARD = 100
RETRY = taskqueue.TaskRetryOptions(min_backoff_seconds=0.05, max_backoff_seconds=1, task_retry_limit=10)


class StepFailed(Exception):
    pass


class Job(object):
    """What the datastore held."""

    def __init__(self, job_id, steps):
        self.job_id, self.steps = job_id, steps
        self.done, self.tries, self.finished, self.squares = set(), 0, 0, 0


def run_step(job_id, number):
    job = jobs[job_id]
    with lock:
        job.tries += 1
        first = ("failed", number) not in job.done
        job.done.add(("failed", number))
    if number % 10 == 3 and first:
        raise StepFailed(number)
    with lock:
        if number in job.done:
            return  # at least once means sometimes twice
        job.done.add(number)
        job.squares += number * number
        last = sum(isinstance(entry, int) for entry in job.done) == job.steps
    if last:
        deferred.defer(finish, job_id, _queue="steps", _name="finish-%s" % job_id)


def run_shard(job_id, start, stop):
    for number in range(start, stop):
        deferred.defer(run_step, job_id, number, _queue="steps", _retry_options=RETRY)


def finish(job_id):
    with lock:
        jobs[job_id].finished += 1


class StartHandler(webapp2.RequestHandler):
    def post(self):
        job_id, steps = self.request.get("id"), int(self.request.get("steps"))
        jobs[job_id] = Job(job_id, steps)
        for start in range(0, steps, SHARD):
            deferred.defer(run_shard, job_id, start, min(start + SHARD, steps), _queue="shards")
        self.response.set_status(202)


class StatusHandler(webapp2.RequestHandler):
    def get(self, job_id):
        job = jobs[job_id]
        with lock:
            done = sum(isinstance(entry, int) for entry in job.done)
            self.response.write(
                json.dumps({"done": done, "tries": job.tries, "finished": job.finished, "squares": job.squares})
            )


app = webapp2.WSGIApplication(
    [
        ("/start", StartHandler),
        ("/status/(.*)", StatusHandler),
        ("/_ah/queue/deferred", deferred.TaskHandler),
    ]
)
