"""Reads App Engine's queue.yaml: every key, unchanged, and errors that name the line.

What App Engine's own parser loads is loaded here. What it loaded and then ignored, or read otherwise than it
looks, is loaded too and listed in `QueueFile.warnings`. Additions stand only under ``x-gae-broker``.

Source: the queue.yaml reference, and ``google.appengine.api.queueinfo`` of the reference implementation.
"""

from gae_broker.domain.queue_yaml.parser import load_path, parse
from gae_broker.domain.queue_yaml.values import parse_age_limit, parse_rate, parse_total_storage_limit

__all__ = ["load_path", "parse", "parse_age_limit", "parse_rate", "parse_total_storage_limit"]
