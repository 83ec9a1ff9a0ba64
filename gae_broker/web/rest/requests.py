"""What a request brings: its body, within bounds, and parameters that stand in a form instead of the query."""

from __future__ import annotations

import zlib
from urllib.parse import parse_qsl

from starlette.requests import Request

from gae_broker.web.rest.answers import RestError

MOST_BYTES = 2 * 1024 * 1024
"""A payload of 1 MB in base64, and room for the rest."""
_FORM = "application/x-www-form-urlencoded"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MOST_FIELDS = 100


async def read_body(request: Request) -> bytes:
    """The whole body, unpacked where it is gzipped.

    Raises:
        RestError: 413, too large; 415, packed otherwise; 400, badly packed.
        ClientDisconnect: the client is gone.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise RestError(415, "unsupportedMediaType", f"Content-Encoding {encoding[:40]!r}: send gzip, or none")
    unpack = zlib.decompressobj(_GZIP_WINDOW) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        try:
            body += chunk if unpack is None else unpack.decompress(chunk, MOST_BYTES + 1 - len(body))
        except zlib.error:
            raise RestError(400, "parseError", "The body is not gzip, as its Content-Encoding says.") from None
        if len(body) > MOST_BYTES or (unpack is not None and unpack.unconsumed_tail):
            raise RestError(413, "requestTooLarge", "The body is too large: a task's payload is 1 MB at most.")
    if unpack is not None and not unpack.eof:
        raise RestError(400, "parseError", "The body ends before its gzip does.")
    return bytes(body)


def is_form(request: Request) -> bool:
    """Whether the body is a form: of ``lease``, and of what a client turned into a POST because its URL was long."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a form.

    Raises:
        RestError: 400, it cannot be read.
    """
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise RestError(400, "parseError", "The form in the body cannot be read.") from None
