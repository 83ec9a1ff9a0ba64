"""What a task's arguments must be: each rule of App Engine's ``Task`` constructor by itself, pure.

The order in which they are applied, and so which of several faults is reported, is ``Task``'s own matter.
Source: gae-semantics section 2, and the reference implementation where it was run.
"""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

from gae_broker.domain import limits
from gae_broker.errors import (
    InvalidDispatchDeadlineError,
    InvalidQueueNameError,
    InvalidTagError,
    InvalidTaskNameError,
    InvalidUrlError,
    TaskTooLargeError,
)

_TASK_NAME = re.compile(limits.TASK_NAME_PATTERN)
_QUEUE_NAME = re.compile(limits.QUEUE_NAME_PATTERN)
_SHOWN = 80


def shown(value: object) -> str:
    """A value for a message: its repr, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def task_name(name: str | bytes | None) -> str | None:
    """A task's name as text; a falsy one stays as it is and means that the service chooses.

    Raises:
        InvalidTaskNameError: it does not match ``[a-zA-Z0-9_-]{1,500}``.
        TypeError: it is no string.
    """
    if not name:
        return None if name is None else ""
    text = _text(name)
    if not _TASK_NAME.fullmatch(text) or text.endswith("\n"):
        raise InvalidTaskNameError(
            f"task name {shown(name)} does not match {limits.TASK_NAME_PATTERN}: "
            f"letters, digits, _ and -, at most {limits.MAX_TASK_NAME_LENGTH}",
        )
    return text


def queue_name(name: str | bytes) -> str:
    """A queue's name as text.

    Raises:
        InvalidQueueNameError: it does not match ``[a-zA-Z0-9-]{1,100}``.
        TypeError: it is no string.
    """
    text = _text(name)
    if not _QUEUE_NAME.fullmatch(text) or text.endswith("\n"):
        raise InvalidQueueNameError(
            f"queue name {shown(name)} does not match {limits.QUEUE_NAME_PATTERN}: "
            f"letters, digits and -, at most {limits.MAX_QUEUE_NAME_LENGTH}",
        )
    return text


def _text(name: str | bytes) -> str:
    """Bytes, which in Python 2 were names, as text: every pattern here is ASCII, so nothing is misread."""
    if isinstance(name, bytes):
        return name.decode("ascii", "backslashreplace")
    if not isinstance(name, str):
        raise TypeError(f"a name must be a string, not {shown(name)}")
    return name


def split_url(url: str | None) -> tuple[bool, str, str]:
    """(on the queue's default url, path, query) of a task's url; falsy is the default url.

    Raises:
        InvalidUrlError: it has a scheme, host or fragment, does not begin with ``/``, or its path is too long.
    """
    if not url:
        return True, "", ""
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError as exc:
        raise InvalidUrlError(f"url {shown(url)} cannot be read: {exc}") from exc
    if parts is None:
        raise InvalidUrlError(f"url {shown(url)} is not text")
    if parts.scheme or parts.netloc:
        raise InvalidUrlError(f"url {shown(url)} has a scheme or a host; give a path like '/work' (and target=)")
    if parts.fragment:
        raise InvalidUrlError(f"url {shown(url)} has a fragment, which no request carries; leave '#...' out")
    if not parts.path.startswith("/"):
        raise InvalidUrlError(f"url {shown(url)}: the path must start with '/'")
    if not _is_utf8(url):
        raise InvalidUrlError(f"url {shown(url)} cannot be written as UTF-8")
    if len(parts.path) > limits.MAX_URL_LENGTH:
        raise InvalidUrlError(
            f"url {shown(url)}: the path has {len(parts.path)} characters, at most {limits.MAX_URL_LENGTH} are allowed",
        )
    return False, parts.path, parts.query


def _is_utf8(text: str) -> bool:
    """Whether it can be written as UTF-8: lone surrogates, as of undecodable file names, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_size(size: int, limit: int) -> None:
    """Raise TaskTooLargeError if a task of ``size`` bytes exceeds ``limit``."""
    if size > limit:
        raise TaskTooLargeError(f"the task has {size} bytes, headers included; at most {limit} are allowed")


def check_tag(tag: str | bytes | None) -> None:
    """Raise InvalidTagError if a tag is longer than 500 characters, or no text."""
    if not tag:
        return
    tag_text(tag)
    if len(tag) > limits.MAX_TAG_LENGTH:
        raise InvalidTagError(
            f"tag {shown(tag)} has {len(tag)} characters, at most {limits.MAX_TAG_LENGTH} are allowed",
        )


def tag_text(tag: str | bytes | None) -> str | None:
    """A tag as text; ``None`` stays.

    Raises:
        InvalidTagError: it is no text, or cannot be written as UTF-8.
    """
    try:
        if isinstance(tag, str):
            tag.encode()
            return tag
        return None if tag is None else tag.decode()
    except (AttributeError, UnicodeError) as exc:
        raise InvalidTagError(f"tag {shown(tag)} is not text") from exc


def check_dispatch_deadline(deadline_us: int | None) -> None:
    """Check a ``dispatch_deadline_usec``.

    Raises:
        InvalidDispatchDeadlineError: it is not between 15 seconds and 24 hours.
        TypeError: it is no int.
    """
    if deadline_us is None:
        return
    if not isinstance(deadline_us, int):
        raise TypeError(f"dispatch_deadline_usec must be an integer, not {shown(deadline_us)}")
    microsecond = timedelta(microseconds=1)
    if deadline_us > limits.MAX_DISPATCH_DEADLINE // microsecond:
        raise InvalidDispatchDeadlineError(
            f"dispatch deadline {deadline_us} us is more than {limits.MAX_DISPATCH_DEADLINE}",
        )
    if deadline_us < limits.MIN_DISPATCH_DEADLINE // microsecond:
        raise InvalidDispatchDeadlineError(
            f"dispatch deadline {deadline_us} us is less than {limits.MIN_DISPATCH_DEADLINE}",
        )
