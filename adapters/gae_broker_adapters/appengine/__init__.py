"""App Engine's names for our modules, from the import of this one on.

``import gae_broker_adapters.appengine`` stands before the first import of ``google.appengine`` in a program, or
``GAE_BROKER_SHIM=1`` in the environment of gae-broker's commands and of pytest. From then on
``from google.appengine.api import taskqueue``, ``from google.appengine.ext import deferred`` and ``testbed`` are ours;
no file lies under ``google/``. Beside Google's own library, its other services stay Google's.

Where Google's task queue client has to stay, too, see `gae_broker_adapters.appengine_service`.
"""

from gae_broker.engine import runtime, transactions
from gae_broker.taskqueue import surroundings
from gae_broker_adapters.appengine import datastore, finding, following
from gae_broker_adapters.appengine.googles import GoogleSurroundings

__all__ = ["install"]


def install() -> None:
    """Answer to App Engine's names from now on. Importing this package does it, so this is rarely called. Idempotent.

    Raises:
        ImportError: Google's own task queue was imported before, so that part of the program uses that one already.
    """
    if finding.install():
        runtime.follow(following.registered)
        transactions.register(datastore.current)
        surroundings.use(GoogleSurroundings())


install()
