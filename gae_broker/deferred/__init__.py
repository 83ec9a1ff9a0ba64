"""App Engine's deferred library: calls that are made later, by a push queue.

A drop-in replacement for ``google.appengine.ext.deferred``. As there, the package offers the names of its submodule
``deferred``, and its ``taskqueue``.
"""

from gae_broker import taskqueue as taskqueue
from gae_broker.deferred.deferred import *  # noqa: F403
