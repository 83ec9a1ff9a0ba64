"""What the engine needs of the world, as Protocols with numbered obligations.

A broker adapter knows messages, a ledger adapter knows rows and compare-and-swap; neither knows App Engine.
All calls are synchronous and may come from any thread at the same time. Times are integer microseconds since
the epoch (``_us``), durations for waiting are float seconds (``_s``). Every failure of the world surfaces as an
exception of `gae_broker.errors`; a driver's exception never leaves an adapter.

The contract suites in ``gae_broker.testing.contracts`` test each obligation against every adapter.
"""

from gae_broker.domain.message import Message
from gae_broker.ports.broker import (
    Action,
    Broker,
    Browser,
    Change,
    Consumer,
    Declarer,
    Delivery,
    Depth,
    Exporter,
    Needs,
    Plan,
    Publisher,
    Puller,
    Role,
    Sink,
    Subscription,
)
from gae_broker.ports.ledger import (
    Census,
    Claim,
    ClaimOutcome,
    ClaimResult,
    Control,
    Controls,
    Delayed,
    Deletion,
    Fact,
    Facts,
    Held,
    HeldTasks,
    Ledger,
    Move,
    Parked,
    Payloads,
    Report,
    State,
    Watch,
)
from gae_broker.ports.outbox import ClaimedRows, Outbox, OutboxRow, Place, RowClaim, Waiting
from gae_broker.ports.world import (
    Check,
    CheckStatus,
    Clock,
)

__all__ = [
    "Action",
    "Broker",
    "Browser",
    "Census",
    "Change",
    "Check",
    "CheckStatus",
    "Claim",
    "ClaimOutcome",
    "ClaimResult",
    "ClaimedRows",
    "Clock",
    "Consumer",
    "Control",
    "Controls",
    "Declarer",
    "Delayed",
    "Deletion",
    "Delivery",
    "Depth",
    "Exporter",
    "Fact",
    "Facts",
    "Held",
    "HeldTasks",
    "Ledger",
    "Message",
    "Move",
    "Needs",
    "Outbox",
    "OutboxRow",
    "Parked",
    "Payloads",
    "Place",
    "Plan",
    "Publisher",
    "Puller",
    "Report",
    "Role",
    "RowClaim",
    "Sink",
    "State",
    "Subscription",
    "Waiting",
    "Watch",
]
