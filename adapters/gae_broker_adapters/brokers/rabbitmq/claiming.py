"""A subscription's claim to own its queue: an exclusive queue that there can be only one of.

It ends with its connection, so that another dispatcher's claim is granted as soon as the broker knows that the owner
is gone. The owner consumes from it, for one reason: RabbitMQ then tells when the queue is deleted, by an operator or
because cluster nodes lost each other.
"""

from __future__ import annotations

import logging
import os
import random
import socket
from collections.abc import Callable, MutableMapping

from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

_log = logging.getLogger(__name__)
_AGAIN_S = 1.0
_LONGEST_S = 30.0
_LOCKED = 405


class Claim:
    """One subscription's claim. Lives in the session's thread.

    Args:
        queue: the App Engine queue's name, for logs.
        name: the exclusive queue's.
        owners: whose claims were granted on this connection: RabbitMQ would grant all of them.
        granted: called when the queue is owned.
        lost: called when it is not any more, though the connection is there.
    """

    def __init__(
        self,
        queue: str,
        name: str,
        owners: MutableMapping[str, object],
        granted: Callable[[SelectConnection], None],
        lost: Callable[[Exception], None],
    ) -> None:
        self._queue = queue
        self._name = name
        self._owners = owners
        self._granted = granted
        self._lost = lost
        self._channel: Channel | None = None
        self._is_granted = False
        self._is_released = False
        self._wait_s = _AGAIN_S
        self._fault = ""

    def seek(self, connection: SelectConnection) -> None:
        """Claim on this connection, again and again until it is granted."""
        if self._is_released or not connection.is_open:
            return
        if self._owners.setdefault(self._queue, self) is not self:
            self._seek_later(connection)
        else:
            connection.channel(on_open_callback=self._opened)

    def release(self) -> None:
        """Let others own the queue. Idempotent."""
        self._is_released = True
        self._forget()
        channel, self._channel = self._channel, None
        if channel is None or not channel.is_open:
            return
        # If the declaration is still under way, this goes after it: the queue would stay as long as the connection.
        channel.queue_delete(self._name, callback=lambda _: _close(channel))

    def _opened(self, channel: Channel) -> None:
        if self._is_released:
            channel.close()
            return
        self._channel = channel
        channel.add_on_close_callback(self._closed)
        channel.queue_declare(
            self._name,
            exclusive=True,
            arguments={"x-queue-type": "classic", "gae-owner": f"process {os.getpid()} on {socket.gethostname()}"},
            callback=lambda _: self._declared(channel),
        )

    def _declared(self, channel: Channel) -> None:
        if self._is_released:
            return  # `release` has sent what ends it
        self._is_granted, self._wait_s, self._fault = True, _AGAIN_S, ""
        channel.add_on_cancel_callback(lambda _: self._deleted(channel))
        channel.basic_consume(self._name, lambda *_: None, auto_ack=True)
        self._granted(channel.connection)

    def _deleted(self, channel: Channel) -> None:
        if not self._is_released:
            self._forget()
            channel.close()
            self._lost(RuntimeError(f"its claim, the exclusive queue {self._name!r}, was deleted"))

    def _closed(self, channel: Channel, error: Exception) -> None:
        """The claim was refused, or the broker closed the channel."""
        self._forget()
        self._channel = None
        if self._is_released or not channel.connection.is_open:
            return
        if self._is_granted:
            self._lost(error)
            return
        if getattr(error, "reply_code", _LOCKED) != _LOCKED:
            self._wait_s = min(self._wait_s * 2, _LONGEST_S)
            if str(error) != self._fault:
                self._fault = str(error)
                _log.warning("queue %s cannot be served from here, trying again: %s", self._queue, error)
        self._seek_later(channel.connection)

    def _seek_later(self, connection: SelectConnection) -> None:
        # Jitter: or all standbys would ask in the same moment, for ever.
        wait_s = self._wait_s * random.uniform(0.5, 1.0)  # noqa: S311
        connection.ioloop.call_later(wait_s, lambda: self.seek(connection))

    def _forget(self) -> None:
        if self._owners.get(self._queue) is self:
            del self._owners[self._queue]


def _close(channel: Channel) -> None:
    if channel.is_open:
        channel.close()
