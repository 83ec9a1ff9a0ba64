"""The RabbitMQ broker: the broker contract, on a server of each version."""

import pytest

from gae_broker.testing.contracts.broker import BrokerContract


class TestRabbitMQ(BrokerContract):
    opener = "gae_broker_adapters.brokers.rabbitmq:open_broker"
    counts_delayed = False
    counts_unacked = False

    @pytest.fixture
    def broker_url(self, rabbitmq_url) -> str:
        return rabbitmq_url
