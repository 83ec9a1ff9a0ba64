"""The ledger on SQL: `gae_broker.ports.Ledger` over SQLite or PostgreSQL, with SQLAlchemy Core."""

from gae_broker_adapters.ledgers.sql.ledger import SqlLedger, open_ledger

__all__ = ["SqlLedger", "open_ledger"]
