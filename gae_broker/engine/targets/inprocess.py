"""Calls of applications in this process and thread, for callers without a loop."""

from gae_broker.engine.targets.applications import Application, Interface, adopt, is_application, load
from gae_broker.engine.targets.asgi import call_asgi
from gae_broker.engine.targets.wsgi import call_wsgi

__all__ = ["Application", "Interface", "adopt", "call_asgi", "call_wsgi", "is_application", "load"]
