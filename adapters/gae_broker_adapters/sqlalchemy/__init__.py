"""Transactional adds in SQLAlchemy's transactions: ``from gae_broker_adapters.sqlalchemy import outbox``."""
