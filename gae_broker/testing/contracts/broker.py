"""The broker contract: every obligation of `gae_broker.ports.Broker`, as tests that an adapter adopts.

An adapter's test module says how to open it and where::

    class TestMyBroker(BrokerContract):
        opener = "my_package.my_broker:open_broker"

        @pytest.fixture
        def broker_url(self, tmp_path: Path) -> str:
            return f"mine:///{tmp_path}/tasks"

The tests use the real clock and queue names of their own, so they run against a broker server that others use
at the same time. What an adapter may answer with ``None``, it may; what else it cannot do it says by the class's
attributes (see `broker_bench.Adoption`). For readable failures, call
``pytest.register_assert_rewrite("gae_broker.testing.contracts")`` in a conftest.
"""

from __future__ import annotations

from gae_broker.testing.contracts.broker_browser import BrowserContract, DeclarerContract
from gae_broker.testing.contracts.broker_consumer import ConsumerContract
from gae_broker.testing.contracts.broker_publisher import PublisherContract
from gae_broker.testing.contracts.broker_puller import PullerContract


class BrokerContract(PublisherContract, PullerContract, ConsumerContract, BrowserContract, DeclarerContract):
    """All of them."""


__all__ = ["BrokerContract"]
