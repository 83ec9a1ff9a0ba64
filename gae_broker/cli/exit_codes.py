"""The exit codes, and the one place that says which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from gae_broker import errors


class ExitCode(IntEnum):
    """How a command ended; 128 + n is a process ended by signal n."""

    OK = 0
    """Done."""
    FAILED = 1
    """The operation failed, or a check found a fault."""
    USAGE = 2
    """A flag or an argument is wrong."""
    UNAVAILABLE = 3
    """The broker, the ledger or a port cannot be had."""
    CONFIGURATION = 4
    """Settings or queue.yaml are wrong."""


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (errors.ConfigurationError, ExitCode.CONFIGURATION),
    (errors.TransientError, ExitCode.UNAVAILABLE),
    (errors.StorageError, ExitCode.UNAVAILABLE),
    (errors.DeadlineExceededError, ExitCode.UNAVAILABLE),
    (OSError, ExitCode.UNAVAILABLE),
)
"""The first match counts."""


def exit_code(error: BaseException) -> ExitCode:
    """The code that a command ends with when this error is not handled."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)
