"""The embedded broker: `gae_broker.ports.Broker` over a SQLite file, or in memory."""

from gae_broker_adapters.brokers.embedded.broker import EmbeddedBroker, open_broker

__all__ = ["EmbeddedBroker", "open_broker"]
