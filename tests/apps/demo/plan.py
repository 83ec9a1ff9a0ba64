"""What the demo's customers do, and how each task that follows from it must end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

ORDERS = 80
DOUBLE_CLICKS = 10
REMINDERS = 40
PHOTOS = 100
REPORTS = 12
WAREHOUSES = ("berlin", "lisbon", "oslo", "turin")

KINDS = ("charge", "receipt", "reserve", "label", "remind", "thumbnail", "report")
"""The kinds of task, in the order they are shown."""

ABOUT = {
    "charge": "push, named, retried",
    "receipt": "deferred, countdown",
    "reserve": "deferred method",
    "label": "pull, by tag",
    "remind": "push, eta",
    "thumbnail": "push, one batch",
    "report": "deferred closure",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request of a customer: a path, a form, and the answer's status that is right."""

    path: str
    body: bytes
    status: int


@dataclass(frozen=True, slots=True)
class Expected:
    """How one task must end.

    Attributes:
        kind, item: which task.
        outcome: ``done``, or ``declined`` for one that is given up.
        runs: how many runs it takes at least, all but the last of them failing.
    """

    kind: str
    item: str
    outcome: str = "done"
    runs: int = 1


def requests() -> Iterator[Request]:
    """All requests in the order they are sent, kinds mixed."""
    yield _form("/photos", [("photo", f"photo-{number:03}") for number in range(PHOTOS)], 202)
    for number in range(ORDERS):
        yield _order(number, 202)
        if number % (ORDERS // DOUBLE_CLICKS) == 0:
            yield _order(number, 200)
        if number < REMINDERS:
            wait_s = 0.5 + number % 8 * 0.5
            yield _form("/reminders", [("basket", f"basket-{number:02}"), ("in", str(wait_s))], 202)
        if number < REPORTS:
            yield _form("/reports", [("title", "sales"), ("month", str(number + 1))], 202)


def expectations() -> list[Expected]:
    """How every task that follows from `requests` must end."""
    expected = [Expected("thumbnail", f"photo-{number:03}") for number in range(PHOTOS)]
    expected += [Expected("remind", f"basket-{number:02}") for number in range(REMINDERS)]
    expected += [Expected("report", f"sales-{number + 1:02}") for number in range(REPORTS)]
    for number in range(ORDERS):
        expected += _expected_of_order(number)
    return expected


def _expected_of_order(number: int) -> list[Expected]:
    order_id, card = _order_id(number), _card(number)
    if card == "expired":
        return [Expected("charge", order_id, "declined", runs=3)]
    return [
        Expected("charge", order_id, runs=3 if card == "flaky" else 1),
        Expected("receipt", order_id, "declined" if _bounces(number) else "done"),
        Expected("reserve", order_id),
        Expected("label", order_id, runs=2 if number % 10 == 7 else 1),
    ]


def _order(number: int, status: int) -> Request:
    fields = [
        ("id", _order_id(number)),
        ("card", _card(number)),
        ("mail", f"c{number}@nowhere.invalid" if _bounces(number) else f"c{number}@shop.example"),
        ("warehouse", WAREHOUSES[number % len(WAREHOUSES)]),
    ]
    return _form("/orders", fields, status)


def _order_id(number: int) -> str:
    return f"o{number:03}"


def _card(number: int) -> str:
    return {9: "expired", 3: "flaky", 8: "flaky"}.get(number % 10, "good")


def _bounces(number: int) -> bool:
    return number % 10 == 5


def _form(path: str, fields: Sequence[tuple[str, str]], status: int) -> Request:
    return Request(path, urlencode(fields).encode(), status)
