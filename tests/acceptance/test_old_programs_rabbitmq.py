"""The old programs over again, on RabbitMQ."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_old_programs import (  # noqa: F401 - collected here once more
    serve,
    test_the_aggregator,
    test_the_counter,
    test_the_gallery,
    test_the_guestbook,
    test_the_guestbooks_own_tests,
    test_the_pipeline,
)
from tests.servers import VERSIONS

# The newest only: what differs between versions the contract suite covers, on each.
pytestmark = pytest.mark.parametrize("rabbitmq", [VERSIONS[-1]], indirect=True)


@pytest.fixture
def carrier(rabbitmq_url: str, tmp_path: Path) -> dict[str, str]:
    return {"GAE_BROKER_URL": rabbitmq_url, "GAE_BROKER_LEDGER": f"sqlite:///{tmp_path}/ledger.db"}
