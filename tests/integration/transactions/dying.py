"""An application that is killed right after a commit, before anything of it was relayed.

Run as ``python -m tests.integration.transactions.dying sqlalchemy URL``, or with ``django`` alone.
"""

from __future__ import annotations

import os
import signal
import sys

from gae_broker import deferred, taskqueue
from gae_broker.engine.outbox import Relay


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def add() -> None:
    taskqueue.add(url="/first", transactional=True)
    taskqueue.Queue("pull").add(taskqueue.Task(b"\x00" * 900_000, method="PULL"), transactional=True)
    deferred.defer(len, bytes(500_000), _transactional=True)


def with_sqlalchemy(url: str) -> None:
    import sqlalchemy as sa  # noqa: PLC0415
    from sqlalchemy.orm import Session  # noqa: PLC0415

    from gae_broker_adapters.sqlalchemy import outbox  # noqa: PLC0415

    engine = sa.create_engine(url)
    outbox.attach(engine)
    with Session(engine) as session, session.begin():
        session.execute(sa.text("INSERT INTO facts VALUES ('committed')"))
        add()
    sys.exit("the commit returned, and nobody died")


def with_django() -> None:
    import django  # noqa: PLC0415
    from django.db import transaction  # noqa: PLC0415

    django.setup()
    with transaction.atomic():
        add()
    sys.exit("the commit returned, and nobody died")


if __name__ == "__main__":
    Relay.run = die  # type: ignore[method-assign]  # the first thing that would be done after a commit
    {"sqlalchemy": with_sqlalchemy, "django": with_django}[sys.argv[1]](*sys.argv[2:])
