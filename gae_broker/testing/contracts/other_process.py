"""A second process on the same broker, to be killed or stopped: obligations about processes need real ones.

Run as a module it reads one command per line and answers each with one line, both JSON; what a subscription
is told comes as lines of its own, with the key ``event``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import Any, cast

from gae_broker.domain.message import Message
from gae_broker.domain.task import Kind
from gae_broker.ports import Broker, Delivery, Sink, Subscription

_PATIENCE_S = 30.0


class OtherProcess:
    """The handle on it: commands go in, answers and events come out."""

    def __init__(self, opener: str, url: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, opener, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._answers: queue.Queue[Any] = queue.Queue()
        self.events: queue.Queue[Any] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def publish(self, messages: list[Message]) -> list[str | None]:
        """Publish; the text of each error."""
        plain = [{**dataclasses.asdict(message), "body": message.body.decode("latin-1")} for message in messages]
        return cast("list[str | None]", self._ask(do="publish", messages=plain))

    def get(self, name: str, limit: int) -> list[str]:
        """Take messages of a pull queue and hold them; their copy ids."""
        return cast("list[str]", self._ask(do="get", queue=name, limit=limit))

    def subscribe(self, name: str, count: int) -> None:
        """Subscribe to a push queue with a demand; see `events`."""
        self._ask(do="subscribe", queue=name, count=count)

    def ack(self) -> None:
        """Ack all that was taken or delivered."""
        self._ask(do="ack")

    def event(self) -> Any:  # noqa: ANN401 - JSON
        """The next thing that its subscription was told."""
        return self.events.get(timeout=_PATIENCE_S)

    def stop(self) -> None:
        """Keep it from working, as a suspended machine would."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it work again."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as ``kill -9`` does. Idempotent."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def leave(self) -> None:
        """Let it close its broker and end."""
        self._ask(do="close")
        self._process.wait(_PATIENCE_S)

    def _ask(self, **command: object) -> object:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answers.get(timeout=_PATIENCE_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "event" in told:
                self.events.put(told)
            else:
                self._answers.put(told["answer"])


class _Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000


class _Served:
    """What runs inside the other process."""

    def __init__(self, opener: str, url: str) -> None:
        module, _, function = opener.partition(":")
        self._broker = cast("Broker", getattr(import_module(module), function)(url, clock=_Clock()))
        self._held: list[Delivery] = []
        self._subscriptions: list[Subscription] = []
        self._speaking = threading.Lock()

    def run(self) -> None:
        for line in sys.stdin:
            command = json.loads(line)
            answer = getattr(self, f"do_{command.pop('do')}")(**command)
            self._say(answer=answer)
            if line.strip() == '{"do": "close"}':
                return

    def do_publish(self, messages: list[dict[str, Any]]) -> list[str | None]:
        batch = [
            Message(**{**plain, "kind": Kind(plain["kind"]), "body": plain["body"].encode("latin-1")})
            for plain in messages
        ]
        return [None if error is None else repr(error) for error in self._broker.publish(batch, 10.0)]

    def do_get(self, queue: str, limit: int) -> list[str]:
        taken = self._broker.get(Kind.PULL, queue, limit)
        self._held += taken
        return [delivery.message.copy_id for delivery in taken]

    def do_subscribe(self, queue: str, count: int) -> None:
        subscription = self._broker.subscribe(
            queue,
            Sink(
                deliver=self._deliver,
                owned=lambda active: self._say(event="owned", active=active),
                lost=lambda exc: self._say(event="lost", error=repr(exc)),
            ),
        )
        subscription.demand(count)
        self._subscriptions.append(subscription)

    def do_ack(self) -> None:
        held, self._held = self._held, []
        (self._subscriptions[0] if self._subscriptions else self._broker).ack(held)

    def do_close(self) -> None:
        self._broker.close()

    def _deliver(self, deliveries: list[Delivery]) -> None:
        self._held += deliveries
        self._say(event="delivered", copies=[delivery.message.copy_id for delivery in deliveries])

    def _say(self, **told: object) -> None:
        with self._speaking:
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _Served(*sys.argv[1:]).run()
