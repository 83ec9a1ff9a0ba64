"""A connection that reads deliveries and confirms itself: pika spends more on one than all the rest of a dispatcher.

pika makes three frame objects of a delivery, decodes every header (of a delayed message each hop's ``x-death`` too)
and copies what is left of its buffer after each frame. Here the deliveries of one read become one list, and only the
headers that are ours are decoded. It also hands out deliveries that are under way when a consumer is cancelled, which
pika rejects: on every RabbitMQ a reject counts as a crash.

This module and `outlet` are those that stand on pika's private names, here listed in `PRIVATE`. A pika without them is
used as it comes: slower, otherwise alike.
"""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import pika
from pika import frame
from pika.adapters.select_connection import SelectConnection

Content: TypeAlias = tuple[int, pika.BasicProperties, bytes]
"""A delivery's tag, its properties as far as they are ours, and its body."""
Taker = Callable[[list[Content]], None]
ConfirmTaker = Callable[[int, bool, bool], None]
"""Called with a confirm's tag, whether it is for all before it too, and whether it is a refusal."""

PRIVATE: Mapping[str, tuple[str, ...]] = {
    "_on_data_available": ("self", "data_in"),
    "_process_frame": ("self", "frame_value"),
    "_output_marshaled_frames": ("self", "marshaled_frames"),
}
"""Methods of pika's connection, and their parameters, that this module needs."""

_log = logging.getLogger(__name__)
_FRAME = struct.Struct(">BHI").unpack_from
_SHORT = struct.Struct(">H").unpack_from
_LONG = struct.Struct(">I").unpack_from
_TAG = struct.Struct(">Q").unpack_from
_HEAD, _END = 7, 0xCE
_METHOD, _HEADER, _BODY = 1, 2, 3
_DELIVER = 60 << 16 | 60
_HEADERS, _DELIVERY_MODE, _MESSAGE_ID = 1 << 13, 1 << 12, 1 << 7
_READ = 256 * 1024
"""pika reads 4 kB at a time, and each read is a turn in which other threads may take the interpreter."""
_OURS = b"gae-"
_COUNT = b"x-delivery-count"
_FIXED = {
    **dict.fromkeys(b"tbB", 1),
    **dict.fromkeys(b"sUu", 2),
    **dict.fromkeys(b"Iif", 4),
    **dict.fromkeys(b"dlLT", 8),
    **dict.fromkeys(b"D", 5),
    **dict.fromkeys(b"V", 0),
}
"""Bytes of the values whose kind says how long they are; the others say it themselves."""
_NUMBERS = {ord("I"): struct.Struct(">i").unpack_from, **dict.fromkeys(b"lL", struct.Struct(">q").unpack_from)}
_SIZED = frozenset(b"AFx")
_ACK, _NACK = 60 << 16 | 80, 60 << 16 | 120
_CONFIRM_SIZE = 21
_PACK_SETTLE = struct.Struct(">BHIIQBB").pack


class Inlet(SelectConnection):  # type: ignore[misc] # pika is untyped
    """`SelectConnection` that gives the deliveries of some channels to takers, a list for each read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever pika's own takes
        self._takers: dict[int, Taker] = {}
        self._confirm_takers: dict[int, ConfirmTaker] = {}
        self._rest = b""
        super().__init__(*args, **kwargs)

    def take(self, channel: int, taker: Taker | None) -> None:
        """Give a channel's deliveries to ``taker`` from now on, or (``None``) to pika."""
        if taker is None:
            self._takers.pop(channel, None)
        else:
            self._takers[channel] = taker

    def take_confirms(self, channel: int, taker: ConfirmTaker | None) -> None:
        """Give a channel's confirms to ``taker`` from now on, or (``None``) to pika, which takes longer over one."""
        if taker is None:
            self._confirm_takers.pop(channel, None)
        else:
            self._confirm_takers[channel] = taker

    def read_much(self) -> None:
        """Read more at a time, where this pika lets itself be told."""
        transport = getattr(self, "_transport", None)
        if transport is not None and hasattr(transport, "_MAX_RECV_BYTES"):
            transport._MAX_RECV_BYTES = _READ  # noqa: SLF001 - see the module's docstring

    def settle(self, channel: int, tags: list[tuple[int, bool]], *, ack: bool) -> None:
        """Ack or return deliveries (tag, whether all before it too) with one write."""
        method, requeue = (_ACK, 0) if ack else (_NACK, 2)
        frames = [_PACK_SETTLE(_METHOD, channel, 13, method, tag, multiple | requeue, _END) for tag, multiple in tags]
        self._output_marshaled_frames([b"".join(frames)])

    def _on_data_available(self, data_in: bytes) -> None:
        data = self._rest + data_in if self._rest else data_in
        self._rest = b""
        # pika's heartbeat looks at these two to see that the broker lives.
        self.bytes_received += len(data_in)
        at, size = 0, len(data)
        batches: dict[int, list[Content]] = {}
        while size - at > _HEAD:
            kind, channel, length = _FRAME(data, at)
            end = at + _HEAD + length + 1
            if kind == _METHOD and channel in self._takers and end <= size and _LONG(data, at + _HEAD)[0] == _DELIVER:
                content, following = _content(data, at, channel)
                if following < 0:
                    break
                if content is not None:
                    self.frames_received += 1
                    batches.setdefault(channel, []).append(content)
                    at = following
                    continue
            if kind == _METHOD and channel in self._confirm_takers and end <= size and self._take_confirm(data, at):
                at = end
                continue
            consumed, value = frame.decode_frame(data[at:end])
            if value is None:
                break
            at += consumed
            if batches and kind == _METHOD:
                self._hand_out(batches)  # before what the broker said after them
                batches = {}
            self._process_frame(value)
            if self.is_closed:
                return
        self._hand_out(batches)
        self._rest = data[at:]

    def _take_confirm(self, data: bytes, at: int) -> bool:
        """Hand out the confirm whose frame begins at ``at``; whether it is one."""
        (method,) = _LONG(data, at + _HEAD)
        if method not in (_ACK, _NACK) or data[at + _CONFIRM_SIZE - 1] != _END:
            return False
        (tag,) = _TAG(data, at + _HEAD + 4)
        self.frames_received += 1
        _, channel, _ = _FRAME(data, at)
        self._confirm_takers[channel](tag, bool(data[at + _HEAD + 12] & 1), method == _NACK)
        return True

    def _hand_out(self, batches: Mapping[int, list[Content]]) -> None:
        for channel, contents in batches.items():
            taker = self._takers.get(channel)
            if taker is not None:
                taker(contents)


def connection_class() -> type[SelectConnection]:
    """`Inlet`, or pika's own class where this pika is not as `Inlet` needs it."""
    for name, parameters in PRIVATE.items():
        code = getattr(getattr(SelectConnection, name, None), "__code__", None)
        if code is None or code.co_varnames[: code.co_argcount] != parameters:
            _log.warning("pika %s is not known to gae-broker; it works, with fewer tasks a second", pika.__version__)
            return cast("type[SelectConnection]", SelectConnection)
    return Inlet


def _content(data: bytes, at: int, channel: int) -> tuple[Content | None, int]:
    """The delivery whose method frame begins at ``at``, and where the next frame begins.

    (None, -1): it is not complete yet. (None, ``at``): frames of other channels come in between, so it is pika's.
    """
    (tag,) = _TAG(data, at + _HEAD + 5 + data[at + _HEAD + 4])
    header = _next(data, at)
    head = _frame(data, header, channel, _HEADER)
    if head <= 0:
        return None, at if head else -1
    (missing,) = _TAG(data, header + _HEAD + 4)
    parts: list[bytes] = []
    position = head
    while missing:
        following = _frame(data, position, channel, _BODY)
        if following <= 0:
            return None, at if following else -1
        parts.append(data[position + _HEAD : following - 1])
        missing -= len(parts[-1])
        position = following
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    return (tag, _properties(data, header + _HEAD + 12, head - 1), body), position


def _next(data: bytes, at: int) -> int:
    end: int = at + _HEAD + _LONG(data, at + 3)[0] + 1
    if data[end - 1] != _END:
        raise pika.exceptions.InvalidFrameError("Invalid FRAME_END marker")
    return end


def _frame(data: bytes, at: int, channel: int, kind: int) -> int:
    """Where the frame at ``at`` ends; 0 if it is not complete, -1 if it is another channel's or of another kind."""
    if len(data) - at < _HEAD:
        return 0
    found, number, length = _FRAME(data, at)
    if (found, number) != (kind, channel):
        return -1
    return _next(data, at) if at + _HEAD + length < len(data) else 0


def _properties(data: bytes, at: int, end: int) -> pika.BasicProperties:
    with contextlib.suppress(UnicodeDecodeError):
        found = _our_properties(data, at)
        if found is not None:
            return found
    properties = pika.BasicProperties()
    properties.decode(data[at:end])
    return properties


def _our_properties(data: bytes, at: int) -> pika.BasicProperties | None:
    """The properties of a message such as we publish; ``None`` where there are others."""
    (flags,) = _SHORT(data, at)
    if flags & ~(_HEADERS | _DELIVERY_MODE | _MESSAGE_ID):
        return None
    at += 2
    headers: dict[str, str | int] | None = {}
    if flags & _HEADERS:
        limit = at + 4 + _LONG(data, at)[0]
        headers, at = _headers(data, at + 4, limit), limit
    if headers is None:
        return None
    at += bool(flags & _DELIVERY_MODE)
    copy_id = data[at + 1 : at + 1 + data[at]].decode() if flags & _MESSAGE_ID else None
    return pika.BasicProperties(message_id=copy_id, headers=headers)


def _headers(data: bytes, at: int, limit: int) -> dict[str, str | int] | None:
    """The headers that are ours and the count of deliveries; ``None`` where pika has to look."""
    found: dict[str, str | int] = {}
    while at < limit:
        key = data[at + 1 : at + 1 + data[at]]
        at += 1 + len(key)
        kind = data[at]
        at += 1
        wanted = key.startswith(_OURS) or key == _COUNT
        if kind == ord("S"):
            (length,) = _LONG(data, at)
            if wanted:
                found[key.decode()] = data[at + 4 : at + 4 + length].decode()
            at += 4 + length
        elif kind in _SIZED and not wanted:
            at += 4 + _LONG(data, at)[0]
        elif kind in _FIXED:
            if wanted and kind not in _NUMBERS:
                return None
            if wanted:
                (found[key.decode()],) = _NUMBERS[kind](data, at)
            at += _FIXED[kind]
        else:
            return None
    return found
