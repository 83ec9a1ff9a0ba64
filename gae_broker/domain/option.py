"""What is known of a setting beside its type and default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of a setting beside its type and default.

    Attributes:
        parse: makes the value of a text, a number or a TOML table; raises ValueError with what was expected.
        show: the value as text that ``parse`` reads again, passwords masked.
        metavar: what stands for the value in ``--help``.
        help: one line for ``--help`` and the docs.
        secret: whether it may hold a password; it then has a ``_FILE`` variable.
        hidden: whether all of it is secret, so that not even a malformed one is quoted.
    """

    parse: Callable[[object], object]
    show: Callable[[object], str]
    metavar: str
    help: str
    secret: bool = False
    hidden: bool = False


def described(
    parse: Callable[[object], object],
    show: Callable[[object], str],
    metavar: str,
    text: str,
    *,
    secret: bool = False,
    hidden: bool = False,
) -> dict[str, Option]:
    """A field's metadata; the arguments are those of `Option`."""
    return {"option": Option(parse, show, metavar, text, secret or hidden, hidden)}
