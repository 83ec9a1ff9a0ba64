"""``retry_parameters`` of a queue."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from gae_broker.domain.queue import Mode
from gae_broker.domain.queue_yaml.document import Document
from gae_broker.domain.queue_yaml.numbers import at_least, seconds
from gae_broker.domain.queue_yaml.values import AGE_EXPECTED, PLAIN_AGE, parse_age_limit
from gae_broker.domain.retry import DEFAULT, MAX_BACKOFF_S, MAX_DOUBLINGS, MIN_BACKOFF_S, RetryParameters

KEY = "retry_parameters"
KEYS = ("task_retry_limit", "task_age_limit", "min_backoff_seconds", "max_backoff_seconds", "max_doublings")
LONGEST_BACKOFF_S = 30 * 24 * 3_600.0  # no task may be due further ahead


def read_retry(document: Document, node: yaml.Node | None, mode: Mode) -> RetryParameters:
    """The queue's retry parameters, App Engine's defaults where none are given.

    Raises:
        QueueYamlError: an unknown key or a bad value.
    """
    if node is None:
        return DEFAULT
    keys: dict[str, yaml.Node] = {}
    values = document.entries(node, KEY, KEYS, keys)
    least, most = _backoff(document, values)
    if mode is Mode.PULL:
        for key in values:
            if key != "task_retry_limit":
                document.warn(keys[key], f"{KEY}.{key}", "ignored, only task_retry_limit applies to a pull queue")
    return RetryParameters(
        limit=_whole(document, values, "task_retry_limit", None),
        age_limit_s=_age(document, values.get("task_age_limit")),
        min_backoff_s=least,
        max_backoff_s=most,
        max_doublings=_whole(document, values, "max_doublings", MAX_DOUBLINGS) or 0,
    )


def _whole(document: Document, values: Mapping[str, yaml.Node], key: str, default: int | None) -> int | None:
    return at_least(document, values[key], f"{KEY}.{key}", 0) if key in values else default


def _age(document: Document, node: yaml.Node | None) -> int | None:
    if node is None:
        return None
    key = f"{KEY}.task_age_limit"
    text = document.text(node, key, AGE_EXPECTED, plain=False)
    limit = document.attempt(node, key, parse_age_limit, text)
    if not PLAIN_AGE.fullmatch(text):
        document.warn(node, key, f"{text!r} is read as {limit}s")
    return limit


def _backoff(document: Document, values: Mapping[str, yaml.Node]) -> tuple[float, float]:
    """Both bounds in seconds; where one is given and crosses the other's default, that one follows it."""
    least = _seconds(document, values.get("min_backoff_seconds"), "min_backoff_seconds")
    most = _seconds(document, values.get("max_backoff_seconds"), "max_backoff_seconds")
    if least is not None and most is not None and least > most:
        node = values["min_backoff_seconds"]
        line = document.line(values["max_backoff_seconds"])
        text = f"found {least:g}, expected at most max_backoff_seconds, {most:g} on line {line}"
        raise document.error(node, f"{KEY}.min_backoff_seconds", text)
    if least is None:
        least = MIN_BACKOFF_S if most is None else min(MIN_BACKOFF_S, most)
    if most is None:
        most = max(MAX_BACKOFF_S, least)
    return least, most


def _seconds(document: Document, node: yaml.Node | None, key: str) -> float | None:
    if node is None:
        return None
    value = seconds(document, node, f"{KEY}.{key}")
    if value > LONGEST_BACKOFF_S:
        document.warn(node, f"{KEY}.{key}", f"{value:g} is read as {LONGEST_BACKOFF_S:g}, 30 days, the latest eta")
        return LONGEST_BACKOFF_S
    return value
