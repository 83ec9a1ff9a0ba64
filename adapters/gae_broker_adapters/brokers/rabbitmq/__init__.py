"""Carries messages on RabbitMQ: a delay wheel for eta, confirmed publishing, get and ack for leases."""

from gae_broker_adapters.brokers.rabbitmq.broker import RabbitBroker, open_broker

__all__ = ["RabbitBroker", "open_broker"]
