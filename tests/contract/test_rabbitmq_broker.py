"""The RabbitMQ broker: the broker contract, on the server that ``GAE_BROKER_TEST_URL`` names."""

import os

import pytest

from gae_broker.testing.contracts.broker import BrokerContract

URL = os.environ.get("GAE_BROKER_TEST_URL", "")


@pytest.mark.skipif(not URL, reason="GAE_BROKER_TEST_URL names no RabbitMQ to use")
class TestRabbitMQ(BrokerContract):
    opener = "gae_broker_adapters.brokers.rabbitmq:open_broker"
    counts_delayed = False
    counts_unacked = False

    @pytest.fixture
    def broker_url(self) -> str:
        return URL
