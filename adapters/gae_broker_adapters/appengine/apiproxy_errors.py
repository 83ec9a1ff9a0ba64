"""``google.appengine.runtime.apiproxy_errors`` where Google's library is missing: what a task queue call raises."""

from gae_broker.errors import ApiProxyError as Error
from gae_broker.errors import DeadlineExceededError

__all__ = ["DeadlineExceededError", "Error"]
