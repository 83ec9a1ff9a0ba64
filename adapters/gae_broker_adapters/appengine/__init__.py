"""App Engine's names for our modules, from the import of this one on.

``import gae_broker_adapters.appengine`` stands before the first import of ``google.appengine`` in a program, or
``GAE_BROKER_SHIM=1`` in the environment of gae-broker's commands and of pytest. From then on
``from google.appengine.api import taskqueue``, ``from google.appengine.ext import deferred`` and ``testbed`` are ours;
no file lies under ``google/``. Beside Google's own library, its other services stay Google's.
"""

from gae_broker.engine import runtime
from gae_broker_adapters.appengine import finding, following

__all__: list[str] = []

finding.install()
runtime.follow(following.registered)
