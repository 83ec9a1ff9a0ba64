"""The shop as a server runs it: behind the middleware, so that nobody but the dispatcher reaches its task handlers."""

from __future__ import annotations

from shop.main import app

from gae_broker_adapters.wsgi import TaskQueueMiddleware

application = TaskQueueMiddleware(app, signed_paths=["/tasks"])
