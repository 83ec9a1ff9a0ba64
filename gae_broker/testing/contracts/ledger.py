"""The ledger contract: every obligation of `gae_broker.ports.Ledger`, as tests that an adapter adopts.

An adapter's test module says how to open it and where::

    class TestMyLedger(LedgerContract):
        opener = "my_package.my_ledger:open_ledger"

        @pytest.fixture
        def ledger_url(self, tmp_path: Path) -> str:
            return f"mine:///{tmp_path}/ledger"

Each test has a queue of its own, so the tests may share a database; what may be pruned in it, they prune. They
tell the time themselves. For readable failures, call
``pytest.register_assert_rewrite("gae_broker.testing.contracts")`` in a conftest.
"""

from __future__ import annotations

from gae_broker.testing.contracts.ledger_claims import ClaimsContract
from gae_broker.testing.contracts.ledger_controls import ControlsContract, PayloadsContract
from gae_broker.testing.contracts.ledger_held import HeldTasksContract
from gae_broker.testing.contracts.ledger_moves import MovesContract
from gae_broker.testing.contracts.ledger_opening import OpeningContract
from gae_broker.testing.contracts.ledger_removal import RemovalContract
from gae_broker.testing.contracts.ledger_waiting import CensusContract, ParkedContract, WatchContract


class LedgerContract(
    ClaimsContract,
    MovesContract,
    RemovalContract,
    ParkedContract,
    HeldTasksContract,
    CensusContract,
    WatchContract,
    ControlsContract,
    PayloadsContract,
    OpeningContract,
):
    """All of them."""


__all__ = ["LedgerContract"]
