"""A guestbook: signing it mails the owner, indexes the entry and files it for the daily digest."""

import logging

import webapp2
from google.appengine.api import taskqueue
from google.appengine.ext import deferred

entries = []
outbox = []
index = {}


def index_entry(number):
    for word in entries[number].lower().split():
        index.setdefault(word, []).append(number)


def send_mail(to, text):
    outbox.append((to, text))


def sign(text, digest=True):
    entries.append(text)
    number = len(entries) - 1
    taskqueue.add(url="/tasks/mail", params={"to": "owner@example.com", "text": text}, queue_name="mail")
    deferred.defer(index_entry, number)
    if digest:
        taskqueue.Queue("digest").add(taskqueue.Task(payload=text.encode("utf-8"), method="PULL", tag="today"))
    return number


def remind(number, days):
    name = "remind-%d" % number
    try:
        taskqueue.add(url="/tasks/remind", name=name, countdown=days * 86400, params={"n": number})
    except taskqueue.TaskAlreadyExistsError:
        logging.info("a reminder of %d is there already", number)


class SignHandler(webapp2.RequestHandler):
    def post(self):
        sign(self.request.get("text"))
        self.redirect("/")


class MailHandler(webapp2.RequestHandler):
    def post(self):
        send_mail(self.request.get("to"), self.request.get("text"))


class StateHandler(webapp2.RequestHandler):
    def get(self):
        self.response.write("%d %d %d" % (len(entries), len(outbox), len(index)))


class DigestHandler(webapp2.RequestHandler):
    def post(self):
        queue = taskqueue.Queue("digest")
        tasks = queue.lease_tasks(60, 100)
        for task in sorted(tasks, key=lambda task: task.payload):
            self.response.write(task.payload.decode("utf-8") + "\n")
        queue.delete_tasks(tasks)


app = webapp2.WSGIApplication(
    [
        ("/", StateHandler),
        ("/sign", SignHandler),
        ("/tasks/mail", MailHandler),
        ("/digest", DigestHandler),
    ]
)


def main(environ, start_response):
    """The application with deferred's handler beside it, as app.yaml's builtin put it there."""
    if environ["PATH_INFO"] == "/_ah/queue/deferred":
        return deferred.application(environ, start_response)
    return app(environ, start_response)
