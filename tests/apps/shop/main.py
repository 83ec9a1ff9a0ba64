"""The shop's web application: what customers call, and the task handlers behind it."""

from __future__ import annotations

import datetime

from flask import Flask, Response, jsonify, request
from shop import journal, mailer
from shop.inventory import Warehouse

from gae_broker import deferred, taskqueue

app = Flask(__name__)

CARD_RETRY = taskqueue.TaskRetryOptions(task_retry_limit=2, min_backoff_seconds=0.3, max_doublings=0)
FLAKY_FAILURES = 2
RECEIPT_DELAY_S = 1


@app.post("/orders")
def place_order() -> tuple[Response, int]:
    """A customer orders; the card is charged behind their back, once however often they click."""
    order = request.form
    try:
        taskqueue.add(
            name=f"charge-{order['id']}",
            url="/tasks/charge",
            params={"id": order["id"], "card": order["card"], "mail": order["mail"], "warehouse": order["warehouse"]},
            queue_name="payments",
            retry_options=CARD_RETRY if order["card"] == "expired" else None,
        )
    except (taskqueue.TaskAlreadyExistsError, taskqueue.TombstonedTaskError):
        return jsonify(order=order["id"], accepted=False), 200
    return jsonify(order=order["id"], accepted=True), 202


@app.post("/tasks/charge")
def charge() -> tuple[str, int]:
    """Charge a card. The gateway fails now and then; an expired card fails each time."""
    order_id, card = request.form["id"], request.form["card"]
    run = int(request.headers["X-AppEngine-TaskRetryCount"])
    if card == "expired":
        journal.record("charge", order_id, "declined", run)
        return "card expired", 402
    if card == "flaky" and run < FLAKY_FAILURES:
        journal.record("charge", order_id, "failed", run)
        return "gateway timeout", 504
    deferred.defer(mailer.send_receipt, order_id, request.form["mail"], _queue="mail", _countdown=RECEIPT_DELAY_S)
    deferred.defer(Warehouse(request.form["warehouse"]).reserve, order_id, quantity=2)
    journal.record("charge", order_id, "done", run)
    return "charged", 200


@app.post("/reminders")
def remind_later() -> tuple[Response, int]:
    """Remind a customer of their basket at a time of their choice."""
    now = datetime.datetime.now(datetime.UTC)
    eta = now + datetime.timedelta(seconds=float(request.form["in"]))
    taskqueue.add(
        url="/tasks/remind",
        method="GET",
        params={"basket": request.form["basket"], "due": str(eta.timestamp())},
        eta=eta,
        headers={"X-Shop-Reason": "basket"},
    )
    return jsonify(basket=request.form["basket"]), 202


@app.get("/tasks/remind")
def remind() -> str:
    """Send one reminder."""
    run = int(request.headers["X-AppEngine-TaskRetryCount"])
    journal.record("remind", request.args["basket"], "done", run, due=float(request.args["due"]))
    return request.headers["X-Shop-Reason"]


@app.post("/photos")
def upload_photos() -> tuple[Response, int]:
    """Product photos come in; thumbnails are made one task each, added in one batch."""
    names = request.form.getlist("photo")
    tasks = [taskqueue.Task(url=f"/tasks/thumbnail/{name}", payload=name.encode(), method="PUT") for name in names]
    added = taskqueue.Queue().add(tasks)
    return jsonify(tasks=[task.name for task in added]), 202


@app.put("/tasks/thumbnail/<name>")
def make_thumbnail(name: str) -> tuple[str, int]:
    """Make one thumbnail, from the request's body."""
    photo = request.get_data().decode()
    journal.record("thumbnail", name, "done" if photo == name else "failed", _run())
    return "", 204


@app.post("/reports")
def order_report() -> tuple[Response, int]:
    """The owner asks for a report: a closure, which App Engine's deferred could not carry."""
    title, month = request.form["title"], int(request.form["month"])

    def write() -> None:
        journal.record("report", f"{title}-{month:02}", "done", 0)

    deferred.defer(write, _name=f"report-{title}-{month:02}")
    return jsonify(report=title), 202


@app.post("/_ah/queue/deferred")
def run_deferred() -> tuple[str, int, list[tuple[str, str]]]:
    """Deferred calls, as Google's Flask sample routes them."""
    return deferred.Handler().post(request.environ)


@app.get("/admin/queues")
def queue_figures() -> Response:
    """What the owner's dashboard shows of the queues."""
    queues = [taskqueue.Queue(name) for name in ("default", "payments", "mail", "labels")]
    figures = taskqueue.QueueStatistics.fetch(queues)
    return jsonify({figure.queue.name: figure.tasks for figure in figures})


def _run() -> int:
    return int(request.headers["X-AppEngine-TaskRetryCount"])
