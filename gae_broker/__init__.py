"""App Engine's task queues, carried by RabbitMQ or by an embedded broker.

``from gae_broker import taskqueue, deferred`` replaces App Engine's modules of those names.
Importing this package opens nothing, reads no environment and starts no thread.
"""

__version__ = "0.1.0"
