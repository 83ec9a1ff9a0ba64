"""A request's body while it is received: in memory as long as it is small, then in a temporary file."""

from __future__ import annotations

import hashlib
import tempfile
from typing import IO, cast

IN_MEMORY = 1_048_576
"""Bytes that are held in memory."""

CHUNK = 65_536


class SpoolError(Exception):
    """The body cannot be held: the temporary directory is full, or not to be written."""


class Spool:
    """Takes a body piece by piece, and counts and hashes it.

    Args:
        most: bytes that are kept; ``None``: all.

    Attributes:
        file: what was received; positioned at its beginning after `rewind`.
        length: bytes received, those beyond ``most`` included.
    """

    def __init__(self, most: int | None = None) -> None:
        self.file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - `close` closes it
        self.length = 0
        self._most = most
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what was received."""
        return self._hash.digest()

    def feed(self, chunk: bytes) -> bool:
        """Take a piece; false once there is more than ``most``, and the rest need not be read.

        Raises:
            SpoolError: it cannot be stored.
        """
        self.length += len(chunk)
        if self._most is not None and self.length > self._most:
            return False
        self._hash.update(chunk)
        try:
            self.file.write(chunk)
        except OSError as exc:
            raise SpoolError(f"the request's body cannot be stored: {exc.strerror or exc}") from exc
        return True

    def rewind(self) -> None:
        """Go to the beginning, to be read."""
        self.file.seek(0)

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self.file.close()
