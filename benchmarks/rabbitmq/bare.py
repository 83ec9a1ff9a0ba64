"""Bare loops on pika: what RabbitMQ and the driver allow where no task queue is around them."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from benchmarks.stores import PAYLOAD

QUORUM = {"x-queue-type": "quorum"}
_PERSISTENT = pika.BasicProperties(delivery_mode=2)


def multiply(url: str, queue: str, count: int) -> None:
    """Make ``count`` messages of the one that is in the queue: a peer's own message, without the time that it takes."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        method, properties, body = channel.basic_get(queue)
        if method is None:
            raise RuntimeError(f"there is no message in {queue} to multiply")
        channel.basic_reject(method.delivery_tag)
    Publisher(url, queue, 1000, refill=True, body=body, properties=properties).run(count - 1)


def declare(url: str, queue: str, **arguments: object) -> None:
    """A durable quorum queue."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_declare(queue, durable=True, arguments={**QUORUM, **arguments})


class Publisher:
    """Publishes persistent, mandatory messages with confirms, ``window`` of them under way at a time.

    With ``refill`` the next ones follow as confirms come in, so that the broker never waits; without, a window is
    confirmed as a whole before the next begins, as a batch add is.
    """

    def __init__(
        self,
        url: str,
        queue: str,
        window: int,
        *,
        refill: bool,
        body: bytes = PAYLOAD,
        properties: pika.BasicProperties = _PERSISTENT,
    ) -> None:
        self._body = body
        self._properties = properties
        self._queue = queue
        self._window = window
        self._refill = refill
        self._parameters = pika.URLParameters(url)

    def run(self, count: int) -> float:
        """Publish so many messages on a connection made before; confirmed messages per second."""
        self._left = count
        self._open = 0
        self._tag = self._confirmed = 0
        self._failed: object = None
        self._begun = self._ended = 0.0
        self._connection = SelectConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._channel_open),
            on_close_callback=lambda connection, _: connection.ioloop.stop(),
            on_open_error_callback=self._fail,
        )
        self._connection.ioloop.start()
        if self._failed is not None:
            raise RuntimeError(f"the bare publisher failed: {self._failed}")
        return count / (self._ended - self._begun)

    def _channel_open(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_return_callback(lambda *what: self._fail(self._connection, what[1]))
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._start())

    def _start(self) -> None:
        self._begun = time.perf_counter()
        self._fill()

    def _fill(self) -> None:
        while self._left and self._open < self._window:
            self._channel.basic_publish("", self._queue, self._body, self._properties, mandatory=True)
            self._tag += 1
            self._left -= 1
            self._open += 1

    def _on_confirm(self, frame: pika.frame.Method) -> None:
        method = frame.method
        if isinstance(method, pika.spec.Basic.Nack):
            self._fail(self._connection, method)
            return
        settled = method.delivery_tag - self._confirmed if method.multiple else 1
        self._confirmed = max(method.delivery_tag, self._confirmed) if method.multiple else self._confirmed + 1
        self._open -= settled
        if not self._open and not self._left:
            self._ended = time.perf_counter()
            self._connection.close()
        elif self._left and (not self._open if not self._refill else self._open <= self._window // 2):
            self._fill()

    def _fail(self, connection: SelectConnection, error: object) -> None:
        self._failed = error
        connection.ioloop.stop()


async def consume_and_post(url: str, queue: str, target: str, count: int) -> float:
    """Consume, POST each message and ack it when it was answered: requests per second, first to last answer."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    tasks: set[asyncio.Task[None]] = set()
    first, answered = 0.0, 0

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one(channel: Channel, tag: int, body: bytes) -> None:
            nonlocal first, answered
            async with session.post(target, data=body) as response:
                await response.read()
            channel.basic_ack(tag)
            answered += 1
            if answered == 1:
                first = time.perf_counter()
            if answered == count:
                done.set_result((count - 1) / (time.perf_counter() - first))

        def message(channel: Channel, method: pika.spec.Basic.Deliver, _: object, body: bytes) -> None:
            task = loop.create_task(one(channel, method.delivery_tag, body))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        def consume(channel: Channel) -> None:
            channel.basic_qos(prefetch_count=100)
            channel.basic_consume(queue, message)

        connection = AsyncioConnection(
            pika.URLParameters(url),
            on_open_callback=lambda opened: opened.channel(on_open_callback=consume),
            on_open_error_callback=lambda _, error: done.set_exception(error),
            on_close_callback=lambda _, error: None if done.done() else done.set_exception(error),
        )
        result = await done
        closed = loop.create_future()
        connection.add_on_close_callback(lambda *_: closed.set_result(None))
        connection.close()
        await closed
        return result
