"""One entry of queue.yaml's ``queue`` list."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from gae_broker.domain.queue import DEFAULT_BUCKET_SIZE, DEFAULT_MAX_CONCURRENT, AclEntry, Mode, Queue
from gae_broker.domain.queue_yaml import extensions
from gae_broker.domain.queue_yaml.document import Document, describe
from gae_broker.domain.queue_yaml.numbers import whole
from gae_broker.domain.queue_yaml.retry import read_retry
from gae_broker.domain.queue_yaml.values import RATE_EXPECTED, parse_rate, unexpected

KEYS = (
    "name",
    "mode",
    "rate",
    "bucket_size",
    "max_concurrent_requests",
    "target",
    "retry_parameters",
    "acl",
    extensions.KEY,
)
ACL_KEYS = ("user_email", "writer_email")
_PUSH_ONLY = ("rate", "bucket_size", "max_concurrent_requests", "target")
_NAME = re.compile(r"[A-Za-z0-9-]{0,499}")
_NAME_EXPECTED = "1 to 100 letters, digits and '-'"
_TARGET = re.compile(r"(?:(?!-)[a-z0-9\-]{1,100}\.)?(?!-)[a-z0-9\-]{1,63}")
_TARGET_EXPECTED = "a module or version.module: lower case letters, digits and '-' (at most 63 and 100)"
_DEFAULT_RATE = "5/s"


def read_queue(document: Document, node: yaml.Node, common: extensions.Extensions) -> Queue:
    """One queue.

    Args:
        document: where the node stands.
        node: the entry.
        common: the file's own ``x-gae-broker`` mapping.

    Raises:
        QueueYamlError: an unknown key or a bad value.
    """
    keys: dict[str, yaml.Node] = {}
    values = document.entries(node, "queue" if not isinstance(node, yaml.MappingNode) else "", KEYS, keys)
    if "name" not in values:
        raise document.error(node, "name", f"missing, expected {_NAME_EXPECTED}")
    name = _matched(document, values["name"], "name", _NAME, _NAME_EXPECTED)
    mode = _mode(document, values.get("mode"))
    rate_text = _rate_text(document, values.get("rate"))
    own = extensions.read(document, values.get(extensions.KEY), extensions.KEY, common)
    queue = Queue(
        name=name,
        mode=mode,
        rate_per_s=document.attempt(values.get("rate", node), "rate", parse_rate, rate_text),
        rate_text=rate_text,
        bucket_size=_size(document, values, "bucket_size", DEFAULT_BUCKET_SIZE),
        max_concurrent=_size(document, values, "max_concurrent_requests", DEFAULT_MAX_CONCURRENT),
        target=_target(document, values.get("target")),
        retry=read_retry(document, values.get("retry_parameters"), mode),
        acl=_acl(document, values.get("acl")),
        deadline_us=own.deadline_us,
        extensions=own.written,
        line=document.line(node),
    )
    _warn_of_mode(document, queue, {key: keys[key] for key in values})
    return queue


def _matched(document: Document, node: yaml.Node, key: str, pattern: re.Pattern[str], expected: str) -> str:
    text = document.text(node, key, expected)
    if not pattern.fullmatch(text):
        raise document.error(node, key, str(unexpected(text, expected)))
    return text


def _mode(document: Document, node: yaml.Node | None) -> Mode:
    if node is None:
        return Mode.PUSH
    text = document.text(node, "mode", "push or pull", plain=False)
    if text not in list(Mode):
        raise document.error(node, "mode", str(unexpected(text, "push or pull")))
    return Mode(text)


def _rate_text(document: Document, node: yaml.Node | None) -> str:
    return _DEFAULT_RATE if node is None else document.text(node, "rate", RATE_EXPECTED, plain=False)


def _size(document: Document, values: Mapping[str, yaml.Node], key: str, default: int) -> int:
    if key not in values:
        return default
    number = whole(document, values[key], key)
    if number < 1:
        # App Engine's parser takes it; a queue that may never run anything is what `rate: 0` is for.
        document.warn(values[key], key, f"{number} lets nothing run and is ignored; the default {default} applies")
        return default
    return number


def _target(document: Document, node: yaml.Node | None) -> str | None:
    return None if node is None else _matched(document, node, "target", _TARGET, _TARGET_EXPECTED)


def _acl(document: Document, node: yaml.Node | None) -> tuple[AclEntry, ...]:
    entries = []
    for item in document.items(node, "acl") if node is not None else ():
        values = document.entries(item, "acl", ACL_KEYS)
        emails = {key: document.text(value, f"acl.{key}", "an e-mail address") for key, value in values.items()}
        if not emails:
            document.warn(item, "acl", f"{describe(item)} without an address permits nobody")
        entries.append(AclEntry(emails.get("user_email"), emails.get("writer_email")))
    return tuple(entries)


def _warn_of_mode(document: Document, queue: Queue, keys: Mapping[str, yaml.Node]) -> None:
    ignored = _PUSH_ONLY if queue.mode is Mode.PULL else ("acl",)
    for key in ignored:
        if key in keys:
            document.warn(keys[key], key, f"ignored, '{queue.name}' is a {queue.mode} queue")
    if queue.mode is Mode.PULL and extensions.DISPATCH_DEADLINE in queue.extensions and extensions.KEY in keys:
        place = f"{extensions.KEY}.{extensions.DISPATCH_DEADLINE}"
        document.warn(keys[extensions.KEY], place, f"ignored, '{queue.name}' is a pull queue")
